"""A cluster and its endpoints as configuration says them, compiled and immutable. Times are seconds, 0 means off."""

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymesh.address import Address

from ..http2.settings import Http2Options
from ..tls.config import UpstreamTls
from .balancing.config import BalancingConfig
from .dns_config import DnsConfig
from .health_config import EndpointCheck, HealthCheckConfig
from .outlier_config import OutlierConfig

if TYPE_CHECKING:
    from .dns_cache import DnsCache

UNLIMITED = 2**32 - 1

ALPN = ("h2", "http/1.1")
"""What is offered where the version is negotiated."""


class Discovery(enum.Enum):
    """How a cluster learns its endpoints (Envoy's DiscoveryType)."""

    STATIC = 0
    STRICT_DNS = 1
    LOGICAL_DNS = 2
    EDS = 3
    ORIGINAL_DST = 4
    DYNAMIC = 5
    """Of the hosts that requests name (the cluster type envoy.clusters.dynamic_forward_proxy)."""


class UpstreamProtocol(enum.Enum):
    HTTP1 = "http1"
    HTTP2 = "http2"
    DOWNSTREAM = "downstream"
    """Whatever the client spoke (use_downstream_protocol_config)."""
    AUTO = "auto"
    """What each connection agrees on by ALPN (auto_config)."""


