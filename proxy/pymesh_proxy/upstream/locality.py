"""Localities of one priority: who stands where, and sharing load among them by weight (Envoy's locality_weighted_lb_config)."""

import heapq
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .balancing.base import Source

if TYPE_CHECKING:
    from .endpoint import Endpoint

Place = tuple[str, str, str]
"""Region, zone and sub-zone."""


def by_place(endpoints: "Sequence[Endpoint]") -> "dict[Place, list[Endpoint]]":
    """The endpoints of each locality, in the localities' lexical order."""
    places: dict[Place, list[Endpoint]] = {}
    for endpoint in endpoints:
        places.setdefault(endpoint.config.place, []).append(endpoint)
    return dict(sorted(places.items()))


def effective_weight(weight: int, usable: int, present: int, factor: int) -> float:
    """What a locality's weight is worth while `usable` of the `present` endpoints there are; `factor` is the overprovisioning's."""
    return weight * min(1.0, factor / 100 * usable / present) if present > 0 else 0.0


class WeightedLocalities(Source):
    """Earliest deadline first over localities; each has its own balancer for the endpoints in it."""

    __slots__ = ("_order", "_queue", "_sources", "_weights")

    def __init__(self, shares: Sequence[tuple[float, Source]]) -> None:
        self._weights = [weight for weight, _ in shares]
        self._sources = [source for _, source in shares]
        self._order = 0
        self._queue: list[tuple[float, int, int]] = []
        for index in range(len(shares)):
            self._push(0.0, index)
        for _ in range(random.randrange(len(shares))):  # many workers do not all begin with the same one
            self._next()

    def _push(self, now: float, index: int) -> None:
        self._order += 1  # ties by insertion order
        heapq.heappush(self._queue, (now + 1.0 / self._weights[index], self._order, index))

    def _next(self) -> int:
        deadline, _, index = heapq.heappop(self._queue)
        self._push(deadline, index)
        return index

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint | None":
        return self._sources[self._next()].pick(key, attempt)


def weighted(
    usable: "Sequence[Endpoint]", present: "Sequence[Endpoint]", factor: int, build: "Callable[[Sequence[Endpoint]], Source]"
) -> Source | None:
    """Share load among the localities of the usable endpoints of one priority; `present` are those that count as its members.

    None when no locality has a weight: then all endpoints are balanced as one list.
    """
    members = by_place(present)
    shares = []
    for place, endpoints in by_place(usable).items():
        weight = effective_weight(endpoints[0].config.locality_weight, len(endpoints), len(members.get(place, ())), factor)
        if weight > 0:
            shares.append((weight, build(endpoints)))
    if not shares:
        return None
    return shares[0][1] if len(shares) == 1 else WeightedLocalities(shares)


def hashed_shares(usable: "Sequence[Endpoint]", members: "Sequence[Endpoint]") -> "tuple[list[Endpoint], list[float]] | None":
    """Consistent hashing spreads over all localities at once: the endpoints that get something, and the part of the load of each.

    None when no locality of the priority, whose endpoints are `members`, has a weight.
    """
    total = sum(endpoints[0].config.locality_weight for endpoints in by_place(members).values())
    if not total:
        return None
    kept: list[Endpoint] = []
    shares: list[float] = []
    for endpoints in by_place(usable).values():
        part = endpoints[0].config.locality_weight / total
        whole = sum(endpoint.config.weight for endpoint in endpoints)
        if part:
            kept += endpoints
            shares += [part * endpoint.config.weight / whole for endpoint in endpoints]
    return kept, shares
