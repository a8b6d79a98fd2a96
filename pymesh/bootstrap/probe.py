"""The readiness probe of a workload that no kubelet probes: ProxyConfig's `readinessProbe`, with Istio's defaults."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Header(_Part):
    """A header of the request."""

    name: str
    value: str = ""


class HttpGet(_Part):
    """A GET that has to be answered with 200 to 399."""

    path: str = "/"
    port: Port
    host: str = ""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    http_headers: tuple[Header, ...] = ()


class TcpSocket(_Part):
    """A connection that has to be accepted."""

    port: Port
    host: str = ""


class Command(_Part):
    """A program that has to exit with 0."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]


class Grpc(_Part):
    """A call of grpc.health.v1 that has to be answered with SERVING."""

    port: Port
    service: str = ""


class ReadinessProbe(_Part):
    """What is tried, and how often; times are seconds, and 0 stands for the default as in protobuf."""

    initial_delay_seconds: Count = 0
    timeout_seconds: Count = 0
    period_seconds: Count = 0
    success_threshold: Count = 0
    failure_threshold: Count = 0
    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Command | None = None
    grpc: Grpc | None = None

    @model_validator(mode="after")
    def _has_one(self) -> "ReadinessProbe":
        if len([one for one in (self.http_get, self.tcp_socket, self.exec, self.grpc) if one is not None]) != 1:
            raise ValueError("needs one of httpGet, tcpSocket, exec and grpc")
        return self

    @property
    def timeout(self) -> int:
        return self.timeout_seconds or 1

    @property
    def period(self) -> int:
        return self.period_seconds or 10

    @property
    def successes(self) -> int:
        """How many in a row make it ready."""
        return self.success_threshold or 1

    @property
    def failures(self) -> int:
        """How many in a row make it unready."""
        return self.failure_threshold or 3
