"""Istio's messages, one file a kind."""
