"""Python's cycle collector, kept away from configuration: what lives long is frozen, so that collections stay short.

A worker with a thousand clusters holds millions of objects that never become garbage; walking them during a request is
what its latency tail would be made of (DESIGN, hot path rule 11).
"""

import gc

from .discovery.target import Handle, Schedule

QUIET = 1.0
"""Seconds without a configuration change before the heap is frozen: pushes come in bursts."""

_THAW_EVERY = 64
"""Frozen cycles that died are found only by looking at everything; every so many swaps that is worth the pause."""


class Freezer:
    """Freezes the heap after each burst of configuration changes."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._timer: Handle | None = None
        self._freezes = 0

    def soon(self) -> None:
        """Something long-lived was replaced."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._schedule(QUIET, self.freeze)

    def freeze(self) -> None:
        """Collect what died young, then take the rest out of the collector's sight."""
        self._timer = None
        self._freezes += 1
        if self._freezes % _THAW_EVERY == 0:
            gc.unfreeze()
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        """Cancel what is pending."""
        if self._timer is not None:
            self._timer.cancel()
