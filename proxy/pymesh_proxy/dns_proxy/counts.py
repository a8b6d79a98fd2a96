"""What the DNS proxy counts, under the names that Istio's agent has for it."""

from bisect import bisect_left
from collections.abc import Iterator

BOUNDS = (0.001, 0.005, 0.01, 0.1, 1.0, 5.0)
"""Seconds; Istio's."""


class DnsCounts:
    """Plain numbers; text is made when somebody scrapes."""

    __slots__ = ("_buckets", "_seconds", "requests", "upstream_failures", "upstream_requests")

    def __init__(self) -> None:
        self.requests = 0
        self.upstream_requests = 0
        """Queries that were not ours to answer."""
        self.upstream_failures = 0
        """Servers that did not answer, or could not be asked."""
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def took(self, seconds: float) -> None:
        """A server has answered after so long."""
        self._buckets[bisect_left(BOUNDS, seconds)] += 1
        self._seconds += seconds

    def metrics(self) -> Iterator[tuple[str, str, list[str]]]:
        """Name, kind and Prometheus samples of each metric."""
        for name in ("requests", "upstream_requests", "upstream_failures"):
            metric = f"dns_{name}_total"
            yield metric, "counter", [f"{metric}{{}} {getattr(self, name)}"]
        yield "dns_upstream_request_duration_seconds", "histogram", list(self._durations("dns_upstream_request_duration_seconds"))

    def _durations(self, name: str) -> Iterator[str]:
        count = 0
        for bound, observed in zip((*map("{:g}".format, BOUNDS), "+Inf"), self._buckets, strict=True):
            count += observed
            yield f'{name}_bucket{{le="{bound}"}} {count}'
        yield f"{name}_sum{{}} {self._seconds}"
        yield f"{name}_count{{}} {count}"
