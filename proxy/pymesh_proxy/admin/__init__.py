"""Envoy's admin interface: what the proxy is, has and counts, for people, for Istio's tools and for Prometheus.

`server` speaks HTTP and guards the door; every other file is a group of commands, plain functions from facts to answers.
"""

from .server import Admin

__all__ = ["Admin"]
