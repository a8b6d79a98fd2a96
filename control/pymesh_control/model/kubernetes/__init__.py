"""Kubernetes' own objects as the mesh's services and workloads; where they come from is the store's business."""

from .registry import Cluster, inputs, read

__all__ = ["Cluster", "inputs", "read"]
