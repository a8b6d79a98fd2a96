"""What VirtualService HTTP routes become: matches, shares, rewrites, answers, retries, header edits."""

import pytest

from pymesh.xds import proto

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.default.svc.cluster.local, b.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: http-b, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: single}
spec:
  hosts: [single.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9999, name: http}]
  endpoints: [{address: 10.0.0.1}]
"""
A, B = "a.default.svc.cluster.local", "b.default.svc.cluster.local"
TO_A = "route: [{destination: {host: a}}]"
OPTION = proto.base.HeaderValueOption


@pytest.fixture
def routes(mesh, view):
    """The routes of host `a` on port 80 for a list of HTTP routes, each the inside of a YAML object."""

    def make(*http, port=80, **metadata):
        rule = f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rule}}
spec:
  hosts: [a]
  http: [{", ".join("{" + one + "}" for one in http)}]
"""
        return list(mesh(ENTRY + rule).hosts(view(**metadata), str(port))[f"{A}:{port}"].routes)

    return make


def test_shares_have_the_weights_given_and_an_empty_share_is_left_out(routes):
    shares = (
        "route: [{destination: {host: a, subset: v1}, weight: 70}, {destination: {host: a, subset: v2}, weight: 30},"
        " {destination: {host: b}, weight: 0}]"
    )
    made = routes(shares)[0].route.weighted_clusters.clusters
    assert [(one.name, one.weight.value) for one in made] == [(f"outbound|80|v1|{A}", 70), (f"outbound|80|v2|{A}", 30)]


def test_a_single_destination_gets_everything_whatever_its_weight(routes):
    assert routes("route: [{destination: {host: a}, weight: 0}]")[0].route.cluster == f"outbound|80||{A}"


def test_an_absent_subset_still_makes_a_route_so_that_the_answer_is_503(routes):
    assert routes("route: [{destination: {host: a, subset: absent}}]")[0].route.cluster == f"outbound|80|absent|{A}"


@pytest.mark.parametrize(
    ("destination", "cluster"),
    [
        ("{host: b, port: {number: 81}}", f"outbound|81||{B}"),
        ("{host: b}", f"outbound|80||{B}"),
        ("{host: single}", "outbound|9999||single.default.svc.cluster.local"),
        ("{host: unknown.example.com}", "outbound|80||unknown.example.com"),
    ],
)
def test_a_destinations_port_is_the_stated_the_only_or_the_called_one(routes, destination, cluster):
    assert routes(f"route: [{{destination: {destination}}}]")[0].route.cluster == cluster


@pytest.mark.parametrize(
    ("uri", "field", "value"),
    [("{exact: /x}", "path", "/x"), ("{prefix: /x}", "prefix", "/x"), ("{regex: '/x.*'}", "safe_regex", "/x.*")],
)
def test_paths_are_matched_as_stated(routes, uri, field, value):
    match = routes(f"match: [{{uri: {uri}}}], {TO_A}")[0].match
    assert match.WhichOneof("path_specifier") == field
    assert (match.safe_regex.regex if field == "safe_regex" else getattr(match, field)) == value
    assert not match.HasField("case_sensitive")


def test_headers_and_parameters_are_matched(routes):
    match = routes(
        "match: [{method: {exact: GET}, authority: {prefix: a}, scheme: {exact: http}, headers: {x: {regex: '[0-9]+'}, present: {}},"
        " withoutHeaders: {y: {exact: bad}, absent: {}}, queryParams: {q: {exact: v}, any: {}}, ignoreUriCase: true}], " + TO_A
    )[0].match
    found = {one.name: one for one in match.headers}
    assert found[":method"].string_match.exact == "GET"
    assert found[":authority"].string_match.prefix == "a"
    assert found[":scheme"].string_match.exact == "http"
    assert found["x"].string_match.safe_regex.regex == "[0-9]+"
    assert found["present"].present_match
    assert (found["y"].invert_match, found["y"].treat_missing_header_as_empty) == (True, True)
    assert (found["absent"].present_match, found["absent"].invert_match) == (True, True)
    assert {one.name: one.string_match.exact for one in match.query_parameters} == {"any": "", "q": "v"}
    assert match.HasField("case_sensitive")
    assert not match.case_sensitive.value
    assert match.prefix == "/"


