"""Strict rotation, for endpoints of equal weights."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .base import Balancer

if TYPE_CHECKING:
    from ..endpoint import Endpoint


class RoundRobin(Balancer):
    """Rotates from a random start, so that many workers do not all begin with the same endpoint."""

    __slots__ = ("_endpoints", "_next")

    def __init__(self, endpoints: "Sequence[Endpoint]") -> None:
        self._endpoints = list(endpoints)
        self._next = random.randrange(len(endpoints))

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        place = self._next
        self._next = place + 1 if place + 1 < len(self._endpoints) else 0
        return self._endpoints[place]
