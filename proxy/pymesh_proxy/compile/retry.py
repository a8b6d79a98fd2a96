"""RetryPolicy."""

from typing import Any

from ..route.retry_policy import CONDITIONS, RateLimitedBackOff, RequestTest, RetryPolicy
from .answer_match import answer_test
from .endpoints import plain_labels
from .fields import Reader
from .route_match import header

_HOSTS = "envoy.extensions.retry.host"
_PREVIOUS, _CANARIES = f"{_HOSTS}.previous_hosts.v3.PreviousHostsPredicate", f"{_HOSTS}.omit_canary_hosts.v3.OmitCanaryHostsPredicate"
_PREVIOUS_PRIORITIES = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
_METADATA = f"{_HOSTS}.omit_host_metadata.v3.OmitHostMetadataConfig"


def retry_policy(reader: Reader | None) -> RetryPolicy | None:
    """A route's or virtual host's policy; None when it asks for nothing. Unknown retry_on tokens are left out, as in Envoy."""
    if reader is None:
        return None
    reader.only(
        "retry_on",
        "num_retries",
        "per_try_timeout",
        "per_try_idle_timeout",
        "retry_host_predicate",
        "retry_priority",
        "host_selection_retry_max_attempts",
        "retriable_status_codes",
        "retriable_headers",
        "retriable_request_headers",
        "retry_back_off",
        "rate_limited_retry_back_off",
    )
    message = reader.message
    base, longest = _back_off(reader)
    policy = RetryPolicy(
        conditions=frozenset(token.strip() for token in message.retry_on.split(",")) & CONDITIONS,
        num_retries=reader.wrapped("num_retries", 1),
        per_try_timeout=reader.seconds("per_try_timeout", 0.0),
        per_try_idle_timeout=reader.seconds("per_try_idle_timeout", 0.0),
        status_codes=frozenset(message.retriable_status_codes),
        headers=tuple(map(answer_test, reader.items("retriable_headers"))),
        request_headers=tuple(map(_request_test, reader.items("retriable_request_headers"))),
        base_interval=base,
        max_interval=longest,
        rate_limited=_rate_limited(reader),
        host_selection_attempts=message.host_selection_retry_max_attempts or 1,
        priority_update=_priority(reader.child("retry_priority")),
        **_predicates(reader),
    )
    return policy if policy.enabled or policy.timed else None


def _request_test(item: Reader) -> RequestTest:
    match = header(item)
    return lambda head: match(head, 0)


def _predicates(reader: Reader) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in reader.items("retry_host_predicate"):
        item.only("name", "typed_config")
        found |= item.extend({_PREVIOUS: _previous, _CANARIES: _canaries, _METADATA: _labelled}) or {}
    return found


def _previous(config: Reader) -> dict[str, Any]:
    config.only()
    return {"avoid_previous_hosts": True}


def _canaries(config: Reader) -> dict[str, Any]:
    config.only()
    return {"avoid_canaries": True}


def _labelled(config: Reader) -> dict[str, Any]:
    """OmitHostMetadata: its `envoy.lb` labels; without any it rejects nothing."""
    config.only("metadata_match")
    return {"avoid_labels": plain_labels(config.message.metadata_match)}


def _priority(item: Reader | None) -> int:
    if item is None:
        return 0
    item.only("name", "typed_config")
    return item.extend({_PREVIOUS_PRIORITIES: _update_frequency}) or 0


def _update_frequency(config: Reader) -> int:
    config.only("update_frequency")
    return int(config.message.update_frequency)


def _back_off(reader: Reader) -> tuple[float, float]:
    config = reader.child("retry_back_off")
    if config is None:
        return 0.025, 0.25
    config.only("base_interval", "max_interval")
    base = max(config.seconds("base_interval", 0.025), 0.001)
    longest = config.seconds("max_interval", 10 * base)
    if longest < base:
        config.refuse("max_interval", f"{longest:g} s is below base_interval, {base:g} s")
    return base, longest


def _rate_limited(reader: Reader) -> RateLimitedBackOff | None:
    config = reader.child("rate_limited_retry_back_off")
    if config is None:
        return None
    config.only("reset_headers", "max_interval")
    headers = config.items("reset_headers")
    for item in headers:
        item.only("name", "format")
    return RateLimitedBackOff(
        headers=tuple((item.message.name.lower().encode(), item.choice("format") == "UNIX_TIMESTAMP") for item in headers),
        max_interval=config.seconds("max_interval", 300.0),
    )
