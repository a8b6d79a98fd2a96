"""Where the nodes of a cluster stand."""

from collections.abc import Iterable, Mapping

from pymesh.api import Resource

from ..locality import LEVELS

LOCALITY_LABEL = "istio-locality"


class Topology:
    """Localities (`region/zone/subzone`, any suffix left out) by node, from the nodes' labels."""

    def __init__(self, nodes: Iterable[Resource]) -> None:
        self._places = {node.name: _place(node.labels) for node in nodes}
        self._zones = {parts[1]: "/".join(parts[:2]) for place in self._places.values() if len(parts := place.split("/")) > 1}

    def of(self, node: str, zone: str = "", labels: Mapping[str, str] | None = None) -> str:
        """The locality of an instance: what its own label says (dots stand for slashes), else its node's, else that of the zone."""
        stated = (labels or {}).get(LOCALITY_LABEL, "").replace(".", "/")
        return stated or self._places.get(node) or self._zones.get(zone) or (f"/{zone}" if zone else "")


def _place(labels: Mapping[str, str]) -> str:
    return "/".join(labels.get(level, "") for level in LEVELS).rstrip("/")
