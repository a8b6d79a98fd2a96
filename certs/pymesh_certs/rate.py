"""How often one identity may ask for a certificate: enough for all its replicas at once, too little to keep the CA from the others."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from pymesh.identity import SpiffeId

BURST = 1000
PER_SECOND = 20.0
"""A namespace's service account may have hundreds of replicas, all of which start again after a failure."""

_FORGET_ABOVE = 10_000
"""Identities remembered before those that have not asked for long are let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many requests at once, then so many a second."""

    burst: int = BURST
    per_second: float = PER_SECOND


class Limiter:
    """A bucket for each identity, kept as the moment (seconds of `clock`) at which it will be full again."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._full_at: dict[SpiffeId, float] = {}

    def admits(self, spiffe: SpiffeId) -> bool:
        """Whether one more request is within the rate; then it counts."""
        now = self._clock()
        full_at = max(self._full_at.get(spiffe, now), now) + 1 / self._rate.per_second
        if full_at - now > self._rate.burst / self._rate.per_second:
            return False
        self._full_at[spiffe] = full_at
        if len(self._full_at) > _FORGET_ABOVE:
            self._full_at = {known: moment for known, moment in self._full_at.items() if moment > now}
        return True
