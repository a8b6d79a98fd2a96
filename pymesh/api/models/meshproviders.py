"""Extension providers of the MeshConfig: where logs, spans and questions of authorization may go."""

import enum
from typing import Any

from ..types import I32, U32, Bool, Duration, Model


class RequestBody(Model):
    """How much of a request's body an external authorizer is shown."""

    max_request_bytes: U32 | None = None
    allow_partial_message: Bool | None = None
    pack_as_bytes: Bool | None = None


class ExtAuthzHttp(Model):
    """An authorizer that is asked over HTTP."""

    service: str | None = None
    port: U32 | None = None
    timeout: Duration | None = None
    path_prefix: str | None = None
    fail_open: Bool | None = None
    clear_route_cache: Bool | None = None
    status_on_error: str | None = None
    include_headers_in_check: list[str] = []
    include_request_headers_in_check: list[str] = []
    include_additional_headers_in_check: dict[str, str] = {}
    include_request_body_in_check: RequestBody | None = None
    headers_to_upstream_on_allow: list[str] = []
    headers_to_downstream_on_deny: list[str] = []
    headers_to_downstream_on_allow: list[str] = []


class ExtAuthzGrpc(Model):
    """An authorizer that is asked over gRPC."""

    service: str | None = None
    port: U32 | None = None
    timeout: Duration | None = None
    fail_open: Bool | None = None
    clear_route_cache: Bool | None = None
    status_on_error: str | None = None
    include_request_body_in_check: RequestBody | None = None


class ProviderHeader(Model):
    """A header with its value, or with the variable that holds it."""

    ONEOFS = (("value", "env_name"),)
    name: str | None = None
    value: str | None = None
    env_name: str | None = None


class TraceContextOption(enum.Enum):
    """Which headers carry the trace."""

    USE_B3 = "USE_B3"
    USE_B3_WITH_W3C_PROPAGATION = "USE_B3_WITH_W3C_PROPAGATION"


class Zipkin(Model):
    """Spans for Zipkin."""

    service: str | None = None
    port: U32 | None = None
    max_tag_length: U32 | None = None
    enable_64bit_trace_id: Bool | None = None
    path: str | None = None
    trace_context_option: TraceContextOption | None = None
    timeout: Duration | None = None
    headers: list[ProviderHeader] = []


class Lightstep(Model):
    """Spans for Lightstep; deprecated."""

    service: str | None = None
    port: U32 | None = None
    access_token: str | None = None
    max_tag_length: U32 | None = None


class Datadog(Model):
    """Spans for Datadog."""

    service: str | None = None
    port: U32 | None = None
    max_tag_length: U32 | None = None


class SkyWalking(Model):
    """Spans for SkyWalking."""

    service: str | None = None
    port: U32 | None = None
    access_token: str | None = None


class StackdriverLogging(Model):
    """Further labels of Stackdriver's log entries."""

    labels: dict[str, str] = {}


class Stackdriver(Model):
    """Spans, metrics and logs for Google's service."""

    debug: Bool | None = None
    max_number_of_attributes: I32 | None = None
    max_number_of_annotations: I32 | None = None
    max_number_of_message_events: I32 | None = None
    max_tag_length: U32 | None = None
    logging: StackdriverLogging | None = None


class TraceContext(enum.Enum):
    """Headers that carry a trace."""

    UNSPECIFIED = "UNSPECIFIED"
    W3C_TRACE_CONTEXT = "W3C_TRACE_CONTEXT"
    GRPC_BIN = "GRPC_BIN"
    CLOUD_TRACE_CONTEXT = "CLOUD_TRACE_CONTEXT"
    B3 = "B3"


class OpenCensus(Model):
    """Spans for an OpenCensus agent; deprecated."""

    service: str | None = None
    port: U32 | None = None
    context: list[TraceContext] = []
    max_tag_length: U32 | None = None


class Prometheus(Model):
    """Metrics that Prometheus scrapes."""


class LogFormat(Model):
    """A line of text, or an object of labels; Istio's own line when neither is given."""

    ONEOFS = (("text", "labels"),)
    text: str | None = None
    labels: dict[str, Any] = {}


