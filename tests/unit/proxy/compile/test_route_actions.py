"""What follows a match: targets, timeouts, rewrites, redirects, replies. Locations were measured on Envoy 1.40."""

import pytest
import yaml

from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.http.exchange import Downstream, Exchange
from pymesh_proxy.http.headers import RequestHead, ResponseHead


@pytest.fixture
def route(parse):
    """The route that a request takes in a table of one route."""

    def find(text, request=None, **table):
        only = yaml.safe_load(text)
        hosts = [{"name": "v", "domains": ["*"], "routes": [only], **table.pop("host", {})}]
        message = parse("routes", yaml.safe_dump({"name": "r", "virtual_hosts": hosts, **table}))
        return compile_routes(message).match(request or request_head(), 0)

    return find


@pytest.fixture
def refused(parse, problems):
    def collect(text, **host):
        hosts = [{"name": "v", "domains": ["*"], "routes": [yaml.safe_load(text)], **host}]
        found = problems(compile_routes, parse("routes", yaml.safe_dump({"name": "r", "virtual_hosts": hosts})))
        return {path.removeprefix("virtual_hosts[0].").removeprefix("routes[0]."): message for path, message in found.items()}

    return collect


def request_head(path=b"/", authority=b"a.com", headers=()):
    return RequestHead(b"GET", path, authority, [(b"Host", authority), *headers])


def exchange_of(request):
    return Exchange(Downstream(remote_address="1.2.3.4:5", local_address="6.7.8.9:10"), request, 0.0, 0.0)


def test_a_plain_route_has_envoys_defaults(route):
    action = route("{match: {prefix: /}, route: {cluster: up}}").action
    assert (action.choose(7).cluster, action.timeout, action.idle_timeout, action.retry, action.rewrite) == ("up", 15.0, None, None, None)
    assert (action.upgrades, action.cluster_missing_status) == ({}, 503)


def test_weights_are_walked_in_order(route):
    text = (
        "{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, weight: 30}, {name: z, weight: 0}, {name: b, weight: 70}]}}}"
    )
    action = route(text).action
    assert [action.choose(random).cluster for random in (0, 29, 30, 99, 100)] == ["a", "a", "b", "b", "a"]


@pytest.mark.parametrize("clusters", ["[]", "[{name: a, weight: 0}]", "[{name: a}]"])
def test_weights_that_sum_to_nothing_are_refused(refused, clusters):
    text = f"{{match: {{prefix: /}}, route: {{weighted_clusters: {{clusters: {clusters}}}}}}}"
    assert "route.weighted_clusters.clusters" in refused(text)


def test_timeouts_and_upgrades_are_read(route):
    text = """
    match: {prefix: /}
    route:
      cluster: up
      timeout: 0s
      idle_timeout: 2.5s
      max_stream_duration: {max_stream_duration: 0s, grpc_timeout_header_max: 0s}
      cluster_not_found_response_code: NOT_FOUND
      upgrade_configs: [{upgrade_type: WebSocket}, {upgrade_type: other, enabled: false}]
    """
    action = route(text).action
    assert action.max_stream_duration == 0.0
    assert (action.timeout, action.idle_timeout, action.cluster_missing_status) == (0.0, 2.5, 404)
    assert action.upgrades == {b"websocket": True, b"other": False}


@pytest.mark.parametrize(
    ("fields", "timeout", "longest"),
    [
        ("timeout: 3s", 3.0, None),
        ("timeout: 3s, max_stream_duration: {max_stream_duration: 9s}", 0.0, 9.0),
        ("timeout: 3s, max_stream_duration: {grpc_timeout_header_max: 0s}", 0.0, None),
    ],
)
def test_a_streams_duration_takes_the_place_of_the_timeout(route, fields, timeout, longest):
    action = route(f"{{match: {{prefix: /}}, route: {{cluster: up, {fields}}}}}").action
    assert (action.timeout, action.max_stream_duration) == (timeout, longest)


@pytest.mark.parametrize(("config", "terminates"), [("", False), (", connect_config: {}", True)])
def test_connect_is_passed_on_unless_it_ends_here(route, config, terminates):
    text = f"{{match: {{connect_matcher: {{}}}}, route: {{cluster: up, upgrade_configs: [{{upgrade_type: CONNECT{config}}}]}}}}"
    action = route(text, RequestHead(b"CONNECT", b"", b"any.org:443", [])).action
    assert (action.terminates_connect, action.upgrades) == (terminates, {b"connect": True})


def test_the_cluster_can_come_from_a_header(route):
    assert route("{match: {prefix: /}, route: {cluster_header: X-Cluster}}").action.only.cluster_header == b"x-cluster"


