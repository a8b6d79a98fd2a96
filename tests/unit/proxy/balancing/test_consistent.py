"""Rings and Maglev tables: a real Envoy's choices, and models that look for every slot in the slow way."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.balancer import build
from pymesh_proxy.upstream.balancing import tables
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig, RingFunction
from pymesh_proxy.upstream.balancing.hashes import murmur_hash_2, xx_hash
from pymesh_proxy.upstream.config import EndpointConfig
from pymesh_proxy.upstream.endpoint import Endpoint

from .hosts import endpoints, measured, places

RING = BalancingConfig(policy=Balancing.RING_HASH)
MAGLEV = BalancingConfig(policy=Balancing.MAGLEV)
USERS = [xx_hash(b"user-%d" % number) for number in range(16)]
SIZES = st.sampled_from([(1, 64), (64, 1024), (64, 70)])
KEYS = st.integers(min_value=0, max_value=2**64 - 1)
WEIGHTS = st.lists(st.integers(min_value=1, max_value=9), min_size=2, max_size=6)


@pytest.mark.parametrize(
    ("config", "weights", "choices"),
    [
        (RING, (1, 1, 1), [1, 0, 0, 1, 2, 2, 2, 0, 1, 1, 2, 1, 2, 1, 1, 2]),
        (RING, (1, 2, 3), [1, 0, 1, 1, 2, 2, 2, 0, 1, 1, 2, 1, 2, 1, 2, 2]),
        (MAGLEV, (1, 1, 1), [1, 1, 2, 0, 2, 2, 2, 1, 2, 0, 2, 1, 0, 0, 1, 2]),
        (MAGLEV, (1, 2, 3), [1, 1, 2, 0, 2, 2, 2, 1, 2, 1, 2, 1, 0, 2, 2, 2]),
    ],
)
def test_keys_go_where_envoy_was_seen_to_send_them(config, weights, choices):
    hosts = measured(*weights)
    balancer = build(config, hosts)
    assert places(hosts, [balancer.pick(key) for key in USERS]) == choices


def ring_model(weights, keys, minimum, maximum, digest):
    """Every point of the ring as a pair, and a search from its beginning."""
    shares = [weight / sum(weights) for weight in weights]
    scale = min(ceil(min(shares) * minimum) / min(shares), float(maximum))
    points, target = [], 0.0
    for owner, share in enumerate(shares):
        target += scale * share
        number = 0
        while len(points) < target:
            points.append((digest(f"{keys[owner]}_{number}".encode()), owner))
            number += 1
    points.sort()

    def pick(key, attempt):
        first = next((place for place, (point, _) in enumerate(points) if point >= key), 0)
        return points[(first + attempt) % len(points)][1]

    return pick


@settings(deadline=None, max_examples=40)
@given(WEIGHTS, KEYS, st.integers(min_value=0, max_value=3), SIZES, st.sampled_from(RingFunction))
def test_a_ring_is_the_slow_ring(weights, key, attempt, sizes, function):
    hosts = endpoints(*weights)
    config = BalancingConfig(policy=Balancing.RING_HASH, minimum_ring_size=sizes[0], maximum_ring_size=sizes[1], ring_function=function)
    digest = xx_hash if function is RingFunction.XX_HASH else murmur_hash_2
    slow = ring_model(weights, [host.address for host in hosts], *sizes, digest)
    assert hosts.index(build(config, hosts).pick(key, attempt)) == slow(key, attempt)


def maglev_model(weights, keys, size):
    """Permutations written out (Envoy's formula), and turns by weight."""
    order = sorted(range(len(keys)), key=keys.__getitem__)
    shares = {owner: weights[owner] / sum(weights) for owner in order}
    targets = dict.fromkeys(order, 0.0)
    wishes = {}
    for owner in order:
        name = keys[owner].encode()
        offset, skip = xx_hash(name) % size, xx_hash(name, 1) % (size - 1) + 1
        wishes[owner] = iter([(offset + skip * number) % size for number in range(size)])
    table, turn = {}, 0
    while len(table) < size:
        turn += 1
        for owner in order:
            if turn * shares[owner] < targets[owner] or len(table) == size:
                continue
            targets[owner] += max(shares.values())
            table[next(slot for slot in wishes[owner] if slot not in table)] = owner
    return table


@settings(deadline=None, max_examples=40)
@given(WEIGHTS, KEYS, st.integers(min_value=0, max_value=3), st.sampled_from([7, 101, 509]))
def test_a_maglev_table_is_the_slow_table(weights, key, attempt, size):
    hosts = endpoints(*weights)
    config = BalancingConfig(policy=Balancing.MAGLEV, table_size=size)
    slow = maglev_model(weights, [host.address for host in hosts], size)
    wanted = (key ^ ((0xFFFF_FFFF_FFFF_FFFF - attempt + 1) % 2**64 if attempt else 0)) % size
    assert hosts.index(build(config, hosts).pick(key, attempt)) == slow[wanted]


@pytest.mark.parametrize("policy", [Balancing.RING_HASH, Balancing.MAGLEV])
class TestEither:
    def test_a_share_of_the_keys_is_a_share_of_the_weights(self, policy):
        hosts = endpoints(1, 2, 5)
        balancer = build(BalancingConfig(policy=policy, minimum_ring_size=65536), hosts)
        counts = Counter(balancer.pick(xx_hash(b"%d" % number)) for number in range(8000))
        assert all(abs(counts[host] - 1000 * host.config.weight) < 100 * host.config.weight for host in hosts)

    def test_shares_take_the_place_of_weights(self, policy):
        hosts = endpoints(1, 1, 1)
        config = BalancingConfig(policy=policy)
        shared, weighted = build(config, hosts, [0.2, 0.4, 0.4]), build(config, endpoints(1, 2, 2))
        keys = [xx_hash(b"%d" % number) for number in range(300)]
        assert [shared.pick(key).address for key in keys] == [weighted.pick(key).address for key in keys]

    def test_without_a_key_any_endpoint_serves(self, policy):
        hosts = endpoints(1, 1, 1, 1)
        balancer = build(BalancingConfig(policy=policy), hosts)
        assert {balancer.pick() for _ in range(400)} == set(hosts)

    def test_most_keys_stay_where_they_were_when_an_endpoint_goes(self, policy):
        hosts = endpoints(1, 1, 1, 1, 1)
        before, after = build(BalancingConfig(policy=policy), hosts), build(BalancingConfig(policy=policy), hosts[:-1])
        keys = [xx_hash(b"%d" % number) for number in range(1000)]
        stayed = [before.pick(key) is after.pick(key) for key in keys if before.pick(key) is not hosts[-1]]
        assert sum(stayed) > 0.8 * len(stayed), "about a fifth more points on the ring are new, too"

    def test_an_endpoints_own_key_places_it(self, policy):
        config = BalancingConfig(policy=policy, hashes_hostname=True)
        keys = [xx_hash(b"%d" % number) for number in range(300)]
        named = [Endpoint(EndpointConfig(host=f"10.9.9.{n}", port=1, hostname=f"h{n}"), None) for n in range(3)]
        keyed = [Endpoint(EndpointConfig(host=f"10.8.8.{n}", port=2, hostname="any", hash_key=f"h{n}"), None) for n in range(3)]
        by_name, by_key = build(config, named), build(config, keyed)
        assert places(named, [by_name.pick(key) for key in keys]) == places(keyed, [by_key.pick(key) for key in keys])
        by_address = build(BalancingConfig(policy=policy), named)
        assert [by_address.pick(key) for key in keys] != [by_name.pick(key) for key in keys]

    def test_a_table_is_made_once_for_one_content(self, policy, monkeypatch):
        made = []
        original = tables.Table.__init__
        monkeypatch.setattr(tables.Table, "__init__", lambda self, *args: made.append(self) or original(self, *args))
        config = BalancingConfig(policy=policy, table_size=251, minimum_ring_size=99)
        first = build(config, endpoints(1, 3))
        second = build(config, endpoints(1, 3))
        assert len(made) == 1
        third = build(config, endpoints(1, 4))
        assert len(made) == 2
        del first, second, third
        made.clear()
        build(config, endpoints(1, 3))
        assert len(made) == 1, "a table that nobody uses is not kept"
