"""The words both planes share, and the command people type.

Istio's resources (`api`), Envoy's protobufs (`xds`), SPIFFE identities (`identity`) and the local mesh (`local`).
Nothing here imports a plane: the planes meet on the wire, and plug their commands in by entry point.
"""

__version__ = "0.1.0"
