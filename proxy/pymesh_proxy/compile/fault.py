"""Fault injection: HTTPFault, of a manager or of a route."""

from typing import TYPE_CHECKING

from ..filters.counts import FaultCounts
from ..filters.fault import Abort, Delay, FaultFilter, FaultPolicy
from ..filters.fraction import NEVER
from .fields import Reader
from .fractions import child_fraction
from .route_match import header

if TYPE_CHECKING:
    from .http_filters import Manager

_RUNTIME = "there is no runtime that could override the values"
_RUNTIME_KEYS = (
    "delay_percent_runtime",
    "abort_percent_runtime",
    "delay_duration_runtime",
    "abort_http_status_runtime",
    "max_active_faults_runtime",
    "response_rate_limit_percent_runtime",
    "abort_grpc_status_runtime",
)


def fault_policy(reader: Reader) -> FaultPolicy:
    """An HTTPFault."""
    reader.only(
        "delay",
        "abort",
        "upstream_cluster",
        "headers",
        "downstream_nodes",
        "max_active_faults",
        harmless={
            **dict.fromkeys(_RUNTIME_KEYS, _RUNTIME),
            "disable_downstream_cluster_stats": "statistics are never kept by the client's cluster",
        },
    )
    return FaultPolicy(
        delay=_delay(reader.child("delay")),
        abort=_abort(reader.child("abort")),
        matches=tuple(header(item) for item in reader.items("headers")),
        upstream_cluster=reader.message.upstream_cluster,
        nodes=frozenset(node.encode() for node in reader.message.downstream_nodes),
        max_active=reader.wrapped("max_active_faults", None),
    )


def fault_filter(reader: Reader, manager: "Manager") -> FaultFilter:
    """The filter of a manager."""
    services = manager.ctx.services
    return FaultFilter(fault_policy(reader), services.counts.of(FaultCounts, manager.stat_prefix), services)


def _delay(reader: Reader | None) -> Delay | None:
    if reader is None:
        return None
    reader.only("fixed_delay", "header_delay", "percentage")
    share = child_fraction(reader, "percentage", NEVER)
    asked = reader.child("header_delay")
    if asked is not None:
        asked.only()
        return Delay(share)
    return Delay(share, reader.seconds("fixed_delay", 0.0))


def _abort(reader: Reader | None) -> Abort | None:
    if reader is None:
        return None
    reader.only("http_status", "grpc_status", "header_abort", "percentage")
    share = child_fraction(reader, "percentage", NEVER)
    match reader.which("error_type"):
        case "http_status":
            return Abort(share, (reader.message.http_status, -1))
        case "grpc_status":
            return Abort(share, (200, reader.message.grpc_status))
    asked = reader.child("header_abort")
    if asked is not None:
        asked.only()
    return Abort(share)
