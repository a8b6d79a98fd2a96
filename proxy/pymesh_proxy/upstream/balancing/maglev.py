"""Maglev (Eisenbud et al., NSDI 2016, 3.4): a table that endpoints fill in turns, each in an order of its own; a key belongs to a slot."""

from array import array
from collections.abc import Sequence
from random import getrandbits
from typing import TYPE_CHECKING

from .base import Balancer
from .config import BalancingConfig
from .hashes import xx_hash
from .shares import Placed
from .tables import Table, remembered

if TYPE_CHECKING:
    from ..endpoint import Endpoint

_EMPTY = -1


class Maglev(Balancer):
    """Looks keys up in a table; a further attempt flips the key's upper bits."""

    __slots__ = ("_endpoints", "_owners", "_table")

    def __init__(self, endpoints: "Sequence[Endpoint]", table: Table) -> None:
        self._endpoints = list(endpoints)
        self._table = table  # keeps it remembered
        self._owners = table.owners

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        if key is None:
            key = getrandbits(64)
        if attempt:
            key ^= 2**64 - attempt
        owners = self._owners
        return self._endpoints[owners[key % len(owners)]]


def table(config: BalancingConfig, endpoints: Placed) -> Table:
    """The table of these endpoints."""
    size = config.table_size
    return remembered(("maglev", size, endpoints), lambda: Table(array("I", _filled(size, endpoints)), array("Q")))


class _Filler:
    """An endpoint that fills the table: where it looks next, by which step, and when it is its turn again."""

    __slots__ = ("owner", "share", "slot", "step", "turn")

    def __init__(self, owner: int, key: bytes, share: float, size: int) -> None:
        self.owner = owner
        self.share = share
        self.slot = xx_hash(key) % size
        self.step = xx_hash(key, 1) % (size - 1) + 1
        self.turn = 0.0


def _filled(size: int, endpoints: Placed) -> list[int]:
    """Round after round, each endpoint takes its next free slot as often as its share of the greatest share says."""
    keyed = sorted((key.encode(), owner) for owner, (key, _) in enumerate(endpoints))
    fillers = [_Filler(owner, key, endpoints[owner][1], size) for key, owner in keyed]
    greatest = max(share for _, share in endpoints)
    slots = [_EMPTY] * size
    free = size
    rounds = 0
    while free:
        rounds += 1
        for filler in fillers:
            if rounds * filler.share < filler.turn:
                continue
            filler.turn += greatest
            _take(filler, slots, size)
            free -= 1
            if not free:
                break
    return slots


def _take(filler: _Filler, slots: list[int], size: int) -> None:
    slot = filler.slot
    step = filler.step
    while slots[slot] != _EMPTY:
        slot += step
        if slot >= size:
            slot -= size
    slots[slot] = filler.owner
    slot += step
    filler.slot = slot if slot < size else slot - size
