"""What a request asks for itself in x-envoy-* headers: how it is retried, and how long it may take.

The headers are taken out of the head: they are for this proxy and not for the upstream. Whoever may not ask has lost them already
(`forwarding`).
"""

from dataclasses import replace

from ..route.retry_policy import CONDITIONS, GRPC_CONDITIONS, AnswerTest, RetryPolicy
from .headers import RequestHead, ResponseHead

_RETRY_ON, _GRPC_ON = b"x-envoy-retry-on", b"x-envoy-retry-grpc-on"
_MAX_RETRIES, _CODES, _NAMES = b"x-envoy-max-retries", b"x-envoy-retriable-status-codes", b"x-envoy-retriable-header-names"
_CONSUMED = (
    _RETRY_ON, _GRPC_ON, _MAX_RETRIES, _CODES, _NAMES, b"x-envoy-hedge-on-per-try-timeout", b"x-envoy-upstream-rq-per-try-timeout-ms",
)  # fmt: skip


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
