"""Zone-aware routing: requests stay in the caller's zone as far as that is fair to all zones.

A proxy knows where its like stand from the local cluster (cluster_manager.local_cluster_name), and so what part of all requests begins
in each zone. A zone that has at least that part of the endpoints serves its own callers alone. One that has less serves what it can, and
sends the rest to zones that have more, by how much more. Rules, their order and the whole numbers (of 10,000) are Envoy's
ZoneAwareLoadBalancerBase.
"""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .balancing.base import Source
from .config import CommonLb
from .host_set import HostSet
from .locality import Place, by_place

if TYPE_CHECKING:
    from .endpoint import Endpoint

_WHOLE = 10_000


class LocalCluster:
    """The cluster that this proxy's like are members of, and where this one stands."""

    __slots__ = ("hosts", "name", "place")

    def __init__(self, name: str, place: Place | None) -> None:
        """`place` is the node's locality; None where it has none, and no request is kept anywhere."""
        self.name = name
        self.place = place
        self.hosts = HostSet(0, [])
        """As of the last change."""

    def __repr__(self) -> str:
        return f"<LocalCluster {self.name} at {self.place} {self.hosts!r}>"


class ZoneCounts:
    """Envoy's counters of one cluster, by their names."""

    __slots__ = (
        "lb_local_cluster_not_ok", "lb_recalculate_zone_structures", "lb_zone_cluster_too_small", "lb_zone_no_capacity_left",
        "lb_zone_routing_all_directly", "lb_zone_routing_cross_zone", "lb_zone_routing_sampled",
    )  # fmt: skip

    def __init__(self) -> None:
        self.reset()

    def __repr__(self) -> str:
        return f"<ZoneCounts {dict(self.items())}>"

    def reset(self) -> None:
        self.lb_local_cluster_not_ok = self.lb_recalculate_zone_structures = self.lb_zone_cluster_too_small = 0
        self.lb_zone_no_capacity_left = self.lb_zone_routing_all_directly = 0
        self.lb_zone_routing_cross_zone = self.lb_zone_routing_sampled = 0

    def items(self) -> list[tuple[str, int]]:
        """Names and values."""
        return [
            ("lb_local_cluster_not_ok", self.lb_local_cluster_not_ok),
            ("lb_recalculate_zone_structures", self.lb_recalculate_zone_structures),
            ("lb_zone_cluster_too_small", self.lb_zone_cluster_too_small),
            ("lb_zone_no_capacity_left", self.lb_zone_no_capacity_left),
            ("lb_zone_routing_all_directly", self.lb_zone_routing_all_directly),
            ("lb_zone_routing_cross_zone", self.lb_zone_routing_cross_zone),
            ("lb_zone_routing_sampled", self.lb_zone_routing_sampled),
        ]


class Zones:
    """What one cluster makes of the zones of its endpoints and of those that call it."""

    __slots__ = ("_common", "_local", "counts")

    def __init__(self, local: LocalCluster, common: CommonLb) -> None:
        self._local = local
        self._common = common
        self.counts = ZoneCounts()

    def __repr__(self) -> str:
        return f"<Zones {self._local!r} {self.counts!r}>"

    def source(
        self, hosts: HostSet, usable: "Sequence[Endpoint]", plain: Source | None, build: "Callable[[Sequence[Endpoint]], Source]"
    ) -> Source | None:
        """What picks among the usable endpoints of the first priority; `plain` where zones make no difference."""
        self.counts.lb_recalculate_zone_structures += 1
        places = self._order(hosts)
        if not self._applies(hosts, places):
            return plain
        panics = self._local.hosts.level(100).panics(self._common.panic_threshold)
        if panics:
            return Unknown(self.counts, None if self._common.fail_on_panic else plain, plain, self._common.zone_aware.routing_enabled)
        found = by_place(usable)
        sources = [build(found[place]) if place in found else None for place in places]
        return self._routed(hosts, places, sources, plain)

    def _order(self, hosts: HostSet) -> list[Place]:
        """The localities of the endpoints, our own first."""
        places = list(by_place(hosts.endpoints))
        own = self._local.place
        if own is not None and own in places:
            places.remove(own)
            places.insert(0, own)
        return places

    def _applies(self, hosts: HostSet, places: Sequence[Place]) -> bool:
        config = self._common.zone_aware
        callers = by_place(self._local.hosts.endpoints)
        if len(places) < 2 or (len(callers) < 2 and not config.local_minimum):
            return False
        if self._local.place not in callers:
            self.counts.lb_local_cluster_not_ok += 1
            return False
        if len(hosts.healthy) < config.min_cluster_size:
            self.counts.lb_zone_cluster_too_small += 1
            return False
        return True

    def _routed(self, hosts: HostSet, places: Sequence[Place], sources: Sequence[Source | None], plain: Source | None) -> Source:
        config = self._common.zone_aware
        theirs = _parts(places, hosts.healthy, by_weight=config.by_weight)
        ours = _parts(places, self._local.hosts.healthy, by_weight=config.by_weight)
        at_home = bool(places[0] == self._local.place)
        if at_home:
            here = sum(1 for endpoint in hosts.healthy if endpoint.config.place == places[0])
            if (theirs[0] > 0 and theirs[0] >= ours[0]) or (config.local_minimum and here >= config.local_minimum):
                return Direct(self.counts, sources[0], plain, config.routing_enabled)
        kept = theirs[0] * _WHOLE // ours[0] if at_home and ours[0] > 0 else 0
        return Sampled(self.counts, sources, kept, residual(theirs, ours, at_home=at_home), plain, config.routing_enabled)


