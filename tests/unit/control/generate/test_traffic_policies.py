"""What a DestinationRule's policy makes of a cluster beyond its connections: algorithm, outliers, budgets, localities, PROXY header."""

import pytest

from pymesh.xds import proto
from tests.unit.control.generate.test_virtual_service_routes import ENTRY, A

CLUSTER = proto.cluster.Cluster
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@pytest.fixture
def cluster(mesh, view):
    """The cluster of host `a` on port 80 under a traffic policy."""

    def make(policy, port=80, more="", **metadata):
        rule = f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: a}}
spec: {{host: a, trafficPolicy: {{{policy}}}}}
"""
        made = mesh(ENTRY + rule + more)
        assert not [problem for problem in made.problems if problem.severity == "error"]
        return made.clusters(view(**metadata))[f"outbound|{port}||{A}"]

    return make


@pytest.mark.parametrize(
    ("balancer", "policy", "size"),
    [
        ("consistentHash: {useSourceIp: true}", CLUSTER.RING_HASH, 1024),
        ("consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 7}}", CLUSTER.RING_HASH, 7),
        ("consistentHash: {useSourceIp: true, minimumRingSize: 9}", CLUSTER.RING_HASH, 9),
        ("consistentHash: {useSourceIp: true, maglev: {tableSize: 13}}", CLUSTER.MAGLEV, 13),
        ("consistentHash: {useSourceIp: true, maglev: {}}", CLUSTER.MAGLEV, 0),
    ],
)
def test_consistent_hashing(cluster, balancer, policy, size):
    made = cluster(f"loadBalancer: {{{balancer}}}")
    assert made.lb_policy == policy
    assert size in (made.ring_hash_lb_config.minimum_ring_size.value, made.maglev_lb_config.table_size.value)


def test_a_slow_start_is_for_the_two_algorithms_that_know_it(cluster):
    warm = "warmup: {duration: 30s, minimumPercent: 20, aggression: 2}"
    slow = cluster(f"loadBalancer: {{{warm}}}").least_request_lb_config.slow_start_config
    assert (slow.slow_start_window.seconds, slow.min_weight_percent.value, slow.aggression.default_value) == (30, 20, 2)
    assert cluster("loadBalancer: {simple: ROUND_ROBIN, warmupDurationSecs: 5s}").round_robin_lb_config.HasField("slow_start_config")
    assert cluster(f"loadBalancer: {{simple: RANDOM, {warm}}}").WhichOneof("lb_config") is None


def test_outliers_are_told_by_what_was_asked_for_alone(cluster):
    made = cluster("outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, interval: 1s, baseEjectionTime: 1m}")
    found = made.outlier_detection
    assert (found.consecutive_5xx.value, found.enforcing_consecutive_5xx.value) == (0, 0)
    assert (found.consecutive_gateway_failure.value, found.enforcing_consecutive_gateway_failure.value) == (3, 100)
    assert (found.interval.seconds, found.base_ejection_time.seconds) == (1, 60)
    assert found.HasField("enforcing_success_rate")
    assert found.enforcing_success_rate.value == 0
    assert not found.HasField("max_ejection_percent")
    assert made.common_lb_config.healthy_panic_threshold.value == 0


def test_failures_of_our_own_side_count_apart_when_asked_to(cluster):
    apart = "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 7"
    found = cluster(f"outlierDetection: {{{apart}, maxEjectionPercent: 100, minHealthPercent: 25}}")
    detection = found.outlier_detection
    assert detection.split_external_local_origin_errors
    assert (detection.consecutive_local_origin_failure.value, detection.enforcing_consecutive_local_origin_failure.value) == (7, 100)
    assert detection.max_ejection_percent.value == 100
    assert found.common_lb_config.healthy_panic_threshold.value == 25


def statuses(predicate):
    """The statuses that a predicate of our making asks for."""
    alternatives = predicate.or_match.rules or [predicate]
    headers = [one.http_response_headers_match.headers for one in alternatives]
    assert all(len(found) == 1 and found[0].name == ":status" for found in headers)
    return [found[0].string_match.exact for found in headers]


@pytest.mark.parametrize(("codes", "several"), [([429], False), ([429, 503], True)])
def test_answers_are_errors_by_the_statuses_that_a_rule_names(cluster, codes, several):
    made = cluster(f"outlierDetection: {{outlierDetectionHttpErrorCodes: {codes}}}")
    matcher = proto.unpack(made.typed_extension_protocol_options[OPTIONS]).outlier_detection.error_matcher
    assert statuses(matcher) == [str(code) for code in codes]
    assert matcher.HasField("or_match") is several


def test_without_outlier_detection_there_is_none(cluster):
    assert not cluster("loadBalancer: {simple: RANDOM}").HasField("outlier_detection")


def test_a_retry_budget_stands_beside_the_thresholds(cluster):
    (thresholds,) = cluster("retryBudget: {percent: 12.5, minRetryConcurrency: 4}").circuit_breakers.thresholds
    assert (thresholds.retry_budget.budget_percent.value, thresholds.retry_budget.min_retry_concurrency.value) == (12.5, 4)
    assert not thresholds.retry_budget.HasField("budget_interval")


def test_a_retry_budget_may_look_back(cluster):
    (thresholds,) = cluster("retryBudget: {percent: 20, budgetInterval: 10s}").circuit_breakers.thresholds
    assert thresholds.retry_budget.budget_interval.seconds == 10


@pytest.mark.parametrize(
    ("http", "kind"),
    [
        ("h2UpgradePolicy: UPGRADE", "explicit_http_config"),
        ("useClientProtocol: true", "use_downstream_protocol_config"),
    ],
)
def test_http2_towards_a_service_that_speaks_both(cluster, http, kind):
    made = cluster(f"connectionPool: {{http: {{{http}, maxConcurrentStreams: 5, http2KeepAlive: {{interval: 9s, timeout: 2s}}}}}}")
    options = proto.unpack(made.typed_extension_protocol_options[OPTIONS])
    http2 = getattr(options, kind).http2_protocol_options
    assert http2.max_concurrent_streams.value == 5
    assert (http2.connection_keepalive.interval.seconds, http2.connection_keepalive.timeout.seconds) == (9, 2)


@pytest.mark.parametrize(
    ("pool", "seconds"),
    [("tcp: {idleTimeout: 60s}", 60), ("tcp: {idleTimeout: 60s}, http: {idleTimeout: 30s}", 30), ("tcp: {idleTimeout: 0s}", 0)],
)
def test_connections_for_requests_are_idle_as_long_as_others_unless_they_say_more(cluster, pool, seconds):
    common = proto.unpack(cluster(f"connectionPool: {{{pool}}}").typed_extension_protocol_options[OPTIONS]).common_http_protocol_options
    assert common.HasField("idle_timeout")
    assert common.idle_timeout.seconds == seconds


@pytest.mark.parametrize(("version", "expected"), [("{}", 0), ("{version: V2}", 1)])
def test_a_proxy_header_comes_before_whatever_else_is_spoken(cluster, version, expected):
    made = cluster(f"proxyProtocol: {version}")
    sockets = [made.transport_socket, *(match.transport_socket for match in made.transport_socket_matches)]
    wrapped = [proto.unpack(socket.typed_config) for socket in sockets]
    assert {one.config.version for one in wrapped} == {expected}
    assert [one.transport_socket.name.rpartition(".")[2] for one in wrapped] == ["raw_buffer", "tls", "raw_buffer"]


SICK = "outlierDetection: {consecutive5xxErrors: 1}"


@pytest.mark.parametrize(
    ("policy", "weighs"),
    [
        (SICK, False),
        (f"{SICK}, loadBalancer: {{localityLbSetting: {{failover: [{{from: a, to: b}}]}}}}", True),
        (f"{SICK}, loadBalancer: {{localityLbSetting: {{failoverPriority: [tier]}}}}", True),
        ("loadBalancer: {localityLbSetting: {failoverPriority: [tier]}}", False),
        ("loadBalancer: {localityLbSetting: {distribute: [{from: '*', to: {'a/*': 100}}]}}", True),
        (f"{SICK}, loadBalancer: {{localityLbSetting: {{enabled: false, failoverPriority: [tier]}}}}", False),
    ],
)
def test_localities_are_weighed_before_endpoints_only_where_a_setting_says_where_to_go(cluster, policy, weighs):
    assert cluster(policy).common_lb_config.HasField("locality_weighted_lb_config") == weighs
