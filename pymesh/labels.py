"""Labels of workloads that both planes read."""

from collections.abc import Mapping
from typing import Any

LOCALITIES = ("topology.istio.io/locality", "istio-locality")
"""Where a workload says itself that it runs, the first that is there; Istio's GetLocalityLabel."""


def locality(labels: Mapping[str, Any]) -> str:
    """`region/zone/subzone` as a label states it, any suffix left out. A label's value cannot hold slashes, and may have dots for them."""
    stated = next((str(labels[name]) for name in LOCALITIES if name in labels), "")
    return stated if "/" in stated else stated.replace(".", "/")
