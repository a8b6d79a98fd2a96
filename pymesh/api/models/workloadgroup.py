"""WorkloadGroup: what workloads that register themselves have in common."""

from pydantic import Field

from ..types import I32, U32, Model
from .workloadentry import WorkloadEntry


class ObjectMeta(Model):
    """Metadata of the WorkloadEntries that are made."""

    labels: dict[str, str] = Field(default={}, max_length=256)
    annotations: dict[str, str] = Field(default={}, max_length=256)


class HTTPHeader(Model):
    """A header of a probe."""

    name: str | None = None
    value: str | None = None


class HTTPHealthCheck(Model):
    """A GET that has to be answered with 200 to 399."""

    path: str | None = None
    port: U32
    host: str | None = None
    scheme: str | None = None
    http_headers: list[HTTPHeader] = []


class TCPHealthCheck(Model):
    """A connection that has to be accepted."""

    host: str | None = None
    port: U32


class ExecHealthCheck(Model):
    """A command that has to exit with 0."""

    command: list[str]


class GrpcHealthCheck(Model):
    """A call of grpc.health.v1 that has to be answered with SERVING."""

    port: U32 | None = None
    service: str | None = None


class ReadinessProbe(Model):
    """How a workload's health is found out; times are seconds."""

    ONEOFS = (("http_get", "tcp_socket", "exec", "grpc"),)
    initial_delay_seconds: I32 | None = None
    timeout_seconds: I32 | None = None
    period_seconds: I32 | None = None
    success_threshold: I32 | None = None
    failure_threshold: I32 | None = None
    http_get: HTTPHealthCheck | None = None
    tcp_socket: TCPHealthCheck | None = None
    exec: ExecHealthCheck | None = None
    grpc: GrpcHealthCheck | None = None


class WorkloadGroup(Model):
    """The `spec` of a WorkloadGroup."""

    metadata: ObjectMeta | None = None
    template: WorkloadEntry
    probe: ReadinessProbe | None = None
