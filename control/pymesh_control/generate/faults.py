"""Faults of a VirtualService route, as the fault filter's settings of that route."""

from typing import Any

from pymesh.xds import proto

FILTER = "envoy.filters.http.fault"

_GRPC_STATUS = {
    "OK": 0,
    "CANCELLED": 1,
    "UNKNOWN": 2,
    "INVALID_ARGUMENT": 3,
    "DEADLINE_EXCEEDED": 4,
    "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7,
    "RESOURCE_EXHAUSTED": 8,
    "FAILED_PRECONDITION": 9,
    "ABORTED": 10,
    "OUT_OF_RANGE": 11,
    "UNIMPLEMENTED": 12,
    "INTERNAL": 13,
    "UNAVAILABLE": 14,
    "DATA_LOSS": 15,
    "UNAUTHENTICATED": 16,
}
"""Names of google.rpc.Code."""

_PARTS = 10_000
"""Parts of a percent: Istio's percentages go down to 0.0001."""


def apply(route: Any, fault: Any) -> None:
    """Put an HTTPFaultInjection on a route. A delay without a time and an abort without an error are none, as in Istio."""
    if fault is None:
        return
    message = proto.http_fault.HTTPFault()
    if fault.delay is not None and fault.delay.fixed_delay is not None:
        message.delay.fixed_delay.CopyFrom(proto.duration(fault.delay.fixed_delay))
        message.delay.percentage.CopyFrom(share(fault.delay.percentage, fault.delay.percent or 0))
    if fault.abort is not None and (fault.abort.http_status is not None or fault.abort.grpc_status is not None):
        _abort(message.abort, fault.abort)
    route.typed_per_filter_config[FILTER].CopyFrom(proto.pack(message))


def _abort(message: Any, abort: Any) -> None:
    message.percentage.CopyFrom(share(abort.percentage, 0))
    if abort.grpc_status is not None:
        message.grpc_status = _GRPC_STATUS[abort.grpc_status]
    else:
        message.http_status = abort.http_status or 0


def share(percentage: Any, otherwise: float) -> Any:
    """A Percent as parts of a million; `otherwise` is the percentage where none is given."""
    percent = otherwise if percentage is None else percentage.value or 0
    return proto.percent.FractionalPercent(numerator=round(percent * _PARTS), denominator=proto.percent.FractionalPercent.MILLION)
