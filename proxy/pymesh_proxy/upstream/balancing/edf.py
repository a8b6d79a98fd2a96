"""Earliest deadline first: weighted round robin, and weighted least request, as Envoy schedules them.

Every endpoint has a deadline; a pick takes the earliest and moves it on by the inverse of the endpoint's weight at that moment.
"""

import random
from collections.abc import Sequence
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING

from .base import Balancer
from .weights import Weights

if TYPE_CHECKING:
    from ..endpoint import Endpoint


class Schedule(Balancer):
    """Endpoints of one list by their deadlines; equal ones in the order in which they were set."""

    __slots__ = ("_order", "_queue", "_weights")

    def __init__(self, endpoints: "Sequence[Endpoint]", weights: Weights, picks: int | None = None) -> None:
        """`picks` are taken to have been made already: a random number, so that many workers do not all begin alike."""
        self._weights = weights
        self._order = len(endpoints)
        weighed = [weights.of(endpoint) for endpoint in endpoints]
        self._queue: list[tuple[float, int, Endpoint]] = []
        if picks is None:
            picks = random.getrandbits(32)
        self._enter(endpoints, weighed, picks)

    def _enter(self, endpoints: "Sequence[Endpoint]", weighed: list[float], picks: int) -> None:
        """Whole shares of the picks at once, for a deadline is a count of picks over a weight; what rounding left one by one."""
        total = sum(weighed)
        left = picks
        for order, endpoint in enumerate(endpoints):
            share = int(picks * weighed[order] / total)
            left -= share
            self._queue.append(((share + 1) / weighed[order], order, endpoint))
        heapify(self._queue)
        for _ in range(left):
            self.pick()

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        deadline, _, endpoint = self._queue[0]
        heapreplace(self._queue, (deadline + 1.0 / self._weights.of(endpoint), self._order, endpoint))
        self._order += 1
        return endpoint
