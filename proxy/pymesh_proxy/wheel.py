"""Deadlines by the thousand: one timer for all of them, and nothing to cancel.

A connection stands in the wheel at most once. Moving its deadline is an attribute; the wheel finds out when it wakes at the
time it had noted and looks again. `call_later` per request costs more than routing one (DESIGN, hot path rule 6).
"""

import asyncio
import heapq
import math
from typing import Protocol

TICK = 0.01
"""Seconds to which deadlines are rounded up: finer than any timeout people configure, coarse enough to share wake-ups."""

NEVER = math.inf


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
        self._buckets: dict[int, list[Timed]] = {}
        self._keys: list[int] = []
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, timed: Timed, deadline: float) -> None:
        """Set a deadline in loop time, or move it; NEVER disarms."""
        timed.deadline = deadline
        if deadline < timed.wake:
            self._note(timed, deadline)

    def _note(self, timed: Timed, when: float) -> None:
        key = math.ceil(when / TICK)
        timed.wake = key * TICK
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.append(timed)
            return
        self._buckets[key] = [timed]
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
            key = heapq.heappop(self._keys)
            for timed in self._buckets.pop(key):
                if timed.wake == key * TICK:  # else an earlier note replaced this one
                    self._look(timed, now)
        self._schedule()

    def _look(self, timed: Timed, now: float) -> None:
        timed.wake = NEVER
        if timed.deadline <= now:
            timed.deadline = NEVER
            timed.on_deadline(now)
        elif timed.deadline != NEVER:
            self._note(timed, timed.deadline)

    def close(self) -> None:
        """Forget every deadline."""
        if self._handle is not None:
            self._handle.cancel()
        self._buckets.clear()
        self._keys.clear()
