"""Telemetry: what proxies tell of the traffic."""

import enum

from pydantic import Field

from ..types import Bool, Double, Duration, Model, PolicySelector, PolicyTargetReference


class WorkloadMode(enum.Enum):
    """Which of a workload's roles; both when absent."""

    CLIENT_AND_SERVER = "CLIENT_AND_SERVER"
    CLIENT = "CLIENT"
    SERVER = "SERVER"


class ProviderRef(Model):
    """A provider of the mesh configuration, by name."""

    name: str


class ModeMatch(Model):
    """A role, in the message Istio wraps it in."""

    mode: WorkloadMode | None = None


class Literal(Model):
    """A tag's value itself."""

    value: str


class Environment(Model):
    """A tag's value from the proxy's environment."""

    name: str
    default_value: str | None = None


class RequestHeader(Model):
    """A tag's value from a header."""

    name: str
    default_value: str | None = None


class Formatter(Model):
    """A tag's value by Envoy's format string."""

    value: str


class CustomTag(Model):
    """A tag of spans."""

    ONEOFS = (("literal", "environment", "header", "formatter"),)
    literal: Literal | None = None
    environment: Environment | None = None
    header: RequestHeader | None = None
    formatter: Formatter | None = None


class Tracing(Model):
    """Spans."""

    match: ModeMatch | None = None
    providers: list[ProviderRef] = []
    random_sampling_percentage: Double | None = None
    disable_span_reporting: Bool | None = None
    custom_tags: dict[str, CustomTag] = {}
    use_request_id_for_trace_sampling: Bool | None = None
    enable_istio_tags: Bool | None = None
    disable_context_propagation: Bool | None = None


class IstioMetric(enum.Enum):
    """Istio's standard metrics."""

    ALL_METRICS = "ALL_METRICS"
    REQUEST_COUNT = "REQUEST_COUNT"
    REQUEST_DURATION = "REQUEST_DURATION"
    REQUEST_SIZE = "REQUEST_SIZE"
    RESPONSE_SIZE = "RESPONSE_SIZE"
    TCP_OPENED_CONNECTIONS = "TCP_OPENED_CONNECTIONS"
    TCP_CLOSED_CONNECTIONS = "TCP_CLOSED_CONNECTIONS"
    TCP_SENT_BYTES = "TCP_SENT_BYTES"
    TCP_RECEIVED_BYTES = "TCP_RECEIVED_BYTES"
    GRPC_REQUEST_MESSAGES = "GRPC_REQUEST_MESSAGES"
    GRPC_RESPONSE_MESSAGES = "GRPC_RESPONSE_MESSAGES"


class MetricSelector(Model):
    """A metric, in a role."""

    ONEOFS = (("metric", "custom_metric"),)
    metric: IstioMetric | None = None
    custom_metric: str | None = Field(default=None, min_length=1)
    mode: WorkloadMode | None = None


class TagOperation(enum.Enum):
    """What is done to a tag."""

    UPSERT = "UPSERT"
    REMOVE = "REMOVE"


class TagOverride(Model):
    """A change to one tag; `value` is an expression in CEL."""

    operation: TagOperation | None = None
    value: str | None = None


class MetricsOverrides(Model):
    """Changes to a metric."""

    match: MetricSelector | None = None
    disabled: Bool | None = None
    tag_overrides: dict[str, TagOverride] = {}


class Metrics(Model):
    """Metrics."""

    providers: list[ProviderRef] = []
    overrides: list[MetricsOverrides] = []
    reporting_interval: Duration | None = None


class LogFilter(Model):
    """Which requests are logged: an expression in CEL."""

    expression: str | None = None


class AccessLogging(Model):
    """Access logs."""

    match: ModeMatch | None = None
    providers: list[ProviderRef] = []
    disabled: Bool | None = None
    filter: LogFilter | None = None


class Telemetry(Model):
    """The `spec` of a Telemetry."""

    selector: PolicySelector | None = None
    target_ref: PolicyTargetReference | None = None
    target_refs: list[PolicyTargetReference] = []
    tracing: list[Tracing] = []
    metrics: list[Metrics] = []
    access_logging: list[AccessLogging] = []
