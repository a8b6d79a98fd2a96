"""Where the nodes of a cluster stand, and where they are reached from outside."""

from collections.abc import Iterable, Mapping

from pymesh import labels as stated_by
from pymesh.api import Resource

from ..whereabouts import LEVELS


class Topology:
    """Localities (`region/zone/subzone`, any suffix left out) by node, from the nodes' labels."""

    def __init__(self, nodes: Iterable[Resource]) -> None:
        nodes = list(nodes)
        self._places = {node.name: _place(node.labels) for node in nodes}
        self._external = [(node.labels, _external(node)) for node in nodes]
        self._zones = {parts[1]: "/".join(parts[:2]) for place in self._places.values() if len(parts := place.split("/")) > 1}

    def of(self, node: str, zone: str = "", labels: Mapping[str, str] | None = None) -> str:
        """The locality of an instance: what its own label says, else its node's, else that of the zone."""
        return stated_by.locality(labels or {}) or self._places.get(node) or self._zones.get(zone) or (f"/{zone}" if zone else "")


    def external(self, labels: Mapping[str, str] | None) -> tuple[str, ...]:
        """The addresses towards the outside of the nodes with these labels, one a node; none for None."""
        if labels is None:
            return ()
        return tuple(address for known, address in self._external if address and labels.items() <= known.items())


def _external(node: Resource) -> str:
    return next((one.address for one in node.spec.status.addresses if one.type == "ExternalIP" and one.address), "")


def _place(labels: Mapping[str, str]) -> str:
    return "/".join(labels.get(level, "") for level in LEVELS).rstrip("/")
