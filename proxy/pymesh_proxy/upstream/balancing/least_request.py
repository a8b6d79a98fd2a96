"""The least busy of some endpoints, for equal weights; unequal ones go by `edf`."""

from collections.abc import Sequence
from random import random
from typing import TYPE_CHECKING

from .base import Balancer

if TYPE_CHECKING:
    from ..endpoint import Endpoint


class LeastRequest(Balancer):
    """The least busy of `choices` random candidates, drawn with replacement; ties go to the first drawn."""

    __slots__ = ("_choices", "_count", "_endpoints")

    def __init__(self, endpoints: "Sequence[Endpoint]", choices: int) -> None:
        self._endpoints = list(endpoints)
        self._count = len(endpoints)
        self._choices = choices

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        best = self._endpoints[int(random() * self._count)]
        for _ in range(self._choices - 1):
            other = self._endpoints[int(random() * self._count)]
            if other.rq_active < best.rq_active:
                best = other
        return best


class FullScan(Balancer):
    """The least busy of all; one of those that tie, each as likely as the others (reservoir sampling)."""

    __slots__ = ("_endpoints",)

    def __init__(self, endpoints: "Sequence[Endpoint]") -> None:
        self._endpoints = list(endpoints)

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        best = self._endpoints[0]
        ties = 0
        for endpoint in self._endpoints:
            if endpoint.rq_active < best.rq_active:
                best = endpoint
                ties = 1
            elif endpoint.rq_active == best.rq_active:
                ties += 1
                if random() * ties < 1.0:
                    best = endpoint
        return best