@pytest.mark.parametrize(
    ("match", "rewrite", "path", "expected"),
    [
        ("{prefix: /rw}", "prefix_rewrite: /new", b"/rwfoo?q=1", b"/newfoo?q=1"),
        ("{path: /rw}", "prefix_rewrite: /new", b"/rw?q", b"/new?q"),
        ("{path_separated_prefix: /rw}", "prefix_rewrite: /n", b"/rw/x?y", b"/n/x?y"),
        ("{safe_regex: {regex: '/rw/.*'}}", "prefix_rewrite: /all", b"/rw/x?y", b"/all?y"),
        (
            "{prefix: /}",
            "regex_rewrite: {pattern: {regex: '/(a+)(b)?'}, substitution: '/\\1-\\2-\\0'}",
            b"/aab/a?/a",
            b"/aa-b-/aab/a--/a?/a",
        ),
    ],
)
def test_paths_are_rewritten_and_the_original_is_kept(route, match, rewrite, path, expected):
    request = request_head(path)
    exchange = exchange_of(request)
    route(f"{{match: {match}, route: {{cluster: up, {rewrite}}}}}", request).action.rewrite(exchange)
    assert request.path == expected
    assert request.get(b"x-envoy-original-path") == path


def test_a_rewrite_that_changes_nothing_leaves_no_trace(route):
    request = request_head(b"/a")
    route("{match: {prefix: /a}, route: {cluster: up, prefix_rewrite: /a}}", request).action.rewrite(exchange_of(request))
    assert request.fields == [(b"Host", b"a.com")]


@pytest.mark.parametrize(
    ("rewrite", "expected"),
    [
        ("host_rewrite_literal: new.com", b"new.com"),
        ("host_rewrite_header: x-host", b"from.header"),
        ("host_rewrite_header: x-missing", b"a.com"),
        ("host_rewrite_path_regex: {pattern: {regex: '^/(.+)/.*$'}, substitution: '\\1.org'}", b"svc.org"),
    ],
)
def test_hosts_are_rewritten_in_their_place(route, rewrite, expected):
    request = request_head(b"/svc/x?y", headers=[(b"x-host", b"from.header")])
    route(f"{{match: {{prefix: /}}, route: {{cluster: up, {rewrite}}}}}", request).action.rewrite(exchange_of(request))
    assert (request.authority, request.fields[0]) == (expected, (b"Host", expected))
    assert request.get(b"x-envoy-original-host") == (b"a.com" if expected != b"a.com" else None)


def test_the_old_host_can_be_passed_on(route):
    request = request_head(headers=[(b"x-forwarded-host", b"first.com")])
    text = "{match: {prefix: /}, route: {cluster: up, host_rewrite_literal: new.com, append_x_forwarded_host: true}}"
    route(text, request).action.rewrite(exchange_of(request))
    assert request.get(b"x-forwarded-host") == b"first.com,a.com"


@pytest.mark.parametrize(
    ("text", "path", "host", "location"),
    [
        ("{match: {prefix: /}, redirect: {https_redirect: true}}", b"/a?b", b"a.com:80", b"https://a.com/a?b"),
        ("{match: {prefix: /}, redirect: {https_redirect: true}}", b"/a", b"a.com:8080", b"https://a.com:8080/a"),
        ("{match: {prefix: /}, redirect: {https_redirect: true}}", b"/a", b"[::1]:80", b"https://[::1]/a"),
        ("{match: {prefix: /}, redirect: {https_redirect: true}}", b"/a", b"[::1]", b"https://[::1]/a"),
        ("{match: {prefix: /r/}, redirect: {prefix_rewrite: /x, port_redirect: 8443}}", b"/r/a?q", b"a.com:99", b"http://a.com:8443/xa?q"),
        (
            "{match: {safe_regex: {regex: '/r/.*'}}, redirect: {prefix_rewrite: /x, strip_query: true}}",
            b"/r/a?q",
            b"a.com",
            b"http://a.com/x",
        ),
        ("{match: {prefix: /}, redirect: {path_redirect: '/new?z=1'}}", b"/a?q=1", b"a.com", b"http://a.com/new?z=1"),
        ("{match: {prefix: /}, redirect: {path_redirect: /new}}", b"/a?q=1", b"a.com", b"http://a.com/new?q=1"),
        ("{match: {prefix: /}, redirect: {host_redirect: new.com, scheme_redirect: HTTPS}}", b"/a", b"a.com:80", b"HTTPS://new.com/a"),
    ],
)
def test_redirects_build_envoys_location(route, text, path, host, location):
    request = request_head(path, host)
    assert route(text, request).action.location(exchange_of(request)) == location


@pytest.mark.parametrize(("code", "status"), [("FOUND", 302), ("PERMANENT_REDIRECT", 308), ("MOVED_PERMANENTLY", 301)])
def test_redirects_have_their_status(route, code, status):
    assert route(f"{{match: {{prefix: /}}, redirect: {{host_redirect: b.com, response_code: {code}}}}}").action.status == status


