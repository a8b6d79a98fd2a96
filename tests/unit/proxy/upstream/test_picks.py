"""Which endpoints of a cluster get what part of the requests: priorities, localities, panic."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.testing import Mesh, static_cluster
from pymesh_proxy.upstream.cluster import Cluster
from pymesh_proxy.upstream.config import Assignment, ClusterConfig, CommonLb, Discovery, EndpointConfig, Health
from pymesh_proxy.upstream.locality import effective_weight

HEALTH = {"H": Health.HEALTHY, "D": Health.DEGRADED, "U": Health.UNHEALTHY, "R": Health.DRAINING, "T": Health.TIMEOUT}


def cluster(*endpoints, policy=None, **common):
    config = ClusterConfig(name="c", discovery=Discovery.EDS, common_lb=CommonLb(**common))
    made = Cluster(config, None, ())
    made.assign(Assignment(cluster="c", endpoints=endpoints, **(policy or {})))
    return made


def priorities(text, **common):
    """`HU/H`: an endpoint a letter; its port's hundreds are its priority."""
    return cluster(
        *(
            EndpointConfig(host="10.0.0.1", port=100 * priority + index, health=HEALTH[letter], priority=priority)
            for priority, letters in enumerate(text.split("/"))
            for index, letter in enumerate(letters)
        ),
        **common,
    )


def shares(made, requests=4000):
    """Of a hundred requests, those that each priority gets."""
    counted = Counter(made.pick().config.port // 100 for _ in range(requests))
    return {priority: 100 * count / requests for priority, count in counted.items()}


def ports(made, requests=2000):
    return {made.pick().config.port for _ in range(requests)}


def test_what_the_first_priority_cannot_take_goes_to_the_second():
    found = shares(priorities("HU/H"))
    assert found[0] == pytest.approx(70, abs=4)
    assert ports(priorities("HU/H")) == {0, 100}


def test_a_key_decides_the_priority():
    made = priorities("HU/H")
    assert [made.pick(key=key).config.port // 100 for key in (0, 69, 70, 99, 100, 169, 170)] == [0, 0, 1, 1, 0, 0, 1]


def test_healthy_and_degraded_endpoints_of_one_priority_share_its_load():
    made = priorities("HDDU")
    counted = Counter(made.pick().config.port for _ in range(4000))
    assert counted[0] / 40 == pytest.approx(35, abs=4)
    assert set(counted) == {0, 1, 2}
    assert made.lb_healthy_panic == 0


def test_a_priority_in_panic_uses_all_of_its_endpoints_and_the_others_do_not():
    made = priorities("HU/HUUUUU")
    assert ports(made) == {0, *range(100, 106)}
    assert made.lb_healthy_panic / 20 == pytest.approx(24, abs=4)


def test_a_panic_may_fail_requests_instead():
    made = priorities("UU", fail_on_panic=True)
    assert made.pick() is None
    assert made.lb_healthy_panic == 1


def test_without_panic_sick_endpoints_get_nothing():
    made = priorities("UU/U", panic_threshold=0)
    assert made.pick() is None
    assert made.lb_healthy_panic == 0


def test_endpoints_that_drain_do_not_count_as_lost():
    assert ports(priorities("HR/H")) == {0}
    assert ports(priorities("HT/H")) == {0, 100}


def test_an_empty_priority_passes_its_load_on():
    assert ports(priorities("/H")) == {100}


def test_a_changed_standing_moves_the_load():
    made = priorities("H/H")
    assert ports(made) == {0}
    made.endpoints[0].ejected = True
    made.rebalance()
    assert ports(made) == {100}
    assert made.membership_change == 1


def test_weights_can_decide_the_health_of_a_priority():
    endpoints = (
        EndpointConfig(host="10.0.0.1", port=0, weight=9),
        EndpointConfig(host="10.0.0.1", port=1, weight=1, health=Health.UNHEALTHY),
        EndpointConfig(host="10.0.0.1", port=100, priority=1),
    )
    assert ports(cluster(*endpoints)) == {0, 100}
    assert ports(cluster(*endpoints, policy={"weighted_priority_health": True})) == {0}
    assert ports(cluster(*endpoints, policy={"overprovisioning_factor": 200})) == {0}


def zones(**weights):
    """`a=("HHU", 3)`: the endpoints and the weight of a zone."""
    made = []
    for zone, (letters, weight) in weights.items():
        for letter in letters:
            port = 100 * (ord(zone) - ord("a")) + len(made)
            made.append(EndpointConfig(host="10.0.0.1", port=port, zone=zone, locality_weight=weight, health=HEALTH[letter]))
    return made


def test_localities_share_by_their_weights_whatever_their_size():
    found = shares(cluster(*zones(a=("H", 3), b=("HHHH", 1)), locality_weighted=True), 400)
    assert found == {0: 75, 1: 25}


def test_without_locality_weights_their_size_decides():
    assert shares(cluster(*zones(a=("H", 3), b=("HHHH", 1))), 400) == {0: 20, 1: 80}
    assert shares(cluster(*zones(a=("H", 0), b=("HHHH", 0)), locality_weighted=True), 400) == {0: 20, 1: 80}


def test_a_locality_without_weight_gets_nothing():
    assert shares(cluster(*zones(a=("H", 1), b=("HHHH", 0)), locality_weighted=True), 400) == {0: 100}


def test_a_locality_that_has_lost_endpoints_is_worth_less():
    found = shares(cluster(*zones(a=("HU", 1), b=("HH", 1)), locality_weighted=True), 1700)
    assert found[0] == pytest.approx(100 * 0.7 / 1.7, abs=0.5)


def test_a_panic_does_not_look_at_localities():
    made = cluster(*zones(a=("HUUU", 9), b=("UU", 1)), locality_weighted=True)
    assert len(ports(made, 60)) == 6


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 20), st.integers(0, 20), st.sampled_from([100, 140, 200]))
def test_a_locality_is_worth_its_weight_until_too_many_are_gone(weight, usable, lost, factor):
    worth = effective_weight(weight, usable, usable + lost, factor)
    assert 0 <= worth <= weight
    if usable and factor * usable >= 100 * (usable + lost):
        assert worth == weight


