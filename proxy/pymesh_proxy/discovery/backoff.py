"""How long to wait before the next attempt: doubling, capped, with full jitter, so that a thousand proxies do not return at once."""

import random
from collections.abc import Callable

BASE = 0.5
CAP = 30.0
"""Seconds; Envoy's for xDS streams."""


class Backoff:
    """Delays in seconds: uniform in [0, base * 2^n], at most `cap`."""

    def __init__(self, base: float = BASE, cap: float = CAP, *, rand: Callable[[], float] = random.random) -> None:
        self._base = base
        self._cap = cap
        self._rand = rand
        self._ceiling = base

    def __repr__(self) -> str:
        return f"<Backoff up to {self._ceiling:g} s>"

    def next(self) -> float:
        """The delay before the next attempt."""
        delay = self._rand() * self._ceiling
        self._ceiling = min(self._ceiling * 2, self._cap)
        return delay

    def reset(self) -> None:
        """It worked: begin again."""
        self._ceiling = self._base