def test_require_tls_sends_plain_requests_to_https(parse):
    text = "{name: r, virtual_hosts: [{name: v, domains: ['*'], require_tls: ALL, routes: [{match: {prefix: /}, route: {cluster: up}}]}]}"
    table = compile_routes(parse("routes", text))
    plain = request_head(b"/x?y", b"a.com:80")
    assert table.match(plain, 0).action.location(exchange_of(plain)) == b"https://a.com/x?y"
    encrypted = request_head(headers=[(b"x-forwarded-proto", b"https")])
    assert table.match(encrypted, 0).action.choose(0).cluster == "up"


def test_a_direct_reply_has_its_status_and_body(route):
    action = route("{match: {prefix: /}, direct_response: {status: 503, body: {inline_string: sorry}}}").action
    assert (action.status, action.body) == (503, b"sorry")


def test_a_body_beyond_the_tables_limit_is_refused(refused):
    text = f"{{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: {'x' * 4097}}}}}}}"
    assert "4097 bytes" in refused(text)["direct_response.body"]


@pytest.mark.parametrize("status", [199, 600])
def test_a_status_that_is_none_is_refused(refused, status):
    assert "direct_response.status" in refused(f"{{match: {{prefix: /}}, direct_response: {{status: {status}}}}}")


def test_a_reply_gets_the_header_mutations_of_its_levels(route):
    text = """
    match: {prefix: /}
    direct_response: {status: 200}
    response_headers_to_add: [{header: {key: X-Level, value: route}}]
    """
    exchange = exchange_of(request_head())
    exchange.response = ResponseHead(200, [])
    host = {"response_headers_to_add": [{"header": {"key": "x-level", "value": "host"}}]}
    route(text, host=host).edit_response(exchange)
    assert exchange.response.fields == [(b"x-level", b"route"), (b"x-level", b"host")]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{match: {prefix: /}, route: {cluster: up, metadata_match: {filter_metadata: {a: {}}}}}", "route.metadata_match"),
        (
            "{match: {prefix: /}, route: {cluster: up, internal_redirect_policy: {predicates: [{name: p}]}}}",
            "route.internal_redirect_policy.predicates",
        ),
        ("{match: {prefix: /}, route: {cluster: up, internal_redirect_action: 1}}", "route.internal_redirect_action"),
        ("{match: {prefix: /}, route: {cluster: up, hash_policy: [{filter_state: {key: a}}]}}", "route.hash_policy[0].filter_state"),
        ("{match: {prefix: /}, route: {cluster: up, hedge_policy: {hedge_on_per_try_timeout: true}}}", "route.hedge_policy"),
        ("{match: {prefix: /}, route: {cluster: up, path_rewrite: /a, prefix_rewrite: /b}}", "route.path_rewrite"),
        ('{match: {prefix: /}, route: {cluster: up, host_rewrite: "%NO%"}}', "route.host_rewrite"),
        ("{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, cluster_header: b, weight: 1}]}}}",
         "route.weighted_clusters.clusters[0].name"),
        (
            "{match: {prefix: /}, route: {cluster: up, upgrade_configs: [{upgrade_type: a}, {upgrade_type: A}]}}",
            "route.upgrade_configs[1].upgrade_type",
        ),
        (
            "{match: {connect_matcher: {}},"
            " route: {cluster: up, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {proxy_protocol_config: {}}}]}}",
            "route.upgrade_configs[0].connect_config.proxy_protocol_config",
        ),
        (
            "{match: {prefix: /}, route: {cluster: up, upgrade_configs: [{upgrade_type: websocket, connect_config: {}}]}}",
            "route.upgrade_configs[0].connect_config",
        ),
        ("{match: {prefix: /, dynamic_metadata: [{filter: a, path: [{key: b}], value: {present_match: true}}]}, route: {cluster: up}}",
         "match.dynamic_metadata"),
        ("{match: {path_separated_prefix: /a/}, route: {cluster: up}}", "match.path_separated_prefix"),
        ("{match: {safe_regex: {regex: '('}}, route: {cluster: up}}", "match.safe_regex.regex"),
        ("{match: {prefix: /}, route: {}}", "route.cluster_specifier"),
        ("{match: {prefix: /}}", "action"),
        ("{match: {prefix: /}, non_forwarding_action: {}}", "non_forwarding_action"),
        (
            "{match: {prefix: /}, route: {cluster: up, regex_rewrite: {pattern: {regex: a}, substitution: '\\1'}}}",
            "route.regex_rewrite.substitution",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_field(refused, text, field):
    assert field in refused(text)


def test_a_domain_can_be_claimed_once(parse, problems):
    text = "{name: r, virtual_hosts: [{name: v, domains: [a.com, '*']}, {name: w, domains: [A.com, b.com]}]}"
    assert set(problems(compile_routes, parse("routes", text))) == {"virtual_hosts[1].domains[0]"}