def _parts(places: Sequence[Place], healthy: "Sequence[Endpoint]", *, by_weight: bool) -> list[int]:
    """What part of all healthy endpoints each locality has; one that is not among the `places` counts for the whole alone."""
    found = by_place(healthy)
    sizes = {place: sum(each.config.weight for each in members) if by_weight else len(members) for place, members in found.items()}
    whole = sum(sizes.values())
    return [_WHOLE * sizes.get(place, 0) // whole if whole else 0 for place in places]


def residual(theirs: Sequence[int], ours: Sequence[int], *, at_home: bool) -> list[int]:
    """How much more than its own callers need each locality has, added up from the first on; the first is ours if we are `at_home`."""
    bounds: list[int] = []
    for index, (capacity, need) in enumerate(zip(theirs, ours, strict=True)):
        more = 0 if at_home and index == 0 else max(0, capacity - need)
        bounds.append(more + (bounds[-1] if bounds else 0))
    return bounds


class Aware(Source):
    """Some percent of the picks look at zones, the others at nothing."""

    __slots__ = ("_counts", "_enabled", "_plain")

    def __init__(self, counts: ZoneCounts, plain: Source | None, enabled: int) -> None:
        self._counts = counts
        self._plain = plain
        self._enabled = enabled

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint | None":
        aware = self._enabled >= 100 or random.random() * 100 < self._enabled
        source = self.choose() if aware else self._plain
        return None if source is None else source.pick(key, attempt)

    def choose(self) -> Source | None:
        """Where a request goes that looks at zones."""
        raise NotImplementedError


class Unknown(Aware):
    """Too few callers are well to say how they are spread: all endpoints are used, or none (fail_traffic_on_panic)."""

    __slots__ = ("_instead",)

    def __init__(self, counts: ZoneCounts, instead: Source | None, plain: Source | None, enabled: int) -> None:
        super().__init__(counts, plain, enabled)
        self._instead = instead

    def choose(self) -> Source | None:
        self._counts.lb_local_cluster_not_ok += 1
        return self._instead


class Direct(Aware):
    """Our own zone has what its callers need."""

    __slots__ = ("_own",)

    def __init__(self, counts: ZoneCounts, own: Source | None, plain: Source | None, enabled: int) -> None:
        super().__init__(counts, plain, enabled)
        self._own = own

    def choose(self) -> Source | None:
        self._counts.lb_zone_routing_all_directly += 1
        return self._own


class Sampled(Aware):
    """Our own zone, the first, takes `kept` of 10,000 requests; zones share the others by what they have left, added up in `bounds`."""

    __slots__ = ("_bounds", "_kept", "_sources")

    def __init__(
        self, counts: ZoneCounts, sources: Sequence[Source | None], kept: int, bounds: Sequence[int], plain: Source | None, enabled: int
    ) -> None:
        super().__init__(counts, plain, enabled)
        self._sources = list(sources)
        self._kept = kept
        self._bounds = list(bounds)

    def choose(self) -> Source | None:
        if random.randrange(_WHOLE) < self._kept:
            self._counts.lb_zone_routing_sampled += 1
            return self._sources[0]
        self._counts.lb_zone_routing_cross_zone += 1
        if not self._bounds[-1]:  # what rounding can leave
            self._counts.lb_zone_no_capacity_left += 1
            return random.choice(self._sources)
        drawn = random.randrange(self._bounds[-1])
        index = 0
        while drawn >= self._bounds[index]:
            index += 1
        return self._sources[index]
