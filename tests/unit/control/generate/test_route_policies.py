"""What the policies of a VirtualService route become: faults, CORS, mirrors, hashes, retries elsewhere."""

import pytest

from pymesh.xds import proto
from tests.unit.control.generate.test_virtual_service_routes import ENTRY, A, B

MILLION = proto.percent.FractionalPercent.MILLION


@pytest.fixture
def route(mesh, view):
    """The one route of host `a` on port 80, with whatever else is in the mesh."""

    def make(http, more=""):
        rule = f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rule}}
spec:
  hosts: [a]
  http: [{{{http}}}]
"""
        made = mesh(ENTRY + rule + more)
        assert not [problem for problem in made.problems if problem.severity == "error"]
        (only,) = made.hosts(view(), "80")[f"{A}:80"].routes
        return only

    return make


def setting(route, name):
    return proto.unpack(route.typed_per_filter_config[f"envoy.filters.http.{name}"])


TO_A = "route: [{destination: {host: a}}]"


def test_a_fault_is_the_fault_filters_setting_of_the_route(route):
    wanted = "{delay: {fixedDelay: 1500ms, percentage: {value: 12.5}}, abort: {httpStatus: 503}}"
    fault = setting(route(f"fault: {wanted}, {TO_A}"), "fault")
    assert (fault.delay.fixed_delay.seconds, fault.delay.fixed_delay.nanos) == (1, 500_000_000)
    assert (fault.delay.percentage.numerator, fault.delay.percentage.denominator) == (125_000, MILLION)
    assert (fault.abort.http_status, fault.abort.percentage.numerator) == (503, 0)  # no percentage is none, as in Istio


@pytest.mark.parametrize("fault", ["{delay: {percentage: {value: 100}}}", "{abort: {percentage: {value: 100}}}"])
def test_a_fault_without_a_time_or_an_error_is_none(route, fault):
    assert setting(route(f"fault: {fault}, {TO_A}"), "fault") == proto.http_fault.HTTPFault()


def test_a_grpc_status_is_known_by_its_name(route):
    fault = setting(route(f"fault: {{abort: {{grpcStatus: DEADLINE_EXCEEDED, percentage: {{value: 0.0001}}}}}}, {TO_A}"), "fault")
    assert (fault.abort.grpc_status, fault.abort.percentage.numerator) == (4, 1)


def test_a_cors_policy_is_the_cors_filters_setting_of_the_route(route):
    policy = (
        'allowOrigins: [{exact: "https://a"}, {prefix: "https://b"}, {regex: ".*c"}], allowMethods: [GET, PUT], allowHeaders: [x-a, x-b],'
        " exposeHeaders: [x-c], maxAge: 1h, allowCredentials: false, unmatchedPreflights: FORWARD"
    )
    cors = setting(route(f"corsPolicy: {{{policy}}}, {TO_A}"), "cors")
    assert [one.WhichOneof("match_pattern") for one in cors.allow_origin_string_match] == ["exact", "prefix", "safe_regex"]
    assert (cors.allow_methods, cors.allow_headers, cors.expose_headers, cors.max_age) == ("GET,PUT", "x-a,x-b", "x-c", "3600")
    assert cors.HasField("allow_credentials")
    assert not cors.allow_credentials.value
    assert cors.forward_not_matching_preflights.value
    assert cors.filter_enabled.default_value.numerator == 100


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        ("mirror: {host: b}", [(f"outbound|80||{B}", 1_000_000)]),
        ("mirror: {host: b, subset: v2}, mirrorPercentage: {value: 2.5}", [(f"outbound|80|v2|{B}", 25_000)]),
        ("mirror: {host: b}, mirrorPercent: 40", [(f"outbound|80||{B}", 400_000)]),
        ("mirror: {host: b}, mirrorPercentage: {value: 0}", []),
        (
            "mirrors: [{destination: {host: b}}, {destination: {host: b, port: {number: 81}}, percentage: {value: 1}}]",
            [(f"outbound|80||{B}", 1_000_000), (f"outbound|81||{B}", 10_000)],
        ),
    ],
)
def test_mirrors_have_their_share(route, mirror, expected):
    made = route(f"{mirror}, {TO_A}").route.request_mirror_policies
    assert [(one.cluster, one.runtime_fraction.default_value.numerator) for one in made] == expected
    assert {one.runtime_fraction.default_value.denominator for one in made} <= {MILLION}
    assert all(one.disable_shadow_host_suffix_append for one in made)


def rule(host, balancer):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}}}
spec: {{host: {host}, trafficPolicy: {{loadBalancer: {balancer}}}}}
"""


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("httpHeaderName: x-user", "header"),
        ("httpQueryParameterName: q", "query_parameter"),
        ("useSourceIp: true", "connection_properties"),
        ("httpCookie: {name: user, ttl: 0s}", "cookie"),
    ],
)
def test_a_destination_balanced_by_a_hash_brings_its_key_to_the_route(route, key, kind):
    made = route(TO_A, rule("a", f"{{consistentHash: {{{key}}}}}")).route
    assert [one.WhichOneof("policy_specifier") for one in made.hash_policy] == [kind]
    assert not made.retry_policy.retry_host_predicate  # a hash leads to one endpoint, again


def test_every_destination_brings_its_own_key(route):
    shares = "route: [{destination: {host: a}, weight: 1}, {destination: {host: b}, weight: 1}]"
    more = rule("a", "{consistentHash: {httpHeaderName: x}}") + rule("b", "{consistentHash: {httpHeaderName: y}}")
    action = route(shares, more).route
    assert [one.header.header_name for one in action.hash_policy] == ["x", "y"]
    assert action.retry_policy.retry_host_predicate  # another try may be another destination's


def test_a_retry_leaves_the_endpoint_of_its_hash_where_the_rule_says_so(route):
    hashed = rule("a", "{consistentHash: {httpHeaderName: x}}")
    policy = route(f"retries: {{attempts: 2, retryIgnorePreviousHosts: true}}, {TO_A}", hashed).route.retry_policy
    assert policy.retry_host_predicate


def test_a_cookie_is_made_when_it_has_a_time_to_live(route):
    cookie = "{name: user, ttl: 90s, path: /p, attributes: [{name: SameSite, value: Lax}]}"
    made = route(TO_A, rule("a", f"{{consistentHash: {{httpCookie: {cookie}}}}}")).route.hash_policy[0].cookie
    assert (made.name, made.ttl.seconds, made.path) == ("user", 90, "/p")
    assert [(one.name, one.value) for one in made.attributes] == [("SameSite", "Lax")]


def test_a_service_without_rules_of_its_own_is_hashed_too(mesh, view):
    made = mesh(ENTRY + rule("b", "{consistentHash: {httpHeaderName: x}}")).hosts(view(), "80")[f"{B}:80"].routes[0].route
    assert made.hash_policy[0].header.header_name == "x"


def test_retries_leave_the_locality_when_asked_to(route):
    policy = route(f"retries: {{attempts: 2, retryRemoteLocalities: true}}, {TO_A}").route.retry_policy
    config = proto.unpack(policy.retry_priority.typed_config)
    assert (policy.retry_priority.name, config.update_frequency) == ("envoy.retry_priorities.previous_priorities", 2)


def test_a_match_may_have_statistics_of_its_own(route):
    assert route(f"match: [{{uri: {{prefix: /}}, statPrefix: all}}], {TO_A}").stat_prefix == "all"
