"""How a cluster's load is shared among its priorities: Envoy's arithmetic in whole percents, over counts alone.

A priority's health is the part of its endpoints that are usable, times the overprovisioning factor: with 140, a priority that has
lost less than 29 % of them still takes everything. What the first cannot take goes to the next; degraded endpoints get what the
healthy ones of all priorities leave over.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """One priority: how many endpoints it has (those that nobody has checked yet are `excluded`), and how able it is, in percent."""

    hosts: int
    excluded: int
    healthy: int
    degraded: int
    health: int
    degraded_health: int

    def panics(self, threshold: int) -> bool:
        """Whether too small a part of its endpoints is usable to trust what is said about the rest."""
        counted = self.hosts - self.excluded
        usable = 100 * (self.healthy + self.degraded) / counted if counted > 0 else 0.0
        return usable < threshold


def availability(part: int, whole: int, factor: int) -> int:
    """The health of a priority of which `part` of `whole` (endpoints or their weights) is usable; at most 100."""
    return min(100, factor * part // whole) if whole > 0 else 0


@dataclass(frozen=True, slots=True)
class Loads:
    """Percents of the load for each priority, for its healthy endpoints and for its degraded ones; together 100."""

    healthy: tuple[int, ...]
    degraded: tuple[int, ...]


class Priorities:
    """All priorities of a cluster, the most preferred first. `threshold` is the panic threshold, in percent; 0 disables panic."""

    __slots__ = ("_levels", "_total", "panics")

    def __init__(self, levels: Sequence[Level], threshold: int) -> None:
        self._levels = tuple(levels)
        self._total = min(100, sum(level.health + level.degraded_health for level in levels))
        calm = self._total == 100 or not threshold
        self.panics = tuple(not calm and level.panics(threshold) for level in self._levels)
        """For each priority, whether its load goes to all of its endpoints whatever is said of them."""

    def __repr__(self) -> str:
        return f"<Priorities {self.loads()} panics={self.panics}>"

    def loads(self, excluding: frozenset[int] = frozenset()) -> Loads:
        """How the load is shared; retries may leave out priorities that have failed them (Envoy's previous_priorities).

        When nothing is left without those, none is left out.
        """
        if excluding and (shared := self._without(excluding)) is not None:
            return shared
        if all(self.panics):
            return self._by_counts()
        return self._by_health()

    def usable_without(self, excluding: frozenset[int]) -> bool:
        """Whether any other priority has usable endpoints."""
        return any(level.health + level.degraded_health for index, level in enumerate(self._levels) if index not in excluding)

    def _by_health(self) -> Loads:
        if not self._total:  # panic is disabled and nothing is usable: whoever picks will find nothing at the first priority
            return self._everything_to(0)
        able = [level.health for level in self._levels]
        somewhat = [level.degraded_health for level in self._levels]
        healthy, left = _distribute(able, 100, self._total)
        degraded, left = _distribute(somewhat, left, self._total)
        if any(able):  # what rounding has left over
            healthy[_first(able)] += left
        else:
            degraded[_first(somewhat)] += left
        return Loads(tuple(healthy), tuple(degraded))

    def _by_counts(self) -> Loads:
        """All are in panic: the number of endpoints alone counts."""
        total = sum(level.hosts for level in self._levels)
        if not total:
            return self._everything_to(0)
        shares = [100 * level.hosts // total for level in self._levels]
        shares[_first([level.hosts for level in self._levels])] += 100 - sum(shares)
        return Loads(tuple(shares), (0,) * len(shares))

    def _everything_to(self, chosen: int) -> Loads:
        count = max(1, len(self._levels))
        return Loads(tuple(100 if index == chosen else 0 for index in range(count)), (0,) * count)

    def _without(self, excluded: frozenset[int]) -> Loads | None:
        """The load of the other priorities scaled up to everything; None when they are not usable at all."""
        kept = [index not in excluded for index in range(len(self._levels))]
        able = [level.health if keep else 0 for level, keep in zip(self._levels, kept, strict=True)]
        able += [level.degraded_health if keep else 0 for level, keep in zip(self._levels, kept, strict=True)]
        total = min(100, sum(able))
        if not total:
            return None
        shares = [0] * len(able)
        left = 100
        while left:  # further rounds hand out what rounding has left over
            more, left = _distribute(able, left, total)
            shares = [share + addition for share, addition in zip(shares, more, strict=True)]
        return Loads(tuple(shares[: len(kept)]), tuple(shares[len(kept) :]))


def _distribute(able: list[int], load: int, total: int) -> tuple[list[int], int]:
    """Give each, in order, what it can take of the load, scaled by how able all are together; and what is left."""
    shares = []
    for health in able:
        share = min(load, 100 * health // total)
        shares.append(share)
        load -= share
    return shares, load


def _first(values: list[int]) -> int:
    """The index of the first that is not 0."""
    return next(index for index, value in enumerate(values) if value)
