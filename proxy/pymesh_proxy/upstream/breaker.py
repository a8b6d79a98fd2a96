"""Circuit breakers: how much may be in flight towards one cluster, for each priority of its routes.

A limit is checked as `current < maximum`; what is over it fails at once, with flag UO, instead of waiting.
"""

import time
from collections.abc import Callable

from .config import Limits
from .retry_window import RetryWindow


class Breaker:
    """Counts and limits of one cluster and priority. Callers add and subtract; the questions say whether one more may start.

    As in Envoy, a request counts as pending until it has a connection and as a request from then on, each attempt by itself; a retry
    counts from its back-off to its end.
    """

    __slots__ = ("connections", "limits", "pending", "requests", "retries", "window")

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.connections = 0
        self.pending = 0
        self.requests = 0
        self.retries = 0
        looks_back = limits.budget_percent >= 0 and limits.budget_interval >= 0.001  # Envoy knows no less
        self.window = RetryWindow(limits.budget_interval, clock) if looks_back else None
        """The requests that a budget looks back at: it is told of each, besides `requests`."""

    def __repr__(self) -> str:
        return f"<Breaker connections={self.connections} pending={self.pending} requests={self.requests} retries={self.retries}>"

    def admits_pending(self) -> bool:
        return self.pending < self.limits.max_pending_requests

    def admits_request(self) -> bool:
        return self.requests < self.limits.max_requests

    def admits_connection(self, to_endpoint: int) -> bool:
        """`to_endpoint`: connections that its endpoint has, of all priorities."""
        return self.connections < self.limits.max_connections and to_endpoint < self.limits.max_connections_per_host

    def admits_retry(self) -> bool:
        return self.retries < self.max_retries()

    def max_retries(self) -> int:
        """How many retries there may be now: a fixed number, or a share of what is in flight or was lately (retry_budget)."""
        limits = self.limits
        if limits.budget_percent < 0:
            return limits.max_retries
        whole = self.requests + self.pending if self.window is None else self.window.count()
        return max(int(limits.budget_percent / 100 * whole), limits.min_retry_concurrency)
