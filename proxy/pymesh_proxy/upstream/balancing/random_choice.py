"""Uniform choice; weights are ignored, as Envoy ignores them here."""

from collections.abc import Sequence
from random import random
from typing import TYPE_CHECKING

from .base import Balancer

if TYPE_CHECKING:
    from ..endpoint import Endpoint


class RandomChoice(Balancer):
    """Any endpoint."""

    __slots__ = ("_count", "_endpoints")

    def __init__(self, endpoints: "Sequence[Endpoint]") -> None:
        self._endpoints = list(endpoints)
        self._count = len(endpoints)

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        return self._endpoints[int(random() * self._count)]
