"""The ProxyConfig of the MeshConfig (`defaultConfig`) and of the annotation `proxy.istio.io/config`: settings of single proxies."""

import enum

from ..types import I32, U32, Bool, Double, Duration, DurationOrZero, Model
from .destinationrule import ClientTLSSettings, TcpKeepalive
from .proxyconfig import ProxyImage
from .telemetry import Environment, Literal, RequestHeader
from .workloadgroup import ReadinessProbe


class RemoteService(Model):
    """A service that proxies report to."""

    address: str | None = None
    tls_settings: ClientTLSSettings | None = None
    tcp_keepalive: TcpKeepalive | None = None


class TracerAddress(Model):
    """Where spans go; Lightstep also wants a token."""

    address: str | None = None


class TracerWithToken(TracerAddress):
    """Where spans go, and the word that lets them in."""

    access_token: str | None = None


class StackdriverTracer(Model):
    """Limits of Stackdriver's spans."""

    debug: Bool | None = None
    max_number_of_attributes: I32 | None = None
    max_number_of_annotations: I32 | None = None
    max_number_of_message_events: I32 | None = None


class OpenCensusTracer(TracerAddress):
    """An OpenCensus agent; the contexts are the headers that carry a trace."""

    context: list[str] = []


class SpanTag(Model):
    """A tag of every span, from one of three sources."""

    ONEOFS = (("literal", "environment", "header"),)
    literal: Literal | None = None
    environment: Environment | None = None
    header: RequestHeader | None = None


class ProxyTracing(Model):
    """Spans of a proxy."""

    ONEOFS = (("zipkin", "lightstep", "datadog", "stackdriver", "open_census_agent"),)
    zipkin: TracerAddress | None = None
    lightstep: TracerWithToken | None = None
    datadog: TracerAddress | None = None
    stackdriver: StackdriverTracer | None = None
    open_census_agent: OpenCensusTracer | None = None
    custom_tags: dict[str, SpanTag] = {}
    max_path_tag_length: U32 | None = None
    sampling: Double | None = None
    tls_settings: ClientTLSSettings | None = None
    enable_istio_tags: Bool | None = None


class Sds(Model):
    """Deprecated: certificates over SDS, which is the only way by now."""

    enabled: Bool | None = None
    k8s_sa_jwt_path: str | None = None


class ForwardClientCert(enum.Enum):
    """What becomes of x-forwarded-client-cert."""

    UNDEFINED = "UNDEFINED"
    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


class ProxyProtocolReading(Model):
    """Connections begin with a PROXY header."""


class Topology(Model):
    """What stands in front of a gateway."""

    num_trusted_proxies: U32 | None = None
    forward_client_cert_details: ForwardClientCert | None = None
    proxy_protocol: ProxyProtocolReading | None = None


class ProxyStatsMatcher(Model):
    """Envoy's own statistics that are kept."""

    inclusion_prefixes: list[str] = []
    inclusion_suffixes: list[str] = []
    inclusion_regexps: list[str] = []


class PrivateKeyAccelerator(Model):
    """A device that computes signatures."""

    poll_delay: Duration | None = None
    fallback: Bool | None = None


class PrivateKeyProvider(Model):
    """Who computes signatures in the place of the proxy."""

    ONEOFS = (("cryptomb", "qat"),)
    cryptomb: PrivateKeyAccelerator | None = None
    qat: PrivateKeyAccelerator | None = None


class Disableable(Model):
    """A header that is there unless it is switched off."""

    disabled: Bool | None = None


class ServerHeader(Disableable):
    """The header `server` of answers; `istio-envoy` unless another value is given."""

    value: str | None = None


class Enableable(Model):
    """A header that is there if it is switched on."""

    enabled: Bool | None = None


class MetadataExchange(enum.Enum):
    """With whom workload metadata is exchanged in headers."""

    UNDEFINED = "UNDEFINED"
    IN_MESH = "IN_MESH"


class MetadataExchangeHeaders(Model):
    """The headers `x-envoy-peer-metadata`."""

    mode: MetadataExchange | None = None


class ClientCertDetails(Model):
    """What x-forwarded-client-cert tells of the client's certificate."""

    subject: Bool | None = None
    cert: Bool | None = None
    chain: Bool | None = None
    dns: Bool | None = None
    uri: Bool | None = None


class ProxyHeaders(Model):
    """Headers that proxies add."""

    forwarded_client_cert: ForwardClientCert | None = None
    set_current_client_cert_details: ClientCertDetails | None = None
    request_id: Disableable | None = None
    server: ServerHeader | None = None
    attempt_count: Disableable | None = None
    envoy_debug_headers: Disableable | None = None
    metadata_exchange_headers: MetadataExchangeHeaders | None = None
    preserve_http1_header_case: Bool | None = None
    x_forwarded_host: Enableable | None = None
    x_forwarded_port: Enableable | None = None


class ConnectionProfile(enum.Enum):
    """Defaults of the limits: those of a sidecar, or of a proxy whose clients are strangers."""

    SIDECAR = "SIDECAR"
    EDGE = "EDGE"