def test_each_match_is_a_route_named_by_route_and_match(routes):
    made = routes("name: r, match: [{name: m, uri: {prefix: /1}}, {uri: {prefix: /2}}], " + TO_A, "" + TO_A)
    assert [(one.name, one.match.prefix) for one in made] == [("r.m", "/1"), ("r", "/2"), ("", "/")]


def test_nothing_follows_the_first_route_that_takes_everything(routes):
    made = routes("name: all, match: [{uri: {prefix: /}}], " + TO_A, "name: never, " + TO_A)
    assert [one.name for one in made] == ["all"]


@pytest.mark.parametrize(
    ("condition", "port", "metadata", "applies"),
    [
        ("port: 80", 80, {}, True),
        ("port: 80", 81, {}, False),
        ("sourceNamespace: default", 80, {}, True),
        ("sourceNamespace: other", 80, {}, False),
        ("sourceLabels: {app: web}", 80, {"LABELS": {"app": "web", "x": "y"}}, True),
        ("sourceLabels: {app: web}", 80, {"LABELS": {"app": "other"}}, False),
        ("gateways: [mesh]", 80, {}, True),
        ("gateways: [edge]", 80, {}, False),
    ],
)
def test_a_match_may_be_for_some_clients_only(routes, condition, port, metadata, applies):
    made = routes(f"name: some, match: [{{{condition}}}], {TO_A}", "name: rest, " + TO_A, port=port, **metadata)
    assert [one.name for one in made] == (["some"] if applies else ["rest"])


def test_paths_and_hosts_are_rewritten(routes):
    action = routes("match: [{uri: {prefix: /x}}], rewrite: {uri: /y, authority: other.com}, " + TO_A)[0].route
    assert (action.prefix_rewrite, action.host_rewrite_literal) == ("/y", "other.com")
    action = routes("rewrite: {uriRegexRewrite: {match: '^/a/(.*)', rewrite: '/\\1'}}, " + TO_A)[0].route
    assert (action.regex_rewrite.pattern.regex, action.regex_rewrite.substitution) == ("^/a/(.*)", "/\\1")


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ("uri: /new", {"path_redirect": "/new", "response_code": 0, "port_redirect": 0}),
        ("prefixRewrite: /p", {"prefix_rewrite": "/p"}),
        ("authority: b.com, redirectCode: 307", {"host_redirect": "b.com", "response_code": 3}),
        ("scheme: https, port: 8443", {"scheme_redirect": "https", "port_redirect": 8443}),
        ("scheme: https, port: 443", {"scheme_redirect": "https", "port_redirect": 0}),
        ("authority: b.com, derivePort: FROM_REQUEST_PORT", {"port_redirect": 0}),
        ("scheme: https, derivePort: FROM_REQUEST_PORT", {"port_redirect": 80}),
    ],
)
def test_redirects_say_where_to(routes, redirect, expected):
    made = routes(f"redirect: {{{redirect}}}")[0].redirect
    assert {name: getattr(made, name) for name in expected} == expected


def test_a_share_may_go_to_another_host_name(routes):
    shares = "route: [{destination: {host: a}, weight: 1, headers: {request: {set: {host: a.com}}}}, {destination: {host: b}, weight: 1}]"
    assert [one.host_rewrite_literal for one in routes(shares)[0].route.weighted_clusters.clusters] == ["a.com", ""]


def test_an_answer_may_be_bytes(routes):
    assert routes("directResponse: {status: 200, body: {bytes: aGk=}}")[0].direct_response.body.inline_bytes == b"hi"


