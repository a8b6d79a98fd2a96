"""docs/FIELDS.md: what becomes of each Envoy field. `python -m tests.fields` writes it anew."""
