"""Zone-aware routing in a real Envoy and in our proxy side by side: which zone gets what part of the requests that begin in zone z1."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.interop.connections.twins import Twin, twins

from .groups import Group
from .named import answers, bootstrap, named_hosts

pytestmark = pytest.mark.timeout(180)  # the first test of the file waits for all requests of both

REQUESTS = 400
WEIGHTED = "common_lb_config: {locality_weighted_lb_config: {}}"


def zones(*letters: str, priority: int = 0) -> tuple[Group, ...]:
    """The endpoints of z1, z2 and so on."""
    return tuple(Group(each, priority, zone) for zone, each in enumerate(letters, 1) if each)


def aware(text: str) -> str:
    return f"common_lb_config: {{zone_aware_lb_config: {{{text}}}}}"


def policy(text: str) -> str:
    """What only a policy can say of zones."""
    name = "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin"
    config = f"{{'@type': type.googleapis.com/{name}, locality_lb_config: {{zone_aware_lb_config: {{{text}}}}}}}"
    return f"load_balancing_policy: {{policies: [{{typed_extension_config: {{name: rr, typed_config: {config}}}}}]}}"


SCARCE = zones("H", "HHH", "HH")
"""Half of the callers are in z1, and a sixth of the endpoints."""

CASES: dict[str, tuple[tuple[Group, ...], str]] = {
    "enough": (zones("HHH", "HH", "H"), ""),
    "scarce": (SCARCE, ""),
    "scarce-random": (SCARCE, "lb_policy: RANDOM"),
    "scarce-least-request": (SCARCE, "lb_policy: LEAST_REQUEST"),
    "sick-at-home": (zones("HUU", "HHHH", "HH"), ""),
    "nobody-at-home": (zones("", "HHH", "HHH"), ""),
    "lost-at-home": (zones("U", "HHHHH", "HHH"), ""),
    "other-zones": (zones("H", "", "HH", "HHH"), ""),
    "one-zone": (zones("", "HHHHHH"), ""),
    "small": (zones("HH", "HH"), ""),
    "small-will-do": (zones("HH", "HH"), aware("min_cluster_size: 4")),
    "switched-off": (SCARCE, aware("routing_enabled: {value: 0}")),
    "half": (zones("HHH", "HH", "H"), aware("routing_enabled: {value: 50}")),
    "degraded": (zones("DD", "HDD"), aware("min_cluster_size: 1")),
    "second-priority": ((*zones("HUU", "HUU"), *zones("H", "H", priority=1)), aware("min_cluster_size: 1")),
    "weighted": ((Group("HHH", zone=1, weight=1), Group("HHH", zone=2, weight=3)), WEIGHTED),
    "weighted-without-weights": (zones("HHH", "HHH"), WEIGHTED),
    "hashed": (SCARCE, "lb_policy: RING_HASH"),
    "forced": (SCARCE, policy("force_locality_direct_routing: true")),
    "forced-lost": (zones("U", "HHHHH", "HHH"), policy("force_locality_direct_routing: true")),
    "forced-enough": (zones("HH", "HHHHH"), policy("force_local_zone: {min_size: 2}")),
    "forced-scarce": (SCARCE, policy("force_local_zone: {min_size: 2}")),
    "by-weight": ((Group("HHH", zone=1), Group("HHH", zone=2, heavy=3)), policy("locality_basis: HEALTHY_HOSTS_WEIGHT")),
}
FAILING = aware("fail_traffic_on_panic: true, min_cluster_size: 1")


@dataclass(frozen=True)
class Callers:
    """A local cluster, and the cases that are looked at with it."""

    groups: tuple[Group, ...]
    cases: dict[str, tuple[tuple[Group, ...], str]] = field(default_factory=lambda: {"scarce": CASES["scarce"], "enough": CASES["enough"]})


CALLERS = {
    "spread": Callers(zones("HH", "H", "H"), CASES),
    "alone": Callers(zones("HHHH"), {"enough": CASES["enough"], "forced": CASES["forced"]}),
    "elsewhere": Callers(zones("", "HH", "HH")),
    "sick": Callers(zones("HUU", "U"), {"scarce": CASES["scarce"], "failing": (SCARCE, FAILING)}),
}

COUNTERS = ("lb_zone_routing_all_directly", "lb_zone_routing_cross_zone", "lb_zone_routing_sampled", "lb_zone_no_capacity_left")


def cluster(name: str, groups: tuple[Group, ...], extra: str, port: int) -> str:
    endpoints = ", ".join(group.text(port) for group in groups)
    return f"""
  - name: {name}
    type: STATIC
    {extra}
    load_assignment: {{cluster_name: {name}, endpoints: [{endpoints}]}}"""


def text(callers: Callers, port: int) -> str:
    clusters = [cluster("callers", callers.groups, "", port)]
    clusters += [cluster(name, groups, extra, port) for name, (groups, extra) in callers.cases.items()]
    node = "\nnode: {id: twin, cluster: twin, locality: {zone: z1}}\ncluster_manager: {local_cluster_name: callers}\n"
    return node + bootstrap(clusters, callers.cases)


@dataclass(frozen=True)
class Seen:
    shares: dict[str, Counter[str]]
    """By case: how many requests each zone answered, or which status they got instead."""
    stats: dict[str, int]


def by_zone(groups: tuple[Group, ...], counted: Counter[str]) -> Counter[str]:
    zone_of = {group.address(index): f"z{group.zone}" for group in groups for index in range(len(group.letters))}
    found: Counter[str] = Counter()
    for who, count in counted.items():
        found[zone_of.get(who, who)] += count
    return found


async def look(twin: Twin, callers: Callers) -> Seen:
    shares = {}
    for name, (groups, _) in callers.cases.items():
        at_once = 1 if name in ("failing", "forced-lost") else 50
        shares[name] = by_zone(groups, await answers(twin.ports["HTTP"], f"/{name}", REQUESTS, at_once))
    return Seen(shares, await twin.stats())


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Seen, Seen]]:
    """What each of the two did with all cases."""

    async def both() -> dict[str, tuple[Seen, Seen]]:
        found = {}
        async with named_hosts() as port:
            for name, callers in CALLERS.items():
                async with twins(tmp_path_factory.mktemp(name), text(callers, port), "HTTP") as pair:
                    found[name] = await asyncio.gather(look(pair.envoy, callers), look(pair.ours, callers))
        return found

    return asyncio.run(both())


def tolerance(first: int, second: int) -> float:
    """Five standard deviations of the difference of two draws with the same chance, and where there is none, of where a rotation begins."""
    chance = (first + second) / (2 * REQUESTS)
    return 5 * max(1.0, 2 * REQUESTS * chance * (1 - chance)) ** 0.5


@pytest.mark.parametrize(("callers", "name"), [(callers, name) for callers, each in CALLERS.items() for name in each.cases])
def test_zones_share_the_load_as_in_envoy(seen: dict[str, tuple[Seen, Seen]], callers: str, name: str) -> None:
    envoy, ours = seen[callers]
    for who in {*envoy.shares[name], *ours.shares[name]}:
        first, second = envoy.shares[name][who], ours.shares[name][who]
        assert abs(first - second) <= tolerance(first, second), (envoy.shares[name], ours.shares[name])
    for counter in COUNTERS:
        stat = f"cluster.{name}.{counter}"
        first, second = envoy.stats[stat], ours.stats.get(stat, 0)
        assert abs(first - second) <= tolerance(min(first, REQUESTS), min(second, REQUESTS)), (counter, first, second)
