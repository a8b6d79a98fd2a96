"""RateLimit and RateLimitPerRoute: limits that a service keeps."""

from typing import TYPE_CHECKING

from ..filters.fraction import ALWAYS, NEVER, Fraction
from ..filters.local_ratelimit import RESOURCE_EXHAUSTED
from ..filters.ratelimit import GlobalLimit, RateLimitFilter, RouteLimit
from ..filters.rls import Service
from ..route import edits
from .fields import Reader
from .fractions import runtime_fraction
from .local_ratelimit import added, http_status, limited_status
from .rate_limits import host_option, rules

if TYPE_CHECKING:
    from .http_filters import Manager

_HONOURED = (
    "domain",
    "stage",
    "request_type",
    "timeout",
    "failure_mode_deny",
    "rate_limited_as_resource_exhausted",
    "rate_limit_service",
    "enable_x_ratelimit_headers",
    "disable_x_envoy_ratelimited_header",
    "rate_limited_status",
    "response_headers_to_add",
    "status_on_error",
    "filter_enabled",
    "filter_enforced",
    "failure_mode_deny_percent",
    "rate_limits",
)


def ratelimit_filter(reader: Reader, manager: "Manager") -> RateLimitFilter:
    """The filter of a manager."""
    reader.only(*_HONOURED)
    message = reader.message
    if message.request_type not in ("", "internal", "external", "both"):
        reader.refuse("request_type", f"{message.request_type!r} is none of internal, external, both")
    limit = GlobalLimit(
        domain=message.domain,
        service=_service(reader.child("rate_limit_service")),
        stage=message.stage,
        internal=message.request_type != "external",
        external=message.request_type != "internal",
        timeout=reader.seconds("timeout", 0.02),
        deny_failures=_deny_failures(reader),
        enabled=runtime_fraction(reader, "filter_enabled", ALWAYS),
        enforced=runtime_fraction(reader, "filter_enforced", ALWAYS),
        status=limited_status(reader, "rate_limited_status"),
        error_status=http_status(reader, "status_on_error") or 500,
        grpc_status=RESOURCE_EXHAUSTED if message.rate_limited_as_resource_exhausted else -1,
        tells_limited=not message.disable_x_envoy_ratelimited_header,
        tells_state=reader.choice("enable_x_ratelimit_headers") == "DRAFT_VERSION_03",
        edit_response=edits.response_edit([added(reader, "response_headers_to_add")]),
        rules=rules(reader),
    )
    return RateLimitFilter(limit, manager.ctx.services)


def route_limit(reader: Reader) -> RouteLimit:
    """What a route has otherwise."""
    reader.only("vh_rate_limits", "rate_limits", "domain", at_default={"override_option": 0})
    return RouteLimit(host_option=host_option(reader), domain=reader.message.domain, rules=rules(reader))


def _deny_failures(reader: Reader) -> Fraction:
    """`failure_mode_deny`, which a percentage can replace."""
    return runtime_fraction(reader, "failure_mode_deny_percent", ALWAYS if reader.message.failure_mode_deny else NEVER)


def _service(reader: Reader | None) -> Service:
    if reader is None:
        return Service("")  # the constraints have reported it
    reader.only("grpc_service", "transport_api_version")
    if reader.choice("transport_api_version") not in ("V3", "AUTO"):
        reader.refuse("transport_api_version", "only V3 is supported")
    grpc = reader.child("grpc_service")
    envoy = grpc.child("envoy_grpc") if grpc is not None else None
    if grpc is None or envoy is None:
        reader.refuse("grpc_service", "an envoy_grpc with the name of a cluster is needed")
        return Service("")
    grpc.only("envoy_grpc")
    envoy.only("cluster_name", "authority")
    return Service(envoy.message.cluster_name, envoy.message.authority)
