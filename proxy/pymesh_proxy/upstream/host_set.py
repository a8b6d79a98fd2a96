"""The endpoints of one priority by their standing."""

from collections.abc import Sequence

from .endpoint import Endpoint, Standing
from .priorities import Level, availability


class HostSet:
    """One priority. The lists are those of one moment: a set is made anew whenever an endpoint comes, goes or changes."""

    __slots__ = ("degraded", "endpoints", "excluded", "healthy", "priority")

    def __init__(self, priority: int, endpoints: list[Endpoint]) -> None:
        self.priority = priority
        self.endpoints = endpoints
        self.healthy: list[Endpoint] = []
        self.degraded: list[Endpoint] = []
        self.excluded: list[Endpoint] = []
        """Those about which nothing is known yet, so that they do not count as sick either."""
        for endpoint in endpoints:
            standing = endpoint.standing
            if standing is Standing.HEALTHY:
                self.healthy.append(endpoint)
            elif standing is Standing.DEGRADED:
                self.degraded.append(endpoint)
            if endpoint.excluded:
                self.excluded.append(endpoint)

    def __repr__(self) -> str:
        counts = f"{len(self.healthy)} healthy, {len(self.degraded)} degraded, {len(self.excluded)} excluded"
        return f"<HostSet {self.priority}: {len(self.endpoints)} endpoints, {counts}>"

    def level(self, factor: int, *, by_weight: bool = False) -> Level:
        """How able this priority is; `by_weight`: endpoints count with their weights (weighted_priority_health)."""
        measure = _weights if by_weight else _numbers
        whole = measure(self.endpoints) - measure(self.excluded)
        return Level(
            hosts=len(self.endpoints),
            excluded=len(self.excluded),
            healthy=len(self.healthy),
            degraded=len(self.degraded),
            health=availability(measure(self.healthy), whole, factor),
            degraded_health=availability(measure(self.degraded), whole, factor),
        )

    @property
    def present(self) -> list[Endpoint]:
        """Those that count when it is asked how many are usable."""
        return [endpoint for endpoint in self.endpoints if not endpoint.excluded] if self.excluded else self.endpoints


def _numbers(endpoints: Sequence[Endpoint]) -> int:
    return len(endpoints)


def _weights(endpoints: Sequence[Endpoint]) -> int:
    return sum(endpoint.config.weight for endpoint in endpoints)


def host_sets(endpoints: Sequence[Endpoint]) -> tuple[HostSet, ...]:
    """The priorities of a cluster from 0 on; one that no endpoint has is empty. There is always at least one."""
    lists: list[list[Endpoint]] = [[]]
    for endpoint in endpoints:
        while len(lists) <= endpoint.config.priority:
            lists.append([])
        lists[endpoint.config.priority].append(endpoint)
    return tuple(HostSet(priority, members) for priority, members in enumerate(lists))
