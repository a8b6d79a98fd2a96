"""From the load of each priority to what picks an endpoint: the priority is drawn, then its list, then one of the list.

A cluster whose load has one place to go has no draw at all: its picks are those of that list's balancer.
"""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .balancing.base import Source
from .host_set import HostSet
from .locality import hashed_shares, weighted
from .priorities import Loads, Priorities

if TYPE_CHECKING:
    from .cluster import Cluster
    from .endpoint import Endpoint


class Spread(Source):
    """Draws one of several sources by percents of the load; a request that is told apart by a key goes where its key says."""

    __slots__ = ("_bounds", "_sources")

    def __init__(self, shares: Sequence[tuple[int, Source | None]]) -> None:
        self._sources = [source for _, source in shares]
        self._bounds: list[int] = []
        for percent, _ in shares:
            self._bounds.append(percent + (self._bounds[-1] if self._bounds else 0))

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint | None":
        drawn = int(random.random() * 100) if key is None else key % 100
        index = 0
        while drawn >= self._bounds[index]:
            index += 1
        source = self._sources[index]
        return None if source is None else source.pick(key, attempt)


class Panicking(Source):
    """A priority that panics: all of its endpoints are used, or none (fail_traffic_on_panic); either is counted."""

    __slots__ = ("_cluster", "_source")

    def __init__(self, cluster: "Cluster", source: Source | None) -> None:
        self._cluster = cluster
        self._source = source

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint | None":
        self._cluster.lb_healthy_panic += 1
        return None if self._source is None else self._source.pick(key, attempt)


def compose(cluster: "Cluster", sets: Sequence[HostSet], priorities: Priorities, loads: Loads) -> Source | None:
    """What picks endpoints by these loads; None when there is nothing to pick from."""
    shares: list[tuple[int, Source | None]] = []
    for degraded, percents in ((False, loads.healthy), (True, loads.degraded)):
        for host_set, percent in zip(sets, percents, strict=True):
            if percent:
                panics = priorities.panics[host_set.priority]
                shares.append((percent, _panicking(cluster, host_set) if panics else _usable(cluster, host_set, degraded=degraded)))
    return shares[0][1] if len(shares) == 1 else Spread(shares)


def _panicking(cluster: "Cluster", host_set: HostSet) -> Source:
    hashes = cluster.config.balancing.by_key
    if not hashes and cluster.config.common_lb.fail_on_panic:
        return Panicking(cluster, None)
    return Panicking(cluster, _hashed(cluster, host_set, host_set.endpoints) if hashes else _plain(cluster, host_set.endpoints))


def _usable(cluster: "Cluster", host_set: HostSet, *, degraded: bool) -> Source | None:
    if cluster.config.balancing.by_key:  # hashes only know healthy endpoints, as in Envoy
        return _hashed(cluster, host_set, host_set.healthy)
    endpoints = host_set.degraded if degraded else host_set.healthy
    if endpoints and cluster.config.common_lb.locality_weighted:
        shared = weighted(endpoints, host_set.present, cluster.overprovisioning_factor, cluster.balance)
        if shared is not None:
            return shared
    if cluster.zones is not None and host_set.priority == 0:  # further priorities are for emergencies: any zone will do
        return cluster.zones.source(host_set, endpoints, _plain(cluster, endpoints), cluster.balance)
    return _plain(cluster, endpoints)


def _plain(cluster: "Cluster", endpoints: "list[Endpoint]") -> Source | None:
    return cluster.balance(endpoints) if endpoints else None


def _hashed(cluster: "Cluster", host_set: HostSet, endpoints: "list[Endpoint]") -> Source | None:
    by_locality = cluster.config.common_lb.locality_weighted and hashed_shares(endpoints, host_set.endpoints)
    if not by_locality:
        return _plain(cluster, endpoints)
    kept, shares = by_locality
    return cluster.balance(kept, shares) if kept else None
