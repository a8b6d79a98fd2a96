"""The numbers behind Istio's metrics: one series per combination of label values, plain ints, and a limit on how many."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from ..tcp.session import Session

BOUNDS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000)
"""Envoy's default histogram bounds, which Istio uses for milliseconds and for bytes."""

SERIES_LIMIT = 10_000
"""Label combinations of one table; what comes later is counted in one series whose labels say `overflow`."""
OVERFLOW = "overflow"

Labels = tuple[str, ...]
"""Label values in the order of the table's label names; the first is the reporter."""


class Histogram:
    """Counts per bucket (the last one is +Inf) and the sum of what was observed."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0

    def observe(self, value: int) -> None:
        self.counts[bisect_left(BOUNDS, value)] += 1
        self.total += value


class HttpSeries:
    """The metrics of one label combination of requests."""

    __slots__ = ("duration", "labels", "request_bytes", "requests", "response_bytes")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.requests = 0
        self.duration = Histogram()
        """Milliseconds."""
        self.request_bytes = Histogram()
        self.response_bytes = Histogram()


class TcpSeries:
    """The metrics of one label combination of TCP connections."""

    __slots__ = ("closed", "labels", "opened", "received", "sent")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.opened = 0
        self.closed = 0
        self.sent = 0
        """Bytes towards the client, as Istio counts them."""
        self.received = 0


class LiveSession:
    """An open TCP connection and what has been counted of it."""

    __slots__ = ("received", "sent", "series", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.series: TcpSeries | None = None
        """Where it was counted as opened; None while its server is not known."""
        self.sent = 0
        self.received = 0


S = TypeVar("S", HttpSeries, TcpSeries)


class Table(Generic[S]):
    """All series of one kind and reporter. Labels may hold what a client chose, so their number is bounded."""

    __slots__ = ("_limit", "_make", "_series", "overflowed")

    def __init__(self, make: Callable[[Labels], S], limit: int) -> None:
        self._make: Callable[[Labels], S] = make
        self._limit = limit
        self._series: dict[Labels, S] = {}
        self.overflowed = 0
        """How often a combination was looked up that found no room."""

    def __iter__(self) -> Iterator[S]:
        return iter(self._series.values())

    def of(self, labels: Labels) -> S:
        """The series of these labels, or the overflow series when there is no room for another."""
        series = self._series.get(labels)
        if series is None and len(self._series) >= self._limit:
            self.overflowed += 1
            labels = (labels[0],) + (OVERFLOW,) * (len(labels) - 1)
            series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._make(labels)
        return series
