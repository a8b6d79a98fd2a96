"""How many requests a retry budget is a share of, where it looks back (`budget_interval`).

Envoy counts them in ten slots, of which the oldest is emptied every tenth of the interval: a request counts for nine tenths of it, and up
to the whole. Retries are requests, too.
"""

from collections import deque
from collections.abc import Callable

SLOTS = 10


class RetryWindow:
    """The requests that have begun within an interval (seconds). Slots are emptied when somebody asks, so that no timer is needed."""

    __slots__ = ("_clock", "_counts", "_length", "_passed", "_start", "_total")

    def __init__(self, interval: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._start = clock()
        self._length = max(int(interval * 1000) // SLOTS, 1) / 1000  # Envoy's are whole milliseconds
        self._passed = 0
        """Slots that are over."""
        self._counts = deque([0])
        """The requests of each slot, the current one last."""
        self._total = 0

    def __repr__(self) -> str:
        return f"<RetryWindow {self._total} of {SLOTS} times {self._length:g} s>"

    def add(self) -> None:
        """A request begins."""
        self._move()
        self._counts[-1] += 1
        self._total += 1

    def count(self) -> int:
        """Those that count now."""
        self._move()
        return self._total

    def _move(self) -> None:
        passed = int((self._clock() - self._start) / self._length)
        for _ in range(min(passed - self._passed, SLOTS)):
            self._counts.append(0)
            if len(self._counts) > SLOTS:
                self._total -= self._counts.popleft()
        self._passed = passed
