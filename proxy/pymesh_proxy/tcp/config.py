"""A TcpProxy filter, compiled. Times are seconds, 0 means off."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..upstream.dns_cache import DnsCache
    from .tunnel import TunnelOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class SniLookup:
    """The filter sni_dynamic_forward_proxy: the server name that the client asks for is looked up before its cluster is asked."""

    cache: "DnsCache"
    port: int = 443
    """Where the connection goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpOptions:
    """Where a TCP connection goes: weights are cumulative in `choose`, as for HTTP routes."""

    clusters: tuple[tuple[str, int], ...]
    """(cluster name, weight); one entry for a plain `cluster`."""
    idle_timeout: float = 3600.0
    max_connect_attempts: int = 1
    max_duration: float = 0.0
    tunnel: "TunnelOptions | None" = None
    """Bytes go on through an HTTP tunnel (tunneling_config)."""
    lookup: SniLookup | None = None
    log_connected: bool = False
    """Logs have a line when the upstream is connected, too."""
    log_interval: float = 0.0
    """And one after each such time."""
    hashes_source: bool = False
    """Where the cluster balances by a hash, connections are told apart by the client's address."""
    observers: tuple[Callable[[Any], Any], ...] = ()
    """Called with the tcp.session.Session when it opens (phase OPEN) and when it has ended."""
    logs: tuple[Callable[[Any], Any], ...] = ()
    """Those of the observers that write access logs: they are told of connections whose handshake failed, too."""

    def choose(self, random: int) -> str:
        """The cluster for one connection: cumulative intervals over the weights, as Envoy walks them."""
        if len(self.clusters) == 1:
            return self.clusters[0][0]
        value = random % sum(weight for _, weight in self.clusters)
        for name, weight in self.clusters:
            if value < weight:
                return name
            value -= weight
        raise AssertionError("weights sum to more than the walk found")
