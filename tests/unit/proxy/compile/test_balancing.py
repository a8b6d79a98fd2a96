"""A cluster's load balancing, in the old way (lb_policy) and the new (load_balancing_policy)."""

import pytest

from pymesh_proxy.compile.clusters import compile_cluster
from pymesh_proxy.compile.endpoints import compile_assignment
from pymesh_proxy.errors import ConfigError
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig, RingFunction, SlowStart
from pymesh_proxy.upstream.config import ZoneAware

PREFIX = "type.googleapis.com/envoy.extensions.load_balancing_policies"


def old(text):
    return f"{{name: c, type: STATIC, {text}}}"


def new(kind, text=""):
    config = f'{{"@type": {PREFIX}.{kind}, {text}}}'
    return old(f"load_balancing_policy: {{policies: [{{typed_extension_config: {{name: p, typed_config: {config}}}}}]}}")


SLOW = "slow_start_config: {slow_start_window: 60s, aggression: {default_value: 1.5, runtime_key: a}, min_weight_percent: {value: 25}}"
BIAS = "active_request_bias: {default_value: 0.5}"
SLOW_START = SlowStart(window=60.0, aggression=1.5, min_weight=0.25)
RINGS = "minimum_ring_size: 64, maximum_ring_size: 128, hash_function: MURMUR_HASH_2"
RING = {"minimum_ring_size": 64, "maximum_ring_size": 128, "ring_function": RingFunction.MURMUR_HASH_2}
CONSISTENT = "consistent_hashing_lb_config: {use_hostname_for_hashing: true, hash_balance_factor: 150}"
BOUNDED = {"hashes_hostname": True, "balance_factor": 150}


@pytest.mark.parametrize(
    ("text", "policy", "settings"),
    [
        (old("lb_policy: ROUND_ROBIN"), Balancing.ROUND_ROBIN, {}),
        (old(f"round_robin_lb_config: {{{SLOW}}}"), Balancing.ROUND_ROBIN, {"slow_start": SLOW_START}),
        (
            old(f"lb_policy: LEAST_REQUEST, least_request_lb_config: {{choice_count: 5, {BIAS}, {SLOW}}}"),
            Balancing.LEAST_REQUEST,
            {"choice_count": 5, "request_bias": 0.5, "slow_start": SLOW_START},
        ),
        (old("lb_policy: RANDOM"), Balancing.RANDOM, {}),
        (old("lb_policy: RING_HASH"), Balancing.RING_HASH, {}),
        (
            old(f"lb_policy: RING_HASH, ring_hash_lb_config: {{{RINGS}}}, common_lb_config: {{{CONSISTENT}}}"),
            Balancing.RING_HASH,
            RING | BOUNDED,
        ),
        (old("lb_policy: MAGLEV, maglev_lb_config: {table_size: 251}"), Balancing.MAGLEV, {"table_size": 251}),
        (old(f"lb_policy: MAGLEV, common_lb_config: {{{CONSISTENT}}}"), Balancing.MAGLEV, BOUNDED),
        (new("round_robin.v3.RoundRobin"), Balancing.ROUND_ROBIN, {}),
        (new("round_robin.v3.RoundRobin", SLOW), Balancing.ROUND_ROBIN, {"slow_start": SLOW_START}),
        (new("least_request.v3.LeastRequest", "selection_method: FULL_SCAN"), Balancing.LEAST_REQUEST, {"full_scan": True}),
        (new("least_request.v3.LeastRequest", "enable_full_scan: true"), Balancing.LEAST_REQUEST, {"full_scan": True}),
        (new("least_request.v3.LeastRequest", "active_request_bias: {}"), Balancing.LEAST_REQUEST, {"request_bias": 0.0}),
        (new("random.v3.Random"), Balancing.RANDOM, {}),
        (new("ring_hash.v3.RingHash", f"{RINGS}, {CONSISTENT}"), Balancing.RING_HASH, RING | BOUNDED),
        (new("ring_hash.v3.RingHash", "use_hostname_for_hashing: true, hash_balance_factor: 150"), Balancing.RING_HASH, BOUNDED),
        (new("maglev.v3.Maglev", f"table_size: 251, {CONSISTENT}"), Balancing.MAGLEV, {"table_size": 251} | BOUNDED),
    ],
)
def test_a_policy_is_read_with_its_settings(parse, text, policy, settings):
    assert compile_cluster(parse("cluster", text)).balancing == BalancingConfig(policy=policy, **settings)


WEIGHTED = "locality_weighted_lb_config: {}"
ROTATING = f'{{typed_extension_config: {{name: p, typed_config: {{"@type": {PREFIX}.round_robin.v3.RoundRobin}}}}}}'


