"""DestinationRule: what applies to traffic once its destination is chosen."""

import enum

from pydantic import Field

from ..types import I32, U32, U64, Bool, Double, Duration, DurationOrZero, Model, PolicySelector, PortSelector


class SimpleLB(enum.Enum):
    """Load balancing that needs no key; UNSPECIFIED means LEAST_REQUEST."""

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"


class HTTPCookieAttribute(Model):
    """An attribute of a cookie that the proxy makes."""

    name: str
    value: str | None = None


class HTTPCookie(Model):
    """The cookie whose value is the hash key; made by the proxy when `ttl` is set."""

    name: str
    path: str | None = None
    ttl: DurationOrZero | None = None
    attributes: list[HTTPCookieAttribute] = []


class RingHash(Model):
    """Ketama."""

    minimum_ring_size: U64 | None = None


class MagLev(Model):
    """Maglev."""

    table_size: U64 | None = None


class ConsistentHashLB(Model):
    """Load balancing by a hash of the request."""

    ONEOFS = (("http_header_name", "http_cookie", "use_source_ip", "http_query_parameter_name"), ("ring_hash", "maglev"))
    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: Bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: U64 | None = None


class Distribute(Model):
    """Shares of the traffic of one locality."""

    from_: str | None = Field(None, alias="from")
    to: dict[str, U32] = {}


class Failover(Model):
    """Where a region's traffic goes when it has no healthy endpoint."""

    from_: str | None = Field(None, alias="from")
    to: str | None = None


class LocalityLbSetting(Model):
    """Traffic by region, zone and sub-zone."""

    distribute: list[Distribute] = []
    failover: list[Failover] = []
    failover_priority: list[str] = []
    enabled: Bool | None = None


class ZoneAwareLbSetting(Model):
    """Traffic that stays in its zone in proportion to the zone's capacity."""

    enabled: Bool | None = None
    failover: list[Failover] = []
    failover_priority: list[str] = []
    min_cluster_size: U64 | None = Field(default=None, ge=1)


class Warmup(Model):
    """A slow start for new endpoints."""

    duration: Duration
    minimum_percent: Double | None = None
    aggression: Double | None = None


class LoadBalancerSettings(Model):
    """How an endpoint is chosen."""

    ONEOFS = (("simple", "consistent_hash"),)
    simple: SimpleLB | None = None
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLbSetting | None = None
    zone_aware_lb_setting: ZoneAwareLbSetting | None = None
    warmup_duration_secs: Duration | None = None
    warmup: Warmup | None = None


class TcpKeepalive(Model):
    """SO_KEEPALIVE on upstream sockets."""

    probes: U32 | None = None
    time: Duration | None = None
    interval: Duration | None = None


class TCPSettings(Model):
    """Connection limits and timeouts for HTTP and TCP alike; `idle_timeout` 0 means never."""

    max_connections: I32 | None = None
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: DurationOrZero | None = None


class H2UpgradePolicy(enum.Enum):
    """Whether HTTP/1 requests are sent on as HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class HTTP2KeepAlive(Model):
    """HTTP/2 PING as keep-alive."""

    interval: Duration | None = None
    timeout: Duration | None = None


class HTTPSettings(Model):
    """Request limits and timeouts; a zero limit is the same as none."""

    http1_max_pending_requests: I32 | None = None
    http2_max_requests: I32 | None = None
    max_requests_per_connection: I32 | None = None
    max_retries: I32 | None = None
    idle_timeout: Duration | None = None
    h2_upgrade_policy: H2UpgradePolicy | None = None
    use_client_protocol: Bool | None = None
    max_concurrent_streams: I32 | None = None
    http2_keep_alive: HTTP2KeepAlive | None = None


class ConnectionPoolSettings(Model):
    """Circuit breakers."""

    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class OutlierDetection(Model):
    """When an endpoint is set aside for a while."""

    consecutive_errors: I32 | None = None
    split_external_local_origin_errors: Bool | None = None
    consecutive_local_origin_failures: U32 | None = None
    consecutive_gateway_errors: U32 | None = None
    consecutive_5xx_errors: U32 | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: I32 | None = None
    min_health_percent: I32 | None = None
    outlier_detection_http_error_codes: list[U32] = []


class TLSMode(enum.Enum):
    """How the connection to the destination is secured."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class ClientTLSSettings(Model):
    """TLS towards the destination."""

    mode: TLSMode | None = None
    client_certificate: str | None = None
    private_key: str | None = None
    ca_certificates: str | None = None
    credential_name: str | None = None
    subject_alt_names: list[str] = []
    sni: str | None = None
    insecure_skip_verify: Bool | None = None
    ca_crl: str | None = None


class PortTrafficPolicy(Model):
    """A policy for one port, which takes the place of the destination's whole policy."""

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TunnelSettings(Model):
    """TCP through an HTTP proxy."""

    protocol: str | None = None
    target_host: str
    target_port: U32


class ProxyProtocolVersion(enum.Enum):
    """The PROXY protocol's two forms."""

    V1 = "V1"
    V2 = "V2"


class ProxyProtocol(Model):
    """The PROXY protocol towards the destination."""

    version: ProxyProtocolVersion | None = None


class RetryBudget(Model):
    """How many retries may run, relative to the requests that run."""

    percent: Double | None = None
    budget_interval: DurationOrZero | None = None
    min_retry_concurrency: U32 | None = None


class TrafficPolicy(Model):
    """Everything that applies to a destination's traffic."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: list[PortTrafficPolicy] = Field(default=[], max_length=4096)
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class Subset(Model):
    """Some endpoints of a service, by label."""

    name: str
    labels: dict[str, str] = {}
    traffic_policy: TrafficPolicy | None = None


class DestinationRule(Model):
    """The `spec` of a DestinationRule."""

    host: str
    traffic_policy: TrafficPolicy | None = None
    subsets: list[Subset] = []
    export_to: list[str] = []
    workload_selector: PolicySelector | None = None
