"""Node ids: `<type>~<ip>~<pod>.<namespace>~<domain>`, the name a proxy gives itself in its first request."""

from dataclasses import dataclass

SIDECAR = "sidecar"
ROUTER = "router"
TYPES = frozenset({SIDECAR, ROUTER})


class InvalidNodeId(ValueError):
    """The id has not Istio's four parts; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class NodeId:
    """A proxy's role, address and place, as read from its id."""

    type: str
    ip: str
    name: str
    domain: str

    def __str__(self) -> str:
        return f"{self.type}~{self.ip}~{self.name}~{self.domain}"

    @property
    def namespace(self) -> str:
        """The first label of the domain (`default` in `default.svc.cluster.local`)."""
        return self.domain.partition(".")[0]


def parse(text: str) -> NodeId:
    """Read a node id; raises InvalidNodeId."""
    parts = text.split("~")
    if len(parts) != 4:
        raise InvalidNodeId(f"node id {text!r} has {len(parts)} parts, not the four of <type>~<ip>~<name>~<domain>")
    if parts[0] not in TYPES:
        raise InvalidNodeId(f"node id {text!r}: type {parts[0]!r} is none of {', '.join(sorted(TYPES))}")
    return NodeId(*parts)
