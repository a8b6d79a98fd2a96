from collections import Counter

import pytest

from pymesh_proxy.upstream.balancer import build
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig
from pymesh_proxy.upstream.cluster import Cluster
from pymesh_proxy.upstream.config import Assignment, ClusterConfig, CommonLb, Discovery, EndpointConfig, Health
from pymesh_proxy.upstream.endpoint import Endpoint


def endpoints(*weights):
    return [Endpoint(EndpointConfig(host=f"10.0.0.{number}", port=80, weight=weight), None) for number, weight in enumerate(weights)]


def cluster(*configs, balancing=Balancing.ROUND_ROBIN, **settings):
    made = Cluster(ClusterConfig(name="c", discovery=Discovery.EDS, balancing=BalancingConfig(policy=balancing), **settings), None, ())
    made.assign(Assignment(cluster="c", endpoints=configs))
    return made


def test_round_robin_rotates_strictly():
    hosts = endpoints(1, 1, 1)
    balancer = build(BalancingConfig(), hosts)
    picks = [balancer.pick() for _ in range(9)]
    assert all(picks[turn : turn + 3] == picks[:3] for turn in (3, 6))
    assert set(picks) == set(hosts)


@pytest.mark.parametrize("algorithm", [Balancing.ROUND_ROBIN, Balancing.LEAST_REQUEST])
def test_weights_are_honoured_exactly_over_a_cycle(algorithm):
    hosts = endpoints(1, 2, 3)
    balancer = build(BalancingConfig(policy=algorithm), hosts)
    counts = Counter(balancer.pick() for _ in range(600))
    assert all(abs(counts[host] - 100 * host.config.weight) <= 1 for host in hosts)


def test_least_request_avoids_the_busy_one():
    hosts = endpoints(1, 1)
    hosts[0].rq_active = 50
    balancer = build(BalancingConfig(policy=Balancing.LEAST_REQUEST), hosts)
    counts = Counter(balancer.pick() for _ in range(1000))
    assert 150 < counts[hosts[0]] < 350, "two choices with replacement draw the busy host twice in a quarter of cases"


def test_random_is_roughly_uniform():
    hosts = endpoints(1, 1, 1, 1)
    counts = Counter(build(BalancingConfig(policy=Balancing.RANDOM), hosts).pick() for _ in range(4000))
    assert all(800 < counts[host] < 1200 for host in hosts)


def test_unhealthy_endpoints_are_left_out():
    made = cluster(
        EndpointConfig(host="10.0.0.1", port=80),
        EndpointConfig(host="10.0.0.2", port=80, health=Health.UNHEALTHY),
        EndpointConfig(host="10.0.0.3", port=80, health=Health.HEALTHY),
    )
    assert {made.pick().config.host for _ in range(10)} == {"10.0.0.1", "10.0.0.3"}


def test_below_the_panic_threshold_every_endpoint_is_used():
    configs = [EndpointConfig(host=f"10.0.0.{n}", port=80, health=Health.UNHEALTHY if n else Health.HEALTHY) for n in range(4)]
    assert len({cluster(*configs).pick().config.host for _ in range(1)}) == 1
    panicking = cluster(*configs)
    assert len({panicking.pick().config.host for _ in range(8)}) == 4
    assert panicking.lb_healthy_panic == 8
    calm = cluster(*configs, common_lb=CommonLb(panic_threshold=0))
    assert {calm.pick().config.host for _ in range(8)} == {"10.0.0.0"}


def test_a_tried_endpoint_is_avoided_while_draws_last():
    made = cluster(EndpointConfig(host="10.0.0.1", port=80), EndpointConfig(host="10.0.0.2", port=80))
    first = made.pick()
    assert all(made.pick([first], 5) is not first for _ in range(10))


def test_an_endpoint_that_stays_keeps_its_counters():
    made = cluster(EndpointConfig(host="10.0.0.1", port=80))
    made.endpoints[0].rq_total = 7
    kept = made.endpoints[0]
    gone = made.assign(Assignment(cluster="c", endpoints=(EndpointConfig(host="10.0.0.1", port=80, weight=3),)))
    assert gone == []
    assert made.endpoints == [kept]
    assert (kept.rq_total, kept.config.weight) == (7, 3)
    assert made.assign(Assignment(cluster="c", endpoints=())) == [kept]
    assert made.pick() is None