class Underscores(enum.Enum):
    """What becomes of header names with underscores."""

    HEADERS_WITH_UNDERSCORES_UNSPECIFIED = "HEADERS_WITH_UNDERSCORES_UNSPECIFIED"
    HEADERS_WITH_UNDERSCORES_ALLOW = "HEADERS_WITH_UNDERSCORES_ALLOW"
    HEADERS_WITH_UNDERSCORES_REJECT_REQUEST = "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST"
    HEADERS_WITH_UNDERSCORES_DROP_HEADER = "HEADERS_WITH_UNDERSCORES_DROP_HEADER"


class EscapedSlashes(enum.Enum):
    """What becomes of escaped slashes in paths."""

    PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED = "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED"
    KEEP_UNCHANGED = "KEEP_UNCHANGED"
    REJECT_REQUEST = "REJECT_REQUEST"
    UNESCAPE_AND_REDIRECT = "UNESCAPE_AND_REDIRECT"
    UNESCAPE_AND_FORWARD = "UNESCAPE_AND_FORWARD"


class ConnectionSettings(Model):
    """Limits of a proxy's connections."""

    profile: ConnectionProfile | None = None
    listener_per_connection_buffer_limit_bytes: I32 | None = None
    cluster_per_connection_buffer_limit_bytes: I32 | None = None
    http_idle_timeout: DurationOrZero | None = None
    http_max_connection_duration: DurationOrZero | None = None
    http_drain_timeout: DurationOrZero | None = None
    http_request_timeout: DurationOrZero | None = None
    http_request_headers_timeout: DurationOrZero | None = None
    http_stream_idle_timeout: DurationOrZero | None = None
    http_max_stream_duration: DurationOrZero | None = None
    http_max_concurrent_streams: I32 | None = None
    http2_initial_stream_window_size: I32 | None = None
    http2_initial_connection_window_size: I32 | None = None
    http_headers_with_underscores_action: Underscores | None = None
    http_merge_slashes: Bool | None = None
    http_path_with_escaped_slashes_action: EscapedSlashes | None = None
    listener_connection_limit: I32 | None = None
    global_downstream_connection_limit: I32 | None = None


class AuthenticationPolicy(enum.Enum):
    """How the control plane is reached."""

    NONE = "NONE"
    MUTUAL_TLS = "MUTUAL_TLS"
    INHERIT = "INHERIT"


class InboundInterceptionMode(enum.Enum):
    """How traffic gets to a sidecar."""

    REDIRECT = "REDIRECT"
    TPROXY = "TPROXY"
    NONE = "NONE"


class TracingServiceName(enum.Enum):
    """By which name spans call the workload."""

    APP_LABEL_AND_NAMESPACE = "APP_LABEL_AND_NAMESPACE"
    CANONICAL_NAME_ONLY = "CANONICAL_NAME_ONLY"
    CANONICAL_NAME_AND_NAMESPACE = "CANONICAL_NAME_AND_NAMESPACE"


class ProxySettings(Model):
    """Istio's message `istio.mesh.v1alpha1.ProxyConfig`; the resource of that name has other fields."""

    ONEOFS = (("service_cluster", "tracing_service_name"),)
    config_path: str | None = None
    binary_path: str | None = None
    service_cluster: str | None = None
    tracing_service_name: TracingServiceName | None = None
    drain_duration: Duration | None = None
    discovery_address: str | None = None
    discovery_refresh_delay: Duration | None = None
    zipkin_address: str | None = None
    statsd_udp_address: str | None = None
    envoy_metrics_service_address: str | None = None
    proxy_admin_port: I32 | None = None
    availability_zone: str | None = None
    control_plane_auth_policy: AuthenticationPolicy | None = None
    custom_config_file: str | None = None
    stat_name_length: I32 | None = None
    concurrency: I32 | None = None
    proxy_bootstrap_template_path: str | None = None
    interception_mode: InboundInterceptionMode | None = None
    tracing: ProxyTracing | None = None
    sds: Sds | None = None
    envoy_access_log_service: RemoteService | None = None
    envoy_metrics_service: RemoteService | None = None
    proxy_metadata: dict[str, str] = {}
    runtime_values: dict[str, str] = {}
    status_port: I32 | None = None
    extra_stat_tags: list[str] = []
    gateway_topology: Topology | None = None
    termination_drain_duration: Duration | None = None
    mesh_id: str | None = None
    readiness_probe: ReadinessProbe | None = None
    proxy_stats_matcher: ProxyStatsMatcher | None = None
    hold_application_until_proxy_starts: Bool | None = None
    ca_certificates_pem: list[str] = []
    image: ProxyImage | None = None
    private_key_provider: PrivateKeyProvider | None = None
    proxy_headers: ProxyHeaders | None = None
    file_flush_interval: Duration | None = None
    file_flush_min_size_kb: U32 | None = None
    stats_compression: Bool | None = None
    connection_settings: ConnectionSettings | None = None