class Health(enum.Enum):
    UNKNOWN = 0
    HEALTHY = 1
    UNHEALTHY = 2
    DRAINING = 3
    TIMEOUT = 4
    DEGRADED = 5


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """Whose address a connection to an endpoint is made from, if not from one of this machine (original_src)."""

    ip: str
    mark: int
    """What the kernel knows its packets by (SO_MARK); 0 for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """One address that can serve a cluster."""

    host: str
    """An IP, a name to resolve (DNS clusters), or a path beginning with `/` for a Unix socket."""
    port: int
    weight: int = 1
    health: Health = Health.UNKNOWN
    region: str = ""
    zone: str = ""
    sub_zone: str = ""
    priority: int = 0
    """0 is the most preferred."""
    locality_weight: int = 0
    """What its locality's weight is within its priority; 0 gets nothing where localities are weighted."""
    hostname: str = ""
    additional_addresses: tuple[tuple[str, int], ...] = ()
    """Further IPs and ports of the same endpoint, tried when the first one does not answer soon."""
    hash_key: str = ""
    """Metadata `envoy.lb`.`hash_key`: what consistent hashing places it by, instead of its address."""
    transport_match: tuple[tuple[str, str], ...] = ()
    """Metadata `envoy.transport_socket_match`, what chooses the TLS settings (`tlsMode: istio`)."""
    labels: tuple[tuple[str, str], ...] = ()
    """Metadata `envoy.lb`."""
    check: EndpointCheck | None = None
    """What it says of its own health checks."""
    workload: str = ""
    """Metadata `istio`.`workload`: `<workload>;<namespace>;<canonical name>;<canonical revision>;<cluster>`."""
    source: SourceAddress | None = None
    """Of an original destination: the client for which alone it stands, and from whose address it is called."""

    @property
    def canary(self) -> bool:
        """`envoy.lb`'s mark of an endpoint on trial."""
        return ("canary", "True") in self.labels

    @property
    def place(self) -> tuple[str, str, str]:
        """Its locality: region, zone and sub-zone."""
        return self.region, self.zone, self.sub_zone

    @property
    def address(self) -> str:
        return self.host if self.host.startswith("/") else str(Address(self.host, self.port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A ClusterLoadAssignment: every endpoint of a cluster."""

    cluster: str
    endpoints: tuple[EndpointConfig, ...]
    drop_percent: float = 0.0
    overprovisioning_factor: int = 140
    """Percent: how much more than its part each usable endpoint is trusted to take."""
    weighted_priority_health: bool = False
    """A priority's health goes by the weights of its endpoints, not by their number."""
    stale_after: float = 0.0
    """Without news for so long, the endpoints are not to be used any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneAware:
    """zone_aware_lb_config, with Envoy's defaults; it means something where the bootstrap names a local cluster."""

    routing_enabled: int = 100
    """Percent of the requests that look at zones."""
    min_cluster_size: int = 6
    """With fewer healthy endpoints zones do not matter."""
    local_minimum: int = 0
    """From so many healthy endpoints on the caller's zone serves all of its requests (force_local_zone); 0 for never."""
    by_weight: bool = False
    """Endpoints count with their weights (locality_basis)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonLb:
    """common_lb_config: what all balancing algorithms share."""

    panic_threshold: int = 50
    """Percent of usable endpoints below which a priority's load goes to all of its endpoints; 0 disables that."""
    fail_on_panic: bool = False
    """In a panic requests fail instead."""
    locality_weighted: bool = False
    zone_aware: ZoneAware = field(default_factory=ZoneAware)
    ignore_new: bool = False
    """Endpoints that no check has looked at yet do not count when it is asked what part of them is usable."""
    close_on_change: bool = False
    """Connections to all endpoints are left when any endpoint comes, goes or changes its standing."""
    sessions_in: frozenset[Health] = frozenset({Health.UNKNOWN, Health.HEALTHY, Health.DEGRADED})
    """The states in which an endpoint keeps its sessions (override_host_status)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportMatch:
    """An entry of transport_socket_matches: the first whose labels an endpoint carries decides its TLS (None: plaintext)."""

    name: str
    labels: tuple[tuple[str, str], ...]
    tls: UpstreamTls | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyHeader:
    """The upstream_proxy_protocol transport socket: connections begin by telling for whom they are made."""

    version: int
    tlvs: frozenset[int] | None = frozenset()
    """Types of the client's TLVs that are passed on; None means all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyeballs:
    """happy_eyeballs_config: which family begins (4 or 6; 0 for the first address's), and how many of it before one of the other."""

    family: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalDst:
    """original_dst_lb_config: what an ORIGINAL_DST cluster looks at besides the address that the client meant."""

    header: bytes = b""
    """A request header with IP and port that comes before it; empty for none."""
    port: int = 0
    """Instead of the port of either; 0 leaves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Circuit-breaker thresholds of one priority, Envoy's defaults."""

    max_connections: int = 1024
    max_pending_requests: int = 1024
    max_requests: int = 1024
    max_retries: int = 3
    budget_percent: float = -1.0
    """Of the requests in flight so many may be retries, instead of max_retries; below 0 there is no such budget."""
    budget_interval: float = 0.0
    """Or of the requests that began within so many seconds; 0 for those in flight."""
    min_retry_concurrency: int = 3
    """Retries that a budget always allows."""
    max_connections_per_host: int = UNLIMITED
    track_remaining: bool = False
    """Statistics tell what is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """One Cluster resource."""

    name: str
    discovery: Discovery
    assignment: Assignment | None = None
    """The inline load_assignment of STATIC and DNS clusters."""
    eds_name: str = ""
    balancing: BalancingConfig = field(default_factory=BalancingConfig)
    connect_timeout: float = 5.0
    limits: Limits = field(default_factory=Limits)
    high_limits: Limits = field(default_factory=Limits)
    """For routes of the priority HIGH."""
    protocol: UpstreamProtocol = UpstreamProtocol.HTTP1
    http2: Http2Options = field(default_factory=Http2Options)
    """How HTTP/2 is spoken where it is."""
    max_requests_per_connection: int = 0
    idle_timeout: float = 3600.0
    max_connection_duration: float = 0.0
    max_stream_duration: float = 0.0
    """For one attempt, from its connection to the end of its answer."""
    max_response_headers: int = 80 * 1024
    max_response_headers_count: int = 100
    enable_trailers: bool = False
    proper_case: bool = False
    """Names of headers go up with capital letters where words begin."""
    buffer_limit: int = 1024 * 1024
    """per_connection_buffer_limit_bytes: the high-water mark; half of it is the low one."""
    tls: UpstreamTls | None = None
    transport_matches: tuple[TransportMatch, ...] = ()
    proxy_header: ProxyHeader | None = None
    """For all transport sockets of the cluster alike."""
    common_lb: CommonLb = field(default_factory=CommonLb)
    outlier: OutlierConfig | None = None
    health_check: HealthCheckConfig | None = None
    dns: DnsConfig = field(default_factory=DnsConfig)
    dns_cache: "DnsCache | None" = None
    """Where the hosts of a cluster of type DYNAMIC are looked up."""
    bind_addresses: tuple[str, ...] = ()
    """upstream_bind_config: the source IPs (`127.0.0.6` for inbound passthrough), of which the endpoint's family chooses."""
    eyeballs: Eyeballs = field(default_factory=Eyeballs)
    """How endpoints with several addresses are connected to."""
    original_dst: OriginalDst = field(default_factory=OriginalDst)
    keepalive: tuple[int, int, int] | None = None
    """TCP keepalive: probes, time and interval in seconds; None leaves the system's."""
    alt_stat_name: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    """filter_metadata as plain values (`istio`: services, subset, config, ...)."""
    added_via_api: bool = False
    source: Any = field(default=None, repr=False, compare=False)
    """The protobuf it was compiled from, for /config_dump."""
