"""Who gets what part of the requests: priorities, standings, panic and localities, in a real Envoy and in our proxy side by side."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest

from tests.interop.connections.twins import Twin, twins

from .groups import Group, of
from .named import answers, bootstrap, named_hosts

pytestmark = pytest.mark.timeout(180)  # the first test of the file waits for all requests of both

WEIGHTED = "common_lb_config: {locality_weighted_lb_config: {}}"

CASES: dict[str, tuple[tuple[Group, ...], str]] = {
    "failover": (of("HU/H"), ""),
    "two-thirds": (of("HHU/H/H"), ""),
    "third-priority": (of("HUU/HUU/HUU"), ""),
    "lost-first": (of("UU/H"), ""),
    "total-panic": (of("U/UUUU"), ""),
    "partial-panic": (of("HUUUUU/HU"), ""),
    "degraded-last": (of("HUUUU/DD"), ""),
    "degraded-shares": (of("HDDU/U"), ""),
    "degraded-only": (of("DU/DU"), ""),
    "draining": (of("HR/H"), ""),
    "timeout": (of("HT/H?"), ""),
    "draining-and-panic": (of("HUURR/U"), ""),
    "draining-zone": ((Group("HR", zone=1, weight=1), Group("HH", zone=2, weight=1)), WEIGHTED),
    "all-draining": (of("RR/UUU"), ""),
    "no-panic": (of("HUUUUU/HU"), "common_lb_config: {healthy_panic_threshold: {value: 0}}"),
    "no-panic-nothing": (of("UU/U"), "common_lb_config: {healthy_panic_threshold: {value: 0}}"),
    "low-threshold": (of("HUUUU/HUUUU"), "common_lb_config: {healthy_panic_threshold: {value: 20}}"),
    "fail-on-panic": (of("HUUUUU/HU"), "common_lb_config: {zone_aware_lb_config: {fail_traffic_on_panic: true}}"),
    "nobody": (of(""), ""),
    "gap": ((Group("HU"), Group("H", priority=3)), ""),
    "random": (of("HU/HH"), "lb_policy: RANDOM"),
    "least-request": (of("HU/HH"), "lb_policy: LEAST_REQUEST"),
    "zones": ((Group("H", zone=1, weight=3), Group("HHHH", zone=2, weight=1)), WEIGHTED),
    "zones-unweighted": ((Group("H", zone=1, weight=3), Group("HHHH", zone=2, weight=1)), ""),
    "zones-no-weight": ((Group("H", zone=1), Group("HHHH", zone=2)), WEIGHTED),
    "zone-excluded": ((Group("H", zone=1, weight=1), Group("HHHH", zone=2)), WEIGHTED),
    "zone-lost": ((Group("HUU", zone=1, weight=1), Group("HH", zone=2, weight=1)), WEIGHTED),
    "zones-and-priorities": (
        (Group("HU", zone=1, weight=3), Group("HU", zone=2, weight=1), Group("H", priority=1, zone=3, weight=1)),
        WEIGHTED,
    ),
}
POLICIES = {"two-thirds": "{overprovisioning_factor: 100}", "zone-lost": "{overprovisioning_factor: 200}"}

EQUAL_STATS = ("membership_total", "membership_healthy", "membership_degraded", "membership_excluded")
CERTAIN = {
    "lost-first", "draining", "no-panic-nothing", "nobody", "zones", "zones-unweighted", "zones-no-weight", "zone-excluded", "zone-lost",
    "draining-zone",
}  # fmt: skip
"""Cases in which no chance plays a part but where a rotation begins."""
FAILING = {"no-panic-nothing", "fail-on-panic", "nobody"}
"""Cases in which the proxy itself answers some requests."""


def requests(name: str) -> int:
    return 100 if name in CERTAIN else 400


def cluster(name: str, port: int) -> str:
    groups, extra = CASES[name]
    policy = f"policy: {POLICIES[name]}, " if name in POLICIES else ""
    endpoints = ", ".join(group.text(port) for group in groups)
    return f"""
  - name: {name}
    type: STATIC
    {extra}
    load_assignment: {{cluster_name: {name}, {policy}endpoints: [{endpoints}]}}"""


def text(port: int) -> str:
    return bootstrap([cluster(name, port) for name in CASES], CASES)


@dataclass(frozen=True)
class Seen:
    shares: dict[str, Counter[str]]
    """By case: how many of the requests each address answered, or which status they got instead."""
    stats: dict[str, int]


async def look(twin: Twin) -> Seen:
    shares = {name: await answers(twin.ports["HTTP"], f"/{name}", requests(name), 1 if name in FAILING else 50) for name in CASES}
    return Seen(shares, await twin.stats())


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """What each of the two did with all cases; both run once for the whole file."""

    async def both() -> dict[str, Seen]:
        async with named_hosts() as port, twins(tmp_path_factory.mktemp("shares"), text(port), "HTTP") as pair:
            envoy, ours = await asyncio.gather(look(pair.envoy), look(pair.ours))
            return {"envoy": envoy, "ours": ours}

    return asyncio.run(both())


def grouped(name: str, counted: Counter[str]) -> Counter[str]:
    """Answers by priority, zone and standing: what the load is shared by."""
    standing = {
        group.address(index): f"priority {group.priority} zone {group.zone} {letter}"
        for group in CASES[name][0]
        for index, letter in enumerate(group.letters)
    }
    found: Counter[str] = Counter()
    for who, count in counted.items():
        found[standing.get(who, who)] += count
    return found


def tolerance(name: str, first: int, second: int) -> float:
    """Five standard deviations of the difference of two draws with the same chance; one rotation where there is no chance."""
    if name in CERTAIN:
        return 5
    chance = (first + second) / (2 * requests(name))
    return 5 * (2 * requests(name) * chance * (1 - chance)) ** 0.5


@pytest.mark.parametrize("name", CASES)
def test_the_load_is_shared_as_envoy_shares_it(seen: dict[str, Seen], name: str) -> None:
    envoy, ours = (grouped(name, seen[who].shares[name]) for who in ("envoy", "ours"))
    assert {*envoy} == {*ours}, (envoy, ours)
    for group in envoy:
        assert abs(envoy[group] - ours[group]) <= tolerance(name, envoy[group], ours[group]), (envoy, ours)


@pytest.mark.parametrize("name", CASES)
def test_members_and_panics_are_counted_as_envoy_counts_them(seen: dict[str, Seen], name: str) -> None:
    envoy, ours = seen["envoy"].stats, seen["ours"].stats
    for stat in EQUAL_STATS:
        assert ours[f"cluster.{name}.{stat}"] == envoy[f"cluster.{name}.{stat}"], stat
    panics = [stats[f"cluster.{name}.lb_healthy_panic"] for stats in (envoy, ours)]
    assert abs(panics[0] - panics[1]) <= tolerance(name, *(min(count, requests(name)) for count in panics)), panics
