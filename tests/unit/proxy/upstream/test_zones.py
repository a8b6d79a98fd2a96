"""How requests are kept in the zone they begin in: the arithmetic, and what follows changes of the callers."""

import asyncio
from collections import Counter

import pytest

from pymesh_proxy.runtime import Runtime
from pymesh_proxy.upstream.balancing.base import Only
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig
from pymesh_proxy.upstream.config import Assignment, ClusterConfig, CommonLb, Discovery, EndpointConfig, Health, ZoneAware
from pymesh_proxy.upstream.endpoint import Endpoint
from pymesh_proxy.upstream.exclusive import ExclusivePool
from pymesh_proxy.upstream.zones import LocalCluster, Sampled, ZoneCounts, residual

HOME = ("", "z1", "")
SMALL = ZoneAware(min_cluster_size=1)


@pytest.mark.parametrize(("theirs", "ours", "at_home", "bounds"), [
    ([2500, 5000, 2500], [4000, 4000, 2000], True, [0, 1000, 1500]),
    ([2500, 5000, 2500], [4000, 4000, 2000], False, [0, 1000, 1500]),
    ([5000, 5000], [4000, 6000], False, [1000, 1000]),
    ([5000, 5000], [4000, 6000], True, [0, 0]),
])  # fmt: skip
def test_what_each_zone_has_left_is_added_up(theirs, ours, at_home, bounds):
    assert residual(theirs, ours, at_home=at_home) == bounds


def endpoints(*numbers, health=Health.HEALTHY):
    """So many endpoints in z1, z2 and so on; the first octet that differs is the zone."""
    return tuple(
        EndpointConfig(host=f"10.0.{zone}.{index}", port=80, zone=f"z{zone}", health=health)
        for zone, number in enumerate(numbers, 1)
        for index in range(number)
    )


def cluster(name, *members, **common):
    config = ClusterConfig(name=name, discovery=Discovery.STATIC, common_lb=CommonLb(**common))
    return config, Assignment(cluster=name, endpoints=members)


@pytest.fixture
async def runtime():
    return Runtime(asyncio.get_running_loop())


@pytest.fixture
def clusters(runtime):
    """Those of a process in z1, whose local cluster is `callers`."""
    made = runtime.clusters
    made.local = LocalCluster("callers", HOME)
    made.put(cluster("callers")[0])
    return made


def put(clusters, name, *members, **common):
    config, assignment = cluster(name, *members, **common)
    made = clusters.put(config)
    made.assign(assignment)
    return made


def zones(made, requests=2000):
    return {zone: 100 * count / requests for zone, count in Counter(made.pick().config.zone for _ in range(requests)).items()}


async def test_a_change_of_the_callers_shares_the_load_anew(clusters):
    made = put(clusters, "up", *endpoints(2, 2), zone_aware=SMALL)
    assert zones(made) == {"z1": pytest.approx(50, abs=6), "z2": pytest.approx(50, abs=6)}
    put(clusters, "callers", *endpoints(1, 1))
    assert zones(made) == {"z1": 100}
    put(clusters, "callers", *endpoints(3, 1))
    assert zones(made) == {"z1": pytest.approx(66.7, abs=6), "z2": pytest.approx(33.3, abs=6)}
    put(clusters, "callers", *endpoints(0, 3, 1))
    assert zones(made) == {"z1": pytest.approx(50, abs=6), "z2": pytest.approx(50, abs=6)}
    assert made.zones.counts.lb_local_cluster_not_ok == 1, "when we were not among the callers"


def test_what_rounding_leaves_goes_anywhere():
    first, second = (Only(Endpoint(config, None)) for config in endpoints(1, 1))
    counts = ZoneCounts()
    source = Sampled(counts, [first, second], 0, [0, 0], None, 100)
    assert {source.pick() for _ in range(100)} == {first.pick(), second.pick()}
    assert (counts.lb_zone_routing_cross_zone, counts.lb_zone_no_capacity_left) == (100, 100)


async def test_callers_that_are_mostly_sick_tell_nothing(clusters):
    made = put(clusters, "up", *endpoints(2, 2), zone_aware=SMALL)
    failing = put(clusters, "failing", *endpoints(2, 2), zone_aware=SMALL, fail_on_panic=True)
    put(clusters, "callers", *endpoints(1, 1, health=Health.UNHEALTHY))
    assert len(zones(made)) == 2
    assert failing.pick() is None
    assert made.zones.counts.lb_local_cluster_not_ok >= 2000


async def test_connections_stay_when_only_callers_change(runtime, clusters):
    made = put(clusters, "up", *endpoints(1, 1), zone_aware=SMALL, close_on_change=True)
    endpoint = made.endpoints[0]
    pool = endpoint.pool = ExclusivePool(runtime, made, endpoint, made.breaker)
    put(clusters, "callers", *endpoints(1, 1))
    assert endpoint.pool is pool
    made.rebalance()
    assert endpoint.pool is None


@pytest.mark.parametrize(("name", "settings"), [
    ("callers", {}),
    ("hashed", {"balancing": BalancingConfig(policy=Balancing.MAGLEV)}),
    ("original", {"discovery": Discovery.ORIGINAL_DST}),
])  # fmt: skip
async def test_some_clusters_look_at_no_zones(clusters, name, settings):
    clusters.put(ClusterConfig(**{"name": name, "discovery": Discovery.STATIC, **settings}))
    assert clusters.get(name).zones is None