class FileAccessLog(Model):
    """Access logs in a file; `/dev/stdout` when none is named."""

    path: str | None = None
    log_format: LogFormat | None = None
    omit_empty_values: Bool | None = None


class HttpAls(Model):
    """Access logs of requests for a gRPC service."""

    service: str | None = None
    port: U32 | None = None
    log_name: str | None = None
    filter_state_objects_to_log: list[str] = []
    additional_request_headers_to_log: list[str] = []
    additional_response_headers_to_log: list[str] = []
    additional_response_trailers_to_log: list[str] = []


class TcpAls(Model):
    """Access logs of connections for a gRPC service."""

    service: str | None = None
    port: U32 | None = None
    log_name: str | None = None
    filter_state_objects_to_log: list[str] = []


class OtelLogFormat(Model):
    """A body of text, and attributes."""

    text: str | None = None
    labels: dict[str, Any] = {}


class OtelAls(Model):
    """Access logs for an OpenTelemetry collector."""

    service: str | None = None
    port: U32 | None = None
    log_name: str | None = None
    log_format: OtelLogFormat | None = None


class HttpService(Model):
    """How a collector is called over HTTP."""

    path: str | None = None
    timeout: Duration | None = None
    headers: list[ProviderHeader] = []


class GrpcService(Model):
    """How a collector is called over gRPC."""

    timeout: Duration | None = None
    initial_metadata: list[ProviderHeader] = []


class Detector(Model):
    """A resource detector, which takes no settings."""


class ResourceDetectors(Model):
    """What spans tell of the machine."""

    environment: Detector | None = None
    dynatrace: Detector | None = None


class ServiceAttributes(enum.Enum):
    """By which names spans call the workload."""

    ISTIO_CANONICAL = "ISTIO_CANONICAL"
    OTEL_SEMANTIC_CONVENTIONS = "OTEL_SEMANTIC_CONVENTIONS"


class DynatraceApi(Model):
    """Where Dynatrace's sampler gets its settings."""

    service: str | None = None
    port: U32 | None = None
    http: HttpService | None = None


class DynatraceSampler(Model):
    """Sampling as Dynatrace does it."""

    tenant: str | None = None
    cluster_id: I32 | None = None
    root_spans_per_minute: U32 | None = None
    http_service: DynatraceApi | None = None


class OpenTelemetry(Model):
    """Spans for an OpenTelemetry collector."""

    service: str | None = None
    port: U32 | None = None
    max_tag_length: U32 | None = None
    http: HttpService | None = None
    grpc: GrpcService | None = None
    resource_detectors: ResourceDetectors | None = None
    service_attribute_enrichment: ServiceAttributes | None = None
    dynatrace_sampler: DynatraceSampler | None = None


class SdsProvider(Model):
    """A service that hands out certificates."""

    name: str | None = None
    service: str | None = None
    port: U32 | None = None


class ExtensionProvider(Model):
    """One provider under its name."""

    ONEOFS = (
        (
            "envoy_ext_authz_http", "envoy_ext_authz_grpc", "zipkin", "lightstep", "datadog", "stackdriver", "opencensus", "skywalking",
            "opentelemetry", "prometheus", "envoy_file_access_log", "envoy_http_als", "envoy_tcp_als", "envoy_otel_als", "sds",
        ),
    )  # fmt: skip
    name: str | None = None
    envoy_ext_authz_http: ExtAuthzHttp | None = None
    envoy_ext_authz_grpc: ExtAuthzGrpc | None = None
    zipkin: Zipkin | None = None
    lightstep: Lightstep | None = None
    datadog: Datadog | None = None
    stackdriver: Stackdriver | None = None
    opencensus: OpenCensus | None = None
    skywalking: SkyWalking | None = None
    opentelemetry: OpenTelemetry | None = None
    prometheus: Prometheus | None = None
    envoy_file_access_log: FileAccessLog | None = None
    envoy_http_als: HttpAls | None = None
    envoy_tcp_als: TcpAls | None = None
    envoy_otel_als: OtelAls | None = None
    sds: SdsProvider | None = None


class DefaultProviders(Model):
    """The providers of workloads for which no Telemetry says otherwise, by name."""

    tracing: list[str] = []
    metrics: list[str] = []
    access_logging: list[str] = []
