"""Many changes, one push: wait until changes pause, but not for ever (Istio's PILOT_DEBOUNCE_AFTER and PILOT_DEBOUNCE_MAX)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When to stop waiting for more changes."""

    after: float = 0.1
    """Seconds without a change."""
    longest: float = 10.0
    """Seconds since the first change, however many follow."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes that one push answers: their kinds, and when (on the clock) the first came."""

    reasons: frozenset[str]
    since: float


class Debounce:
    """Collects changes and calls `fire` with each batch, one at a time."""

    def __init__(self, timing: Timing, clock: Clock, fire: Callable[[Batch], Awaitable[None]]) -> None:
        self._timing = timing
        self._clock = clock
        self._fire = fire
        self._changed = asyncio.Event()
        self._reasons: set[str] = set()
        self._first = self._last = 0.0

    def changed(self, reason: str) -> None:
        """A change happened; it will be part of the next batch, also when a batch is being fired now."""
        self._last = self._clock.now()
        if not self._reasons:
            self._first = self._last
        self._reasons.add(reason)
        self._changed.set()

    async def run(self) -> None:
        """Fire batches until cancelled."""
        while True:
            await self._changed.wait()
            await self._quiet()
            batch = Batch(frozenset(self._reasons), self._first)
            self._reasons.clear()
            self._changed.clear()
            await self._fire(batch)

    async def _quiet(self) -> None:
        """Sleep to the moment that is due; a change meanwhile only moves that moment."""
        while (wait := min(self._last + self._timing.after, self._first + self._timing.longest) - self._clock.now()) > 0:
            await self._clock.sleep(wait)
