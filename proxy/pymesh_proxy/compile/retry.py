"""RetryPolicy."""

from ..route.table import RetryPolicy
from .fields import Reader

_CONDITIONS = frozenset(
    {
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "envoy-ratelimited",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    }
)

_PREVIOUS_HOSTS = "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"


def retry_policy(reader: Reader | None) -> RetryPolicy | None:
    """A route's or virtual host's policy; None when nothing would ever be retried. Unknown retry_on tokens are left out, as in Envoy."""
    if reader is None:
        return None
    reader.only(
        "retry_on",
        "num_retries",
        "per_try_timeout",
        "retry_host_predicate",
        "host_selection_retry_max_attempts",
        "retriable_status_codes",
        "retry_back_off",
    )
    message = reader.message
    avoids = [_predicate(item) for item in reader.items("retry_host_predicate")]
    base, longest = _back_off(reader)
    conditions = frozenset(token.strip() for token in message.retry_on.split(",")) & _CONDITIONS
    if not conditions:
        return None
    return RetryPolicy(
        conditions=conditions,
        num_retries=reader.wrapped("num_retries", 1),
        per_try_timeout=reader.seconds("per_try_timeout", 0.0),
        status_codes=frozenset(message.retriable_status_codes),
        base_interval=base,
        max_interval=longest,
        host_selection_attempts=message.host_selection_retry_max_attempts or 1,
        avoid_previous_hosts=any(avoids),
    )


def _predicate(item: Reader) -> bool:
    item.only("name", "typed_config")
    if item.message.typed_config.type_url.rpartition("/")[2] != _PREVIOUS_HOSTS:
        item.no_implementation("typed_config", item.message.typed_config.type_url)
        return False
    return True


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
