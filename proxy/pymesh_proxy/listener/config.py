"""A Listener resource, compiled and immutable."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymesh.address import Address

from ..http.options import HttpOptions
from ..tcp.config import TcpOptions
from ..tls.config import DownstreamTls

if TYPE_CHECKING:
    from .match import ChainMatcher
    from .proxy_protocol import Rules

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainMatch:
    """A FilterChainMatch; an empty member matches anything."""

    destination_port: int = 0
    prefix_ranges: tuple[Network, ...] = ()
    server_names: tuple[str, ...] = ()
    transport_protocol: str = ""
    application_protocols: tuple[str, ...] = ()
    direct_source_prefix_ranges: tuple[Network, ...] = ()
    source_type: str = "ANY"
    source_prefix_ranges: tuple[Network, ...] = ()
    source_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChain:
    """One way to treat a connection: TLS or not, then HTTP or TCP."""

    name: str
    terminal: HttpOptions | TcpOptions
    match: ChainMatch = field(default_factory=ChainMatch)
    tls: DownstreamTls | None = None
    tls_handshake_timeout: float = 0.0
    """transport_socket_connect_timeout."""
    identity: bytes = b""
    """Equal for two chains whose configuration is equal to the byte; connections of such stay when their listener changes."""

    @property
    def key(self) -> object:
        """What tells this chain from others of its listener, and from former ones that were otherwise."""
        return self.identity or id(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConfig:
    """One listener."""

    name: str
    host: str
    port: int
    chains: tuple[FilterChain, ...] = ()
    default_chain: FilterChain | None = None
    matcher: "ChainMatcher"
    additional: tuple[tuple[str, int], ...] = ()
    """Further addresses, with everything that is said of the first (additional_addresses)."""
    bind_to_port: bool = True
    transparent: bool = False
    """TPROXY: take connections to any address, which stays their own."""
    freebind: bool = False
    """Bind an address that this machine may get later."""
    use_original_dst: bool = False
    """Hand a connection to the listener of its original destination, if there is one."""
    original_dst: bool = False
    """The original_dst listener filter: recover the destination an iptables REDIRECT replaced."""
    original_src: int | None = None
    """The original_src listener filter: endpoints are called from the client's address, with packets of this mark (0 for none)."""
    proxy_protocol: "Rules | None" = None
    """The proxy_protocol listener filter: each connection begins by telling for whom it is made."""
    tls_inspector: bool = False
    http_inspector: bool = False
    tls_inspector_skips: Callable[[int], bool] | None = None
    """`filter_disabled`: whether connections to a port are not looked at."""
    http_inspector_skips: Callable[[int], bool] | None = None
    filters_timeout: float = 15.0
    continue_on_timeout: bool = False
    direction: str = ""
    buffer_limit: int = 1024 * 1024
    reuse_port: bool = True
    backlog: int = 4096
    observers: tuple[Callable[[Any], Any], ...] = ()
    """Listener-level access logs, told of connections that no filter chain took."""
    watchers: tuple[Callable[[Any], Any], ...] = ()
    """Those that are told of all others, too, when they have ended."""
    added_via_api: bool = False
    frame: bytes = b""
    """Equal for two listeners that differ in their filter chains only."""
    source: Any = field(default=None, repr=False, compare=False)
    """The protobuf it was compiled from, for /config_dump."""

    def looks_for_tls(self, port: int) -> bool:
        """Whether a connection to this port is asked whether it begins with TLS."""
        return self.tls_inspector and not (self.tls_inspector_skips is not None and self.tls_inspector_skips(port))

    def looks_for_http(self, port: int) -> bool:
        """Whether a connection to this port is asked whether it begins with a request."""
        return self.http_inspector and not (self.http_inspector_skips is not None and self.http_inspector_skips(port))

    @property
    def all_chains(self) -> tuple[FilterChain, ...]:
        """The default chain too."""
        return self.chains if self.default_chain is None else (*self.chains, self.default_chain)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Every host and port, the first one first."""
        return ((self.host, self.port), *self.additional)

    @property
    def address(self) -> str:
        return str(Address(self.host, self.port))
