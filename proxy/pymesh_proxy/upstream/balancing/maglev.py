"""Maglev (Eisenbud et al., NSDI 2016, 3.4): a table that endpoints fill in turns, each in an order of its own; a key belongs to a slot."""

from array import array
from collections.abc import Sequence
from random import getrandbits
from typing import TYPE_CHECKING

from mypy_extensions import i64

from .base import Balancer
from .config import BalancingConfig
from .hashes import xx_hash
from .shares import Placed
from .tables import Table, remembered

if TYPE_CHECKING:
    from ..endpoint import Endpoint


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


def _filled(size: int, endpoints: Placed) -> list[int]:
    """The owner of each slot. Turns are taken in the order of the endpoints' keys, as in Envoy."""
    order = sorted(range(len(endpoints)), key=lambda owner: endpoints[owner][0].encode())
    keys = [endpoints[owner][0].encode() for owner in order]
    slots = [xx_hash(key) % size for key in keys]
    steps = [xx_hash(key, 1) % (size - 1) + 1 for key in keys]
    taken = _taken(size, slots, steps, [endpoints[owner][1] for owner in order])
    return [order[taker] for taker in taken]


def _taken(size: int, slots: list[int], steps: list[int], shares: list[float]) -> list[int]:
    """Round after round, each endpoint takes its next free slot as often as its share of the greatest share says.

    `slots` say where each looks next, and move on by its step.
    """
    table = [-1] * size
    greatest = max(shares)
    turns = [0.0] * len(shares)
    free: i64 = size
    rounds = 0.0
    while free:
        rounds += 1.0
        for taker, share in enumerate(shares):
            if share < greatest:  # others have a turn in every round
                if rounds * share < turns[taker]:
                    continue
                turns[taker] += greatest
            _take(table, slots, steps[taker], taker)
            free -= 1
            if not free:
                break
    return table


def _take(table: list[int], slots: list[int], step: i64, taker: int) -> None:
    size: i64 = len(table)
    slot: i64 = slots[taker]
    while table[slot] >= 0:  # somebody has it
        slot += step
        if slot >= size:
            slot -= size
    table[slot] = taker
    slot += step
    slots[taker] = slot if slot < size else slot - size