@pytest.mark.parametrize(
    ("text", "weighted", "fails"),
    [
        (old(f"common_lb_config: {{{WEIGHTED}}}"), True, False),
        (new("round_robin.v3.RoundRobin"), False, False),
        (new("round_robin.v3.RoundRobin", f"locality_lb_config: {{{WEIGHTED}}}"), True, False),
        (new("random.v3.Random", "locality_lb_config: {zone_aware_lb_config: {fail_traffic_on_panic: true}}"), False, True),
        (new("least_request.v3.LeastRequest", "locality_lb_config: {zone_aware_lb_config: {}}"), False, False),
        (new("ring_hash.v3.RingHash", WEIGHTED), True, False),
        (new("maglev.v3.Maglev", WEIGHTED), True, False),
        (new("maglev.v3.Maglev"), False, False),
        (new("wrr_locality.v3.WrrLocality", f"endpoint_picking_policy: {{policies: [{ROTATING}]}}"), True, False),
    ],
)
def test_a_policy_says_how_localities_share(parse, text, weighted, fails):
    cluster = compile_cluster(parse("cluster", text))
    assert (cluster.common_lb.locality_weighted, cluster.common_lb.fail_on_panic) == (weighted, fails)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ZoneAware()),
        ("routing_enabled: {value: 0}, min_cluster_size: 1", ZoneAware(routing_enabled=0, min_cluster_size=1)),
        ("force_locality_direct_routing: true", ZoneAware(local_minimum=1)),
        ("force_local_zone: {}", ZoneAware(local_minimum=1)),
        ("force_local_zone: {min_size: 3}", ZoneAware(local_minimum=3)),
        ("locality_basis: HEALTHY_HOSTS_WEIGHT", ZoneAware(by_weight=True)),
        ("locality_basis: HEALTHY_HOSTS_NUM", ZoneAware()),
    ],
)
def test_a_policy_says_how_requests_stay_in_their_zone(parse, text, expected):
    text = new("round_robin.v3.RoundRobin", f"locality_lb_config: {{zone_aware_lb_config: {{{text}}}}}")
    assert compile_cluster(parse("cluster", text)).common_lb.zone_aware == expected


def with_common(text, common):
    return text[:-1] + f", common_lb_config: {{{common}}}}}"


def test_what_a_policy_does_not_say_is_the_clusters(parse):
    text = with_common(new("random.v3.Random"), "healthy_panic_threshold: {value: 7}")
    assert compile_cluster(parse("cluster", text)).common_lb.panic_threshold == 7


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (old("ring_hash_lb_config: {}"), "ring_hash_lb_config"),
        (
            old("lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 9, maximum_ring_size: 8}"),
            "ring_hash_lb_config.minimum_ring_size",
        ),
        (old("lb_policy: MAGLEV, maglev_lb_config: {table_size: 65536}"), "maglev_lb_config.table_size"),
        (old("common_lb_config: {consistent_hashing_lb_config: {hash_balance_factor: 99}}"), "hash_balance_factor"),
        (
            old("round_robin_lb_config: {slow_start_config: {slow_start_window: 1s, aggression: {runtime_key: a}}}"),
            "slow_start_config.aggression",
        ),
        (
            old("lb_policy: LEAST_REQUEST, least_request_lb_config: {active_request_bias: {default_value: -1, runtime_key: a}}"),
            "active_request_bias.default_value",
        ),
        (old("lb_subset_config: {subset_selectors: [{keys: [a]}]}"), "lb_subset_config"),
        (new("ring_hash.v3.RingHash", "consistent_hashing_lb_config: {hash_policy: [{header: {header_name: a}}]}"), "hash_policy"),
        (new("wrr_locality.v3.WrrLocality", "endpoint_picking_policy: {}"), "endpoint_picking_policy.policies"),
        (new("wrr_locality.v3.WrrLocality"), "endpoint_picking_policy"),
        (with_common(new("random.v3.Random"), WEIGHTED), "common_lb_config.locality_weighted_lb_config"),
        (with_common(new("maglev.v3.Maglev"), CONSISTENT), "common_lb_config.consistent_hashing_lb_config"),
        (new("client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin"), "load_balancing_policy.policies"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(parse, text, field):
    with pytest.raises(ConfigError) as refused:
        compile_cluster(parse("cluster", text))
    assert any(problem.path.endswith(field) for problem in refused.value.problems), refused.value.problems


@pytest.mark.parametrize(("value", "key"), [("k1", "k1"), ("5", ""), ("true", "")])
def test_an_endpoints_hash_key_is_its_metadata_if_that_is_text(parse, value, key):
    address = "{socket_address: {address: 10.0.0.1, port_value: 80}}"
    metadata = f"{{filter_metadata: {{envoy.lb: {{hash_key: {value}}}}}}}"
    text = f"{{cluster_name: c, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {address}}}, metadata: {metadata}}}]}}]}}"
    assert compile_assignment(parse("endpoints", text)).endpoints[0].hash_key == key
