"""Whether an exchange that went wrong is tried again: Envoy's retry_on conditions, as decisions without I/O."""

import random

from ..errors import Cause
from ..route.table import RetryPolicy
from .headers import ResponseHead

_CONNECT = frozenset((Cause.CONNECT_FAILED, Cause.CONNECT_TIMEOUT))
_REFUSED = frozenset((Cause.UPSTREAM_REFUSED,))
_RESET = _CONNECT | _REFUSED | {Cause.UPSTREAM_CLOSED, Cause.UPSTREAM_RESET, Cause.UPSTREAM_PROTOCOL, Cause.PER_TRY_TIMEOUT}

_ON_RESET = {
    "5xx": _RESET,
    "gateway-error": _RESET,
    "reset": _RESET,
    "connect-failure": _CONNECT,
    "refused-stream": _REFUSED,
}

_GRPC = {b"1": "cancelled", b"4": "deadline-exceeded", b"8": "resource-exhausted", b"13": "internal", b"14": "unavailable"}

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
"""RFC 9110 9.2.2: methods whose repetition changes nothing more."""


def on_failure(policy: RetryPolicy, cause: Cause, *, sent: bool) -> bool:
    """Whether a reset or a failed connection is retried. `sent`: any byte of this attempt went upstream."""
    if "reset-before-request" in policy.conditions and cause in _RESET and not sent:
        return True
    return any(cause in _ON_RESET.get(condition, ()) for condition in policy.conditions)


def on_response(policy: RetryPolicy, response: ResponseHead) -> bool:
    """Whether an answer is thrown away for another attempt."""
    status = response.status
    if status < 400 and status not in policy.status_codes and b"grpc-status" not in response.index:
        return False
    conditions = policy.conditions
    if b"x-envoy-ratelimited" in response.index:
        return "envoy-ratelimited" in conditions  # it vetoes every other condition
    if b"x-envoy-overloaded" in response.index:
        return False
    if status >= 500 and ("5xx" in conditions or ("gateway-error" in conditions and status in (502, 503, 504))):
        return True
    if status == 409 and "retriable-4xx" in conditions:
        return True
    if status in policy.status_codes and "retriable-status-codes" in conditions:
        return True
    grpc_status = response.index.get(b"grpc-status")
    return grpc_status is not None and _GRPC.get(grpc_status) in conditions


def back_off(policy: RetryPolicy, retry: int) -> float:
    """Seconds before the given retry (1 for the first): full jitter under a doubling ceiling, measured on Envoy 1.40."""
    return random.uniform(0, min(policy.base_interval * 2 ** (retry - 1), policy.max_interval))