@pytest.mark.parametrize("asked", [False, True])
async def test_connections_are_left_when_the_set_changes_if_that_is_asked_for(asked):
    config = static_cluster("up", ("10.0.0.1", 80), ("10.0.0.2", 80), common_lb=CommonLb(close_on_change=asked))
    async with Mesh(cluster=config) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        cluster = mesh.runtime.clusters.get("up")
        next(one for one in cluster.endpoints if one.rq_total).ejected = True
        cluster.rebalance()
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200")
        assert upstream.hung_up is asked


def eds(*hosts, **policy):
    endpoints = tuple(EndpointConfig(host=host, port=80, priority=priority) for priority, host in enumerate(hosts))
    return Assignment(cluster="c", endpoints=endpoints, **policy)


async def test_an_assignment_moves_the_load_of_a_cluster_that_serves():
    async with Mesh(cluster=ClusterConfig(name="up", discovery=Discovery.EDS, eds_name="c")) as mesh:
        clusters = mesh.runtime.clusters
        clusters.assign(eds("10.0.0.1", "10.0.0.2"))
        client = mesh.connect()
        for host in ("10.0.0.1", "10.0.0.3"):
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            upstream = await mesh.accepted()
            await mesh.settle()
            assert upstream.address == (host, 80)
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await mesh.settle()
            clusters.assign(eds("10.0.0.3", "10.0.0.2"))
            await mesh.settle()
            assert upstream.hung_up == (host == "10.0.0.1")


async def test_endpoints_that_are_stale_are_not_used_any_more():
    async with Mesh(cluster=ClusterConfig(name="up", discovery=Discovery.EDS, eds_name="c")) as mesh:
        clusters, cluster = mesh.runtime.clusters, mesh.runtime.clusters.get("up")
        clusters.assign(eds("10.0.0.1", stale_after=5.0))
        await mesh.advance(4)
        clusters.assign(eds("10.0.0.1", stale_after=5.0))
        await mesh.advance(4)
        assert cluster.pick() is not None, "news came in time"
        await mesh.advance(2)
        assert cluster.pick() is None
        assert (cluster.assignment_stale, cluster.assignment_timeout_received) == (1, 2)
        clusters.assign(eds("10.0.0.1"))
        await mesh.advance(60)
        assert cluster.pick() is not None
