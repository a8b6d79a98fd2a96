"""Consistent hashing with bounded loads (Mirrokni et al., 2018): an endpoint far above the average load passes keys on.

Where to is a random walk over the endpoints that is the same for the same key (Chen et al., 2020), on the Mersenne Twister that C++ defines
and Envoy seeds with the key.
"""

import random
from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING

from .base import Balancer
from .shares import Placed

if TYPE_CHECKING:
    from ..endpoint import Endpoint

_WORDS = 624
_INITIAL = 1812433253
"""The twister's size of state, and its initialisation multiplier."""


class Bounded(Balancer):
    """Another balancer's choice, unless that endpoint is full; then the first that is not on the key's walk, or the least full."""

    __slots__ = ("_chooser", "_endpoints", "_factor", "_shares")

    def __init__(self, chooser: Balancer, endpoints: "Sequence[Endpoint]", placed: Placed, factor: int) -> None:
        self._chooser = chooser
        self._endpoints = list(endpoints)
        self._shares = {endpoint: placed[index][1] for index, endpoint in enumerate(endpoints)}
        self._factor = factor

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        if key is None:
            key = random.getrandbits(64)
        chosen = self._chooser.pick(key, attempt)
        slots = self._slots()
        least = self._fullness(chosen, slots)
        if least <= 1.0:
            return chosen
        best = chosen
        for endpoint in self._walk(key):
            if endpoint is chosen:
                continue
            fullness = self._fullness(endpoint, slots)
            if fullness <= 1.0:
                return endpoint
            if fullness < least:
                best, least = endpoint, fullness
        return best

    def _slots(self) -> int:
        """What all endpoints together may have under way, this request included."""
        active = 0
        for endpoint in self._endpoints:
            active += endpoint.rq_active
        return ((active + 1) * self._factor + 99) // 100

    def _fullness(self, endpoint: "Endpoint", slots: int) -> float:
        return endpoint.rq_active / max(ceil(slots * self._shares[endpoint]), 1)

    def _walk(self, key: int) -> "list[Endpoint]":
        """All endpoints in the key's own order (Fisher-Yates)."""
        order = list(self._endpoints)
        draw = twister(key)
        for place in range(len(order)):
            other = place + _below(draw, len(order) - place)
            order[place], order[other] = order[other], order[place]
        return order


def _below(draw: Callable[[], int], bound: int) -> int:
    """An even number below a bound."""
    width = 2**32 // bound
    while (number := draw() // width) >= bound:
        pass
    return number


def twister(seed: int) -> Callable[[], int]:
    """Numbers of 32 bits as std::mt19937 draws them; Python's generator is the same one, but spreads its seeds otherwise."""
    word = seed & 0xFFFFFFFF
    state = [word]
    for index in range(1, _WORDS):
        word = (_INITIAL * (word ^ (word >> 30)) + index) & 0xFFFFFFFF
        state.append(word)
    generator = random.Random()
    generator.setstate((3, (*state, _WORDS), None))
    return lambda: generator.getrandbits(32)
