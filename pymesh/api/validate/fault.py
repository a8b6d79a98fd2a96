"""Faults on purpose: delays and aborts."""

from ..models.virtualservice import Abort, Delay, HTTPFaultInjection
from . import common
from .finding import Finding, Findings, below

GRPC_STATUSES = frozenset(
    {
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED",
    }
)


def check(fault: HTTPFaultInjection) -> Findings:
    """Everything wrong with a `fault`."""
    if fault.delay is None and fault.abort is None:
        yield Finding((), "needs delay or abort")
    yield from below("delay", _delay(fault.delay)) if fault.delay else ()
    yield from below("abort", _abort(fault.abort)) if fault.abort else ()


def _delay(delay: Delay) -> Findings:
    yield from below("percentage", common.percentage(delay.percentage))
    if delay.percent:
        yield Finding(("percent",), "deprecated; use percentage", "warning", "IST0002")
    if delay.percent is not None and not 0 <= delay.percent <= 100:
        yield Finding(("percent",), f"the percentage {delay.percent} must be between 0 and 100")
    if delay.exponential_delay is not None:
        yield Finding(("exponential_delay",), "exponential delays are not supported, by Istio either; use fixedDelay")
    elif delay.fixed_delay is None:
        yield Finding((), "says for how long in no fixedDelay, so nothing is delayed", "warning")


def _abort(abort: Abort) -> Findings:
    yield from below("percentage", common.percentage(abort.percentage))
    if abort.http_status is None and abort.grpc_status is None and abort.http2_error is None:
        yield Finding((), "names no error (httpStatus or grpcStatus), so nothing is aborted", "warning")
    if abort.http_status is not None and not 200 <= abort.http_status <= 600:
        yield Finding(("http_status",), f"the status {abort.http_status} is not between 200 and 599")
    if abort.grpc_status is not None and abort.grpc_status not in GRPC_STATUSES:
        yield Finding(("grpc_status",), f'"{abort.grpc_status}" is not the name of a gRPC status')
    if abort.http2_error is not None:
        yield Finding(("http2_error",), "HTTP/2 errors are not supported, by Istio either; use httpStatus or grpcStatus")
