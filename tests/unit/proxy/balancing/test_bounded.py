"""Bounded loads: who is full, and who then gets the key."""

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.balancer import build
from pymesh_proxy.upstream.balancing.bounded import twister
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig

from .hosts import endpoints

KEYS = st.integers(min_value=0, max_value=2**64 - 1)


def model(hosts, preferred, key, factor):
    """Envoy's choice, written down from its definition."""
    total = sum(host.config.weight for host in hosts)
    slots = ((sum(host.rq_active for host in hosts) + 1) * factor + 99) // 100
    fullness = [host.rq_active / max(ceil(slots * (host.config.weight / total)), 1) for host in hosts]
    chosen = hosts.index(preferred)
    if fullness[chosen] <= 1:
        return chosen
    draw, left, walk = twister(key), list(range(len(hosts))), []
    while left:
        number = draw() // (2**32 // len(left))
        if number < len(left):
            walk.append(left[number])
            left[number], left[0] = left[0], left[number]
            left.pop(0)
    for place in walk:
        if place != chosen and fullness[place] <= 1:
            return place
    return min([chosen, *walk], key=lambda place: fullness[place])


@pytest.mark.parametrize("policy", [Balancing.RING_HASH, Balancing.MAGLEV])
@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6)), min_size=2, max_size=6), KEYS, st.sampled_from([100, 120, 200]))
def test_a_full_endpoint_passes_keys_on(policy, loads, key, factor):
    hosts = endpoints(*(weight for weight, _ in loads))
    for host, (_, active) in zip(hosts, loads, strict=True):
        host.rq_active = active
    plain = build(BalancingConfig(policy=policy, table_size=101), hosts)
    bounded = build(BalancingConfig(policy=policy, table_size=101, balance_factor=factor), hosts)
    assert hosts.index(bounded.pick(key)) == model(hosts, plain.pick(key), key, factor)


def test_while_nobody_is_full_keys_stay():
    hosts = endpoints(1, 1, 1)
    plain, bounded = (build(BalancingConfig(policy=Balancing.MAGLEV, balance_factor=factor), hosts) for factor in (0, 150))
    assert all(plain.pick(key * 7919) is bounded.pick(key * 7919) for key in range(200))
