"""New endpoints begin with a part of their weight."""

from collections import Counter

import pytest

from pymesh_proxy.upstream.balancer import build
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig, SlowStart
from pymesh_proxy.upstream.balancing.weights import grown

from .hosts import endpoints


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("settings", "age", "share"),
    [
        ({}, 0.0, 0.1),
        ({}, 30.0, 0.5),
        ({}, 60.0, 1.0),
        ({}, 61.0, 1.0),
        ({"min_weight": 0.0}, 0.0, 0.001 / 60),
        ({"aggression": 2.0}, 15.0, 0.5),
        ({"aggression": 0.5}, 30.0, 0.25),
        ({"min_weight": 0.3}, 6.0, 0.3),
    ],
)
def test_the_share_grows_as_envoys_formula_says(settings, age, share):
    assert grown(SlowStart(window=60.0, **settings), age) == pytest.approx(share)


@pytest.mark.parametrize("policy", [Balancing.ROUND_ROBIN, Balancing.LEAST_REQUEST])
def test_a_newcomer_gets_its_growing_share(policy):
    clock = Clock()
    config = BalancingConfig(policy=policy, slow_start=SlowStart(window=60.0))
    hosts = endpoints(1, 1)
    build(config, hosts, clock=clock)
    clock.now += 100.0
    new = endpoints(1, 1, 1)[-1:]
    balancer = build(config, hosts + new, clock=clock)

    def share():
        balancer_counts = Counter(balancer.pick() for _ in range(2100))
        return balancer_counts[new[0]] / 2100

    clock.now += 6.0
    assert share() == pytest.approx(0.1 / 2.1, abs=0.01)
    clock.now += 24.0
    share()  # what was scheduled with the smaller weight is used up
    assert share() == pytest.approx(0.5 / 2.5, abs=0.01)
    clock.now += 30.0
    share()
    assert share() == pytest.approx(1 / 3, abs=0.01)


def test_when_nobody_is_new_equal_weights_rotate():
    clock = Clock()
    config = BalancingConfig(slow_start=SlowStart(window=60.0))
    hosts = endpoints(1, 1, 1)
    assert type(build(config, hosts, clock=clock)).__name__ == "Schedule"
    clock.now += 61.0
    assert type(build(config, hosts, clock=clock)).__name__ == "RoundRobin"
