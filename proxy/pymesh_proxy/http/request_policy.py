"""What a request asks for itself in x-envoy-* headers: how it is retried, and how long it may take.

The headers are taken out of the head: they are for this proxy and not for the upstream. Whoever may not ask has lost them already
(`forwarding`).
"""

from dataclasses import replace
from typing import Final

from ..route.retry_policy import CONDITIONS, GRPC_CONDITIONS, AnswerTest, RetryPolicy
from .headers import RequestHead, ResponseHead

_RETRY_ON: Final = b"x-envoy-retry-on"
_GRPC_ON: Final = b"x-envoy-retry-grpc-on"
_MAX_RETRIES: Final = b"x-envoy-max-retries"
_CODES: Final = b"x-envoy-retriable-status-codes"
_NAMES: Final = b"x-envoy-retriable-header-names"
_TIMEOUT: Final = b"x-envoy-upstream-rq-timeout-ms"
_PER_TRY: Final = b"x-envoy-upstream-rq-per-try-timeout-ms"
_OF_TIMES: Final = (
    _TIMEOUT, _PER_TRY, b"x-envoy-upstream-rq-timeout-alt-response", b"x-envoy-upstream-alt-stat-name", b"x-envoy-expected-rq-timeout-ms",
)  # fmt: skip
_CONSUMED: Final = (
    _RETRY_ON, _GRPC_ON, _MAX_RETRIES, _CODES, _NAMES, b"x-envoy-hedge-on-per-try-timeout", b"x-envoy-upstream-rq-per-try-timeout-ms",
)  # fmt: skip


def times(head: RequestHead, timeout: float, policy: RetryPolicy | None) -> tuple[float, RetryPolicy | None]:
    """The route's timeout and policy with the times that an internal request asks for, in seconds; what is no number is left out."""
    index = head.index
    if index.get(_TIMEOUT, b"").isdigit():
        timeout = int(index[_TIMEOUT]) / 1000
    per_try = index.get(_PER_TRY, b"")
    if per_try.isdigit():
        policy = replace(policy or RetryPolicy(), per_try_timeout=int(per_try) / 1000)
    if policy is not None and timeout and policy.per_try_timeout >= timeout:
        policy = replace(policy, per_try_timeout=0.0)
    for name in _OF_TIMES:
        if name in index:
            head.remove(name)
    return timeout, policy


def late_status(head: RequestHead) -> int:
    """The status that an internal request wants when its upstream is too late; 0 for the usual one."""
    return 204 if b"x-envoy-upstream-rq-timeout-alt-response" in head.index else 0


def retries(head: RequestHead, policy: RetryPolicy | None) -> RetryPolicy | None:
    """The route's policy with what the request adds to it, for requests that it is for."""
    index = head.index
    asked = _tokens(index.get(_RETRY_ON), CONDITIONS - GRPC_CONDITIONS) | _tokens(index.get(_GRPC_ON), GRPC_CONDITIONS)
    if asked or (policy is not None and policy.enabled):
        policy = _merged(head, policy or RetryPolicy(), asked)
    for name in _CONSUMED:
        if name in index:
            head.remove(name)
    return policy


def _merged(head: RequestHead, policy: RetryPolicy, asked: frozenset[str]) -> RetryPolicy:
    index = head.index
    conditions = policy.conditions | asked
    if policy.request_headers and not any(test(head) for test in policy.request_headers):
        return policy.without_retries()
    number = index.get(_MAX_RETRIES, b"")
    return replace(
        policy,
        conditions=conditions,
        num_retries=int(number) if number.isdigit() else policy.num_retries,
        status_codes=policy.status_codes | {int(code) for code in _list(index.get(_CODES)) if code.isdigit()},
        headers=(*policy.headers, *(_present(name.lower()) for name in _list(index.get(_NAMES)))),
    )


def _tokens(value: bytes | None, known: frozenset[str]) -> frozenset[str]:
    return frozenset(token.decode("latin-1") for token in _list(value)) & known


def _list(value: bytes | None) -> list[bytes]:
    return [part.strip(b" \t") for part in value.split(b",")] if value else []


def _present(name: bytes) -> AnswerTest:
    def test(response: ResponseHead) -> bool:
        return name in response.index

    return test
