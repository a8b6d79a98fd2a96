"""Kubernetes' own objects as the mesh's services and workloads; where they come from is the store's business."""

from .registry import Cluster, read

__all__ = ["Cluster", "read"]
