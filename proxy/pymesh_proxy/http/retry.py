"""Whether an exchange that went wrong is tried again, and after how long: Envoy's rules, as decisions without I/O."""

import random
from typing import Final

from ..errors import Cause
from ..route.retry_policy import RESETS, RateLimitedBackOff, RetryPolicy
from .headers import ResponseHead

IDEMPOTENT: Final = frozenset((b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"))
"""RFC 9110 9.2.2: methods whose repetition changes nothing more."""


def on_failure(policy: RetryPolicy, cause: Cause, *, sent: bool) -> bool:
    """Whether a reset or a failed connection is retried. `sent`: any byte of this attempt went upstream."""
    return cause in policy.causes or (policy.unsent and not sent and cause in RESETS)


def on_response(policy: RetryPolicy, response: ResponseHead) -> bool:
    """Whether an answer is thrown away for another attempt."""
    index = response.index
    if b"x-envoy-ratelimited" in index:
        return policy.limited  # it vetoes every other condition
    if response.status in policy.statuses:
        return True
    if policy.grpc and index.get(b"grpc-status") in policy.grpc:
        return True
    return "retriable-headers" in policy.conditions and any(test(response) for test in policy.headers)


def back_off(policy: RetryPolicy, retry: int) -> float:
    """Seconds before the given retry (1 for the first): full jitter under a doubling ceiling, measured on Envoy 1.40."""
    ceiling = policy.base_interval * 2.0 ** min(retry - 1, _DOUBLINGS)
    return random.uniform(0, min(ceiling, policy.max_interval))


_DOUBLINGS: Final = 64
"""After so many every ceiling is above any max_interval; a client may ask for any number of retries."""


def asked_delay(limited: RateLimitedBackOff, response: ResponseHead, now: float) -> float:
    """Seconds for which an upstream asks to be left alone, up to half as long again, so that not all come back at once; 0 when it does not.

    `now` is seconds since the epoch.
    """
    for name, is_time in limited.headers:
        lines = response.get_all(name)
        if not lines or not lines[0].isdigit():
            continue
        wait = int(lines[0]) - (now if is_time else 0.0)
        if 0.001 < wait <= limited.max_interval:  # Envoy counts milliseconds, and one is none
            return random.uniform(wait, 1.5 * wait)
    return 0.0
