"""Istio resources: models, YAML with positions, validation, host names."""
