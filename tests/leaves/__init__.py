"""docs/ISTIO_FIELDS.md: what becomes of each field of Istio's networking kinds. `python -m tests.leaves` writes it anew.

`published.txt` lists the fields that Istio publishes, with their types. `python -m tests.leaves CRDS.yaml` writes that one from the
schemas of Istio's own CRDs, which are not here.
"""
