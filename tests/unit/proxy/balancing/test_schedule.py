"""Earliest deadline first: Envoy's order, and a model that looks at every deadline on every pick."""

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.balancer import build
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig
from pymesh_proxy.upstream.balancing.edf import Schedule
from pymesh_proxy.upstream.balancing.weights import Weights

from .hosts import endpoints, places

PLAIN = Weights(0.0, None, lambda: 0.0)
WEIGHTS = st.lists(st.sampled_from([1, 2, 4, 8, 16]), min_size=2, max_size=6)
"""Powers of two: their deadlines are exact in binary floating point, so that ties are ties in the model, too."""


def slow(weights, picks):
    """Deadlines as fractions, ties by who was set first."""
    entries = [(Fraction(1, weight), order, place) for order, (place, weight) in enumerate(enumerate(weights))]
    picked = []
    for order in range(len(weights), len(weights) + picks):
        deadline, _, place = entry = min(entries)
        entries.remove(entry)
        entries.append((deadline + Fraction(1, weights[place]), order, place))
        picked.append(place)
    return picked


def test_the_order_is_envoys():
    """Measured: weights 1, 2, 3 of A, B, C make the cycle C A B C C B."""
    hosts = endpoints(1, 2, 3)
    schedule = Schedule(hosts, PLAIN, 0)
    cycle = "".join("ABC"[place] for place in places(hosts, [schedule.pick() for _ in range(6)]))
    assert "CABCCB" in cycle * 2, "whatever place in the cycle is the first"


@settings(deadline=None)
@given(WEIGHTS, st.integers(min_value=1, max_value=60))
def test_picks_follow_the_slow_schedule(weights, picks):
    hosts = endpoints(*weights)
    schedule = Schedule(hosts, PLAIN, 0)
    assert places(hosts, [schedule.pick() for _ in range(picks)]) == slow(weights, picks)


@settings(deadline=None)
@given(WEIGHTS, st.integers(min_value=0, max_value=2**32 - 1))
def test_a_later_beginning_is_a_place_in_the_same_cycle(weights, begun):
    hosts = endpoints(*weights)
    total = sum(weights)
    schedule = Schedule(hosts, PLAIN, begun)
    counts = Counter(places(hosts, [schedule.pick() for _ in range(total)]))
    assert all(abs(counts[place] - weight) <= 1 for place, weight in enumerate(weights))


def test_beginnings_differ():
    hosts = endpoints(1, 2, 3, 4)
    assert len({build(BalancingConfig(), hosts).pick().address for _ in range(200)}) == 4


def test_a_busy_endpoints_weight_is_divided_by_its_requests():
    hosts = endpoints(1, 2)
    hosts[1].rq_active = 3  # weighs 2/4 against 1
    balancer = build(BalancingConfig(policy=Balancing.LEAST_REQUEST), hosts)
    counts = Counter(balancer.pick() for _ in range(300))
    assert counts[hosts[0]] == pytest.approx(200, abs=2)


@pytest.mark.parametrize(("bias", "wanted"), [(0.0, 100), (0.5, 150), (2.0, 267)])
def test_a_bias_says_how_much_requests_count(bias, wanted):
    hosts = endpoints(1, 2)
    hosts[1].rq_active = 3  # weighs 2 / 4 ** bias against 1
    balancer = build(BalancingConfig(policy=Balancing.LEAST_REQUEST, request_bias=bias), hosts)
    counts = Counter(balancer.pick() for _ in range(300))
    assert counts[hosts[0]] == pytest.approx(wanted, abs=2)
