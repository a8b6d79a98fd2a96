"""The demo's services: small, real, and unaware of the mesh, as applications should be.

Each runs alone: `python -m pymesh.local.apps.<name> --port N`. They find each other as pods do: by Kubernetes-style
`<SERVICE>_SERVICE_HOST` and `<SERVICE>_SERVICE_PORT` variables, and by `http_proxy` for hosts outside.
"""
