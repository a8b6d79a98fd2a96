"""Circuit breakers: how much may be in flight towards one cluster (Envoy's thresholds of the default priority).

A limit is checked as `current < maximum`; what is over it fails at once, with flag UO, instead of waiting.
"""

from .config import Limits


class Breaker:
    """Counts and limits of one cluster. Callers add and subtract; the questions say whether one more may start."""

    __slots__ = ("connections", "limits", "pending", "requests", "retries")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.connections = 0
        self.pending = 0
        self.requests = 0
        self.retries = 0

    def __repr__(self) -> str:
        return f"<Breaker connections={self.connections} pending={self.pending} requests={self.requests} retries={self.retries}>"

    def admits_pending(self) -> bool:
        return self.pending < self.limits.max_pending_requests

    def admits_connection(self, endpoint_connections: int) -> bool:
        """An endpoint without any connection may always open one, so that requests make progress (as in Envoy)."""
        return self.connections < self.limits.max_connections or endpoint_connections == 0

    def admits_retry(self) -> bool:
        return self.retries < self.limits.max_retries
