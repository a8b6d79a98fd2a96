"""Deadlines by the thousand: one timer for all of them, and nothing to cancel.

A connection stands in the wheel at most once. Moving its deadline on is an attribute; the wheel finds out when it wakes at the
time it had noted and looks again. Only a deadline that comes nearer, and the end, touch the wheel. `call_later` per request costs
more than routing one (DESIGN, hot path rule 6).
"""

import asyncio
import heapq
import math
from typing import Final, Protocol

TICK: Final = 0.01
"""Seconds to which deadlines are rounded up: finer than any timeout people configure, coarse enough to share wake-ups."""

FAR: Final = 60.0
"""Seconds from which a deadline is rounded up coarsely, so that an hour of connections does not leave a bucket a tick."""

COARSE: Final = 100
"""Ticks to which those are rounded up: a second."""

NEVER: Final = math.inf


class Timed(Protocol):
    """Something with a deadline. Both attributes start as NEVER and belong to the wheel once armed."""

    deadline: float
    wake: float

    def on_deadline(self, now: float) -> None:
        """The deadline has passed; it was reset to NEVER before the call."""


class Wheel:
    """The deadlines of one event loop, in its own time (`loop.time()` seconds)."""

    __slots__ = ("_buckets", "_handle", "_keys", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[int, dict[Timed, None]] = {}
        """What to look at, by the tick at which; in the order in which it was noted."""
        self._keys: list[int] = []
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values()))

    def arm(self, timed: Timed, deadline: float) -> None:
        """Set a deadline in loop time, or move it. NEVER disarms, and lets go of the object: whoever ends must say so."""
        timed.deadline = deadline
        if deadline == NEVER:
            self._drop(timed)
        elif deadline < timed.wake:
            self._drop(timed)
            self._note(timed, deadline)

    def _drop(self, timed: Timed) -> None:
        if timed.wake != NEVER:
            self._buckets[round(timed.wake / TICK)].pop(timed, None)
            timed.wake = NEVER

    def _note(self, timed: Timed, when: float) -> None:
        key = math.ceil(when / TICK)
        if key * TICK < when:  # floating point: a look before the deadline would note it for the same tick, for ever
            key += 1
        if when - self._loop.time() > FAR:
            key = math.ceil(key / COARSE) * COARSE
        timed.wake = key * TICK
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket[timed] = None
            return
        self._buckets[key] = {timed: None}
        heapq.heappush(self._keys, key)
        if self._keys[0] == key:
            self._schedule()

    def _schedule(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(self._keys[0] * TICK, self._turn) if self._keys else None

    def _turn(self) -> None:
        now = self._loop.time()
        self._handle = None
        while self._keys and self._keys[0] * TICK <= now:
            for timed in self._due(heapq.heappop(self._keys)):
                try:
                    self._look(timed, now)
                except Exception as error:  # noqa: BLE001  one of many: the others have theirs all the same, as with call_later
                    self._loop.call_exception_handler({"message": f"deadline of {timed!r}", "exception": error})
        self._schedule()

    def _due(self, key: int) -> "list[Timed]":
        """What was noted for a tick; each is in the wheel no longer."""
        due = list(self._buckets.pop(key))
        for timed in due:
            timed.wake = NEVER
        return due

    def _look(self, timed: Timed, now: float) -> None:
        if timed.deadline <= now:
            timed.deadline = NEVER
            timed.on_deadline(now)
        elif timed.deadline < timed.wake:
            self._note(timed, timed.deadline)

    def close(self) -> None:
        """Forget every deadline."""
        if self._handle is not None:
            self._handle.cancel()
        self._buckets.clear()
        self._keys.clear()
