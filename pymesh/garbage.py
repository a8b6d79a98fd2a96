"""Python's cycle collector, kept away from configuration: what lives long is frozen, so that collections stay short.

A proxy with a thousand clusters, and a control plane with as many services, hold hundreds of thousands of objects that never become
garbage; walking them during a request or a push is what the latency tail would be made of.
"""

import gc
from collections.abc import Callable
from typing import Any, Protocol

QUIET = 1.0
"""Seconds without a configuration change before the heap is frozen: pushes come in bursts."""

_THAW_EVERY = 64
"""Frozen cycles that died are found only by looking at everything; every so many swaps that is worth the pause."""


_RELAXED = (20_000, 20, 20)
"""Thresholds of the collector's generations; Python's own are 700, 10, 10."""


def relax() -> None:
    """Collect more rarely. With the heap frozen the oldest generation is small, and so is collected again and again while what is made
    for a push grows: a tenth of what a push to a thousand clients costs (`python -m tests.bench.scale`)."""
    gc.set_threshold(*_RELAXED)


class Handle(Protocol):
    """A timer."""

    def cancel(self) -> Any: ...


class Freezer:
    """Freezes the heap after each burst of configuration changes."""

    def __init__(self, schedule: Callable[[float, Callable[[], None]], Handle]) -> None:
        """`schedule` is `loop.call_later`, or a test's clock."""
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
