"""Active health checks as configuration says them, compiled and immutable. Times are seconds, 0 means off."""

from collections.abc import Callable
from dataclasses import dataclass

from ..http.headers import Fields

Statuses = tuple[range, ...]

IMMEDIATE = b"x-envoy-immediate-health-check-fail"
"""A field by which an endpoint asks for no more traffic, in an answer to a check or to a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProbe:
    """A request, and what its answer must be."""

    path: bytes
    host: str = ""
    """The endpoint's own check hostname comes before it, the cluster's name behind it."""
    method: bytes = b"GET"
    http2: bool = False
    add: Callable[[Fields], None] | None = None
    """Changes the request's fields."""
    expected: Statuses = (range(200, 201),)
    retriable: Statuses = ()
    """Statuses that count towards the threshold; any other unexpected one makes the endpoint sick at once."""
    service_name: Callable[[bytes], bool] | None = None
    """A test of `x-envoy-upstream-healthchecked-cluster`."""
    receive: tuple[bytes, ...] = ()
    """What the answer's body must contain, in this order."""
    buffer: int = 1024
    """How much of the body is looked at; 0 for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpProbe:
    """A connection, what is said on it, and what must come back; nothing to come back: the connection is all."""

    send: bytes = b""
    receive: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcProbe:
    """grpc.health.v1.Health/Check."""

    service: str = ""
    authority: str = ""
    add: Callable[[Fields], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckConfig:
    """An entry of a cluster's `health_checks`."""

    probe: HttpProbe | TcpProbe | GrpcProbe
    timeout: float
    interval: float
    unhealthy_threshold: int
    healthy_threshold: int
    unhealthy_interval: float
    """Between the checks of a sick endpoint."""
    unhealthy_edge_interval: float
    """After a check that failed, of an endpoint that is not sick yet."""
    healthy_edge_interval: float
    """After one that succeeded, of an endpoint that is sick still."""
    no_traffic_interval: float = 60.0
    """As long as the cluster never had a connection."""
    no_traffic_healthy_interval: float = 60.0
    """The same for endpoints that are well."""
    initial_jitter: float = 0.0
    interval_jitter: float = 0.0
    interval_jitter_percent: int = 0
    reuse: bool = True
    """The connection serves the next check, too."""
    outweighs_removal: bool = False
    """What is well serves on when discovery removes it, until a check finds it sick."""
    alpn: tuple[str, ...] = ()
    """In the place of the transport socket's own protocols."""
    transport_match: tuple[tuple[str, str], ...] | None = None
    """The labels that choose the transport socket for checks; None: the endpoint's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCheck:
    """What an endpoint says of its own checks (`health_check_config`)."""

    host: str = ""
    """An address besides the endpoint's."""
    port: int = 0
    hostname: str = ""
    disabled: bool = False
