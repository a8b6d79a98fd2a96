"""Ketama: endpoints own points on a ring of hashes, and a key belongs to the next point."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import ceil
from random import getrandbits
from typing import TYPE_CHECKING

from .base import Balancer
from .config import BalancingConfig, RingFunction
from .hashes import murmur_hash_2, xx_hash
from .shares import Placed
from .tables import Table, remembered

if TYPE_CHECKING:
    from ..endpoint import Endpoint


class RingHash(Balancer):
    """Looks keys up on a ring; a further attempt takes the next point."""

    __slots__ = ("_endpoints", "_hashes", "_owners", "_table")

    def __init__(self, endpoints: "Sequence[Endpoint]", table: Table) -> None:
        self._endpoints = list(endpoints)
        self._table = table  # keeps it remembered
        self._owners = table.owners
        self._hashes = table.hashes

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        owners = self._owners
        point = bisect_left(self._hashes, getrandbits(64) if key is None else key)
        return self._endpoints[owners[(point + attempt) % len(owners)]]


def ring(config: BalancingConfig, endpoints: Placed) -> Table:
    """The ring of these endpoints."""
    bounds = config.minimum_ring_size, config.maximum_ring_size
    return remembered(("ring", *bounds, config.ring_function, endpoints), lambda: _made(*bounds, config.ring_function, endpoints))


def _made(minimum: int, maximum: int, function: RingFunction, endpoints: Placed) -> Table:
    digest: Callable[[bytes], int] = xx_hash if function is RingFunction.XX_HASH else murmur_hash_2
    hashes: list[int] = []
    owners: list[int] = []
    for owner, points in enumerate(_points(minimum, maximum, endpoints)):
        prefix = endpoints[owner][0].encode() + b"_"
        hashes += [digest(prefix + b"%d" % point) for point in range(points)]
        owners += [owner] * points
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    return Table(array("I", [owners[slot] for slot in order]), array("Q", [hashes[slot] for slot in order]))


def _points(minimum: int, maximum: int, endpoints: Placed) -> list[int]:
    """How many points each endpoint owns: whole numbers for the least of them, running sums for the others (as Envoy counts)."""
    least = min(share for _, share in endpoints)
    scale = min(ceil(least * minimum) / least, float(maximum))
    counts = []
    current = 0
    target = 0.0
    for _, share in endpoints:
        target += scale * share
        before = current
        while current < target:
            current += 1
        counts.append(current - before)
    return counts
