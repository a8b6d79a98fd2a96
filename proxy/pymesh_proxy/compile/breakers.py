"""CircuitBreakers."""

from dataclasses import replace

from ..upstream.config import UNLIMITED, Limits
from .fields import Reader
from .fractions import percent


def limits(reader: Reader | None) -> tuple[Limits, Limits]:
    """The thresholds of the priorities DEFAULT and HIGH. Of several for one priority the first counts, as in Envoy."""
    if reader is None:
        return Limits(), Limits()
    reader.only("thresholds", "per_host_thresholds")
    found: dict[str, Limits] = {}
    for item in reader.items("thresholds"):
        made = _thresholds(item)
        found.setdefault(item.choice("priority"), made)
    hosts: dict[str, int] = {}
    for item in reader.items("per_host_thresholds"):
        item.only("priority", "max_connections")
        hosts.setdefault(item.choice("priority"), item.wrapped("max_connections", UNLIMITED))
    default, high = (
        replace(found.get(name, Limits()), max_connections_per_host=hosts.get(name, UNLIMITED)) for name in ("DEFAULT", "HIGH")
    )
    return default, high


def _thresholds(item: Reader) -> Limits:
    item.only("priority", "max_connections", "max_pending_requests", "max_requests", "max_retries", "retry_budget", "track_remaining")
    budget = item.child("retry_budget")
    share, interval, least = _budget(budget) if budget is not None else (-1.0, 0.0, 3)
    return Limits(
        max_connections=item.wrapped("max_connections", 1024),
        max_pending_requests=item.wrapped("max_pending_requests", 1024),
        max_requests=item.wrapped("max_requests", 1024),
        max_retries=item.wrapped("max_retries", 3),
        budget_percent=share,
        budget_interval=interval,
        min_retry_concurrency=least,
        track_remaining=item.message.track_remaining,
    )


def _budget(budget: Reader) -> tuple[float, float, int]:
    """The share of retries in percent, of the requests of how many seconds (0: of those in flight), and how many there may always be."""
    budget.only("budget_percent", "budget_interval", "min_retry_concurrency")
    share = percent(budget.child("budget_percent"), 20.0)
    return share, budget.seconds("budget_interval", 0.0), budget.wrapped("min_retry_concurrency", 3)