def test_a_route_may_answer_by_itself(routes):
    made = routes("directResponse: {status: 418, body: {string: teapot}}")[0].direct_response
    assert (made.status, made.body.inline_string) == (418, "teapot")


def test_timeouts_and_retries_are_the_routes_own(routes):
    action = routes("timeout: 1.5s, retries: {attempts: 3, perTryTimeout: 250ms, retryOn: '5xx,503,404', backoff: 10ms}, " + TO_A)[0].route
    assert action.timeout.ToTimedelta().total_seconds() == 1.5
    policy = action.retry_policy
    assert (policy.num_retries.value, policy.retry_on) == (3, "5xx,retriable-status-codes")
    assert list(policy.retriable_status_codes) == [503, 404]
    assert policy.per_try_timeout.ToTimedelta().total_seconds() == 0.25
    assert policy.retry_back_off.base_interval.ToTimedelta().total_seconds() == 0.01


def test_no_attempts_means_no_retries(routes):
    assert not routes("retries: {attempts: 0}, " + TO_A)[0].route.HasField("retry_policy")


def test_hosts_that_failed_may_be_tried_again_where_the_route_says_so(routes):
    policy = routes("retries: {attempts: 1, retryIgnorePreviousHosts: false}, " + TO_A)[0].route.retry_policy
    assert not policy.retry_host_predicate
    assert policy.retry_on.startswith("connect-failure")


def edits(values):
    return [(one.header.key, one.header.value, one.append_action) for one in values]


def test_headers_are_set_then_added_in_the_order_of_their_names(routes):
    headers = "headers: {request: {set: {z: '1', b: '2'}, add: {a: '3'}, remove: [gone]}, response: {add: {r: '4'}, remove: [s]}}"
    made = routes(f"{headers}, {TO_A}")[0]
    set_, add = OPTION.OVERWRITE_IF_EXISTS_OR_ADD, OPTION.APPEND_IF_EXISTS_OR_ADD
    assert edits(made.request_headers_to_add) == [("b", "2", set_), ("z", "1", set_), ("a", "3", add)]
    assert edits(made.response_headers_to_add) == [("r", "4", add)]
    assert (list(made.request_headers_to_remove), list(made.response_headers_to_remove)) == (["gone"], ["s"])


def test_a_policy_without_conditions_has_istios_also_where_the_mesh_has_others(mesh, view):
    settings = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: "defaultHttpRetryPolicy: {attempts: 5, retryOn: reset}"
"""
    rule = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule}
spec: {hosts: [a], http: [{retries: {attempts: 1}, route: [{destination: {host: a}}]}]}
"""
    policy = mesh(settings + ENTRY + rule).hosts(view(), "80")[f"{A}:80"].routes[0].route.retry_policy
    assert policy.retry_on.startswith("connect-failure,refused-stream")


def test_a_destinations_edits_follow_the_routes_or_go_with_its_share(routes):
    own = "headers: {request: {set: {own: '1'}}}"
    one = routes(f"headers: {{request: {{set: {{all: '0'}}}}}}, route: [{{destination: {{host: a}}, {own}}}]")[0]
    assert [header.header.key for header in one.request_headers_to_add] == ["all", "own"]
    two = routes(f"route: [{{destination: {{host: a}}, weight: 1, {own}}}, {{destination: {{host: b}}, weight: 1}}]")[0]
    shares = two.route.weighted_clusters.clusters
    assert [len(share.request_headers_to_add) for share in shares] == [1, 0]


@pytest.mark.parametrize(
    ("route", "host"),
    [
        ("headers: {request: {set: {Host: one.com}}}, " + TO_A, "one.com"),
        ("headers: {request: {add: {':authority': two.com}}}, " + TO_A, "two.com"),
        ("route: [{destination: {host: a}, headers: {request: {set: {host: four.com}}}}]", "four.com"),
    ],
)
def test_setting_the_host_header_rewrites_the_host(routes, route, host):
    made = routes(route)[0]
    assert made.route.host_rewrite_literal == host
    assert not made.request_headers_to_add
