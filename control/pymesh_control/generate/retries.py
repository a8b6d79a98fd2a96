"""Retry policies: a route's own, else the mesh's, else Istio's default."""

import functools
from dataclasses import replace
from typing import Any

from pymesh.xds import proto

from ..model.mesh import RetrySettings

_RETRY = proto.route_components.RetryPolicy
_HOST_ATTEMPTS = 5
_PRIORITY_TRIES = 2


def outbound(retries: Any, defaults: RetrySettings, *, hashed: bool = False) -> Any | None:
    """The policy of a forwarding route, or None when it is not to retry. `retries` is an HTTPRetry or None.

    Where requests are balanced by a hash, a retry may go to the endpoint that failed, unless the policy says otherwise: the next
    one is not theirs.
    """
    if retries is None:
        return _policy(_settled(defaults, hashed)) if defaults.attempts else None
    if not retries.attempts:
        return None
    own = RetrySettings(
        attempts=retries.attempts,
        retry_on=retries.retry_on or RetrySettings().retry_on,
        per_try_timeout=retries.per_try_timeout,
        backoff=retries.backoff,
        avoid_previous_hosts=retries.retry_ignore_previous_hosts,
        leaves_locality=bool(retries.retry_remote_localities),
    )
    return _policy(_settled(own, hashed))


def _settled(settings: RetrySettings, hashed: bool) -> RetrySettings:
    return settings if settings.avoid_previous_hosts is not None else replace(settings, avoid_previous_hosts=not hashed)


@functools.lru_cache(maxsize=8)
def inbound(wanted: RetrySettings) -> Any | None:
    """The policy towards the application, or None when nothing is tried again."""
    if not wanted.attempts:
        return None
    tokens, codes = _conditions(wanted.retry_on)
    policy = _RETRY(num_retries={"value": wanted.attempts}, retry_on=",".join(tokens), retriable_status_codes=codes)
    if wanted.backoff:
        policy.retry_back_off.base_interval.CopyFrom(proto.duration(wanted.backoff))
    return policy


@functools.lru_cache(maxsize=256)
def _policy(wanted: RetrySettings) -> Any:
    tokens, codes = _conditions(wanted.retry_on)
    policy = _RETRY(
        num_retries=proto.wrappers_pb2.UInt32Value(value=wanted.attempts),
        retry_on=",".join(tokens),
        retriable_status_codes=codes,
        host_selection_retry_max_attempts=_HOST_ATTEMPTS,
        retry_host_predicate=[_previous_hosts()] if wanted.avoid_previous_hosts else [],
    )
    if wanted.per_try_timeout:
        policy.per_try_timeout.CopyFrom(proto.duration(wanted.per_try_timeout))
    if wanted.backoff:
        policy.retry_back_off.base_interval.CopyFrom(proto.duration(wanted.backoff))
    if wanted.leaves_locality:
        policy.retry_priority.CopyFrom(_previous_priorities())
    return policy


def _conditions(retry_on: str) -> tuple[list[str], list[int]]:
    """Envoy's tokens and status codes of an Istio list, in which codes stand among the tokens."""
    parts = [part.strip() for part in retry_on.split(",") if part.strip()]
    codes = [int(part) for part in parts if part.isdigit()]
    tokens = [part for part in parts if not part.isdigit()]
    if codes and "retriable-status-codes" not in tokens:
        tokens.append("retriable-status-codes")
    return tokens, codes


@functools.cache
def _previous_hosts() -> Any:
    config = proto.pack(proto.previous_hosts.PreviousHostsPredicate())
    return _RETRY.RetryHostPredicate(name="envoy.retry_host_predicates.previous_hosts", typed_config=config)


@functools.cache
def _previous_priorities() -> Any:
    """Every second try leaves the priorities that were tried out of account."""
    config = proto.pack(proto.previous_priorities.PreviousPrioritiesConfig(update_frequency=_PRIORITY_TRIES))
    return _RETRY.RetryPriority(name="envoy.retry_priorities.previous_priorities", typed_config=config)
