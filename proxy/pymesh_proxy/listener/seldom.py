"""Log lines that strangers can cause: the first is written, those that follow within a while are counted instead."""

import time
from collections.abc import Callable

PERIOD = 10.0
"""Seconds between two lines about the same thing."""


class Seldom:
    """Lets one line through for each key and period."""

    __slots__ = ("_clock", "_said")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[object, tuple[float, int]] = {}
        """When something was said last, and how often it was not said since. Keys are configuration's and OpenSSL's words, so few."""

    def __repr__(self) -> str:
        return f"<Seldom {len(self._said)} things said>"

    def due(self, key: object) -> str | None:
        """What to append to the line, or None: it is not the time for it."""
        now = self._clock()
        last, held = self._said.get(key, (-PERIOD, 0))
        if now - last < PERIOD:
            self._said[key] = last, held + 1
            return None
        self._said[key] = now, 0
        return f" ({held} more since the last such line)" if held else ""
