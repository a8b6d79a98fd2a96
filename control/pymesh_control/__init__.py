"""The control plane: Istio resources in, Envoy xDS out (the roles of Pilot and Galley)."""
