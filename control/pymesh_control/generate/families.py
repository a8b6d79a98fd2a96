"""The addresses of each IP version that mean any, the machine itself, and the sidecar's own calls to its application.

IPv4 comes first where a proxy has both, in whatever order it names its addresses (Istio's dual stack).
"""

from typing import Any

from pymesh.xds import proto

_LOOKUP = {frozenset({6}): proto.cluster.Cluster.V6_ONLY, frozenset({4, 6}): proto.cluster.Cluster.ALL}
"""Which addresses of a name clients of both IP versions, or of IPv6 alone, connect to; others prefer IPv4."""

_ANY = {4: "0.0.0.0", 6: "::"}
_LOOPBACK = {4: "127.0.0.1", 6: "::1"}
_PASSTHROUGH = {4: "127.0.0.6", 6: "::6"}


def wildcards(families: frozenset[int]) -> tuple[str, ...]:
    """Where a listener for every address of a proxy listens."""
    return tuple(_ANY[version] for version in sorted(families))


def loopbacks(families: frozenset[int]) -> tuple[str, ...]:
    """Where the application calls listeners that need no capture."""
    return tuple(_LOOPBACK[version] for version in sorted(families))


def passthrough_sources(families: frozenset[int]) -> tuple[str, ...]:
    """Whence the sidecar calls its application, so that capture rules let it pass instead of sending it back."""
    return tuple(_PASSTHROUGH[version] for version in sorted(families))


def lookup(families: frozenset[int]) -> Any:
    """Which addresses of a name a proxy looks for (Envoy's DnsLookupFamily)."""
    return _LOOKUP.get(families, proto.cluster.Cluster.V4_PREFERRED)


def is_any(address: str) -> bool:
    return address in _ANY.values()


def is_shared(address: str) -> bool:
    """Whether connections to different destinations can arrive at an address."""
    return is_any(address) or address in _LOOPBACK.values()
