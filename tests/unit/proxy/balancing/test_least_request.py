"""Least request over equal weights."""

from collections import Counter

import pytest

from pymesh_proxy.upstream.balancer import build
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig

from .hosts import endpoints


@pytest.mark.parametrize(("choices", "least", "most"), [(2, 170, 330), (5, 0, 6)])
def test_more_candidates_avoid_the_busy_one_more_often(choices, least, most):
    """All draws fall on the busy one of two in 1 of 2^choices cases; bounds are over six standard deviations away."""
    hosts = endpoints(1, 1)
    hosts[0].rq_active = 5
    balancer = build(BalancingConfig(policy=Balancing.LEAST_REQUEST, choice_count=choices), hosts)
    drawn = 1000 if choices == 2 else 32
    assert least <= Counter(balancer.pick() for _ in range(drawn))[hosts[0]] <= most


def test_a_full_scan_finds_the_least_busy():
    hosts = endpoints(*[1] * 50)
    for endpoint in hosts:
        endpoint.rq_active = 2
    hosts[33].rq_active = 1
    balancer = build(BalancingConfig(policy=Balancing.LEAST_REQUEST, full_scan=True), hosts)
    assert {balancer.pick() for _ in range(20)} == {hosts[33]}


def test_a_full_scan_draws_among_those_that_tie():
    hosts = endpoints(1, 1, 1, 1)
    hosts[0].rq_active = 1
    balancer = build(BalancingConfig(policy=Balancing.LEAST_REQUEST, full_scan=True), hosts)
    counts = Counter(balancer.pick() for _ in range(3000))
    assert all(850 < counts[host] < 1150 for host in hosts[1:]), "one third each, six standard deviations around"
