"""request_mirror_policies: which level's count, what the copy's head says, what is refused. Heads were measured on Envoy 1.40."""

import pytest
import yaml

from pymesh_proxy.compile.bootstrap import compile_static
from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.http.exchange import Downstream, Exchange
from pymesh_proxy.http.headers import RequestHead


@pytest.fixture
def mirrors(parse):
    """The mirrors of a route whose policies, and those of its host and table, are given as YAML."""

    def find(route="[]", host="[]", table="[]", **action):
        forward = {"cluster": "up", "request_mirror_policies": yaml.safe_load(route), **action}
        only = {"match": {"prefix": "/"}, "route": forward}
        hosts = [{"name": "v", "domains": ["*"], "routes": [only], "request_mirror_policies": yaml.safe_load(host)}]
        text = yaml.safe_dump({"name": "r", "virtual_hosts": hosts, "request_mirror_policies": yaml.safe_load(table)})
        return compile_routes(parse("routes", text)).match(request(), 0).action.mirrors

    return find


def request(authority=b"a.com", headers=()):
    return RequestHead(b"GET", b"/", authority, [(b"Host", authority), *headers])


def copied(mirroring, head):
    """What a copy's head says."""
    exchange = Exchange(Downstream(remote_address="1.2.3.4:5", local_address="6.7.8.9:10"), head, 0.0, 0.0)
    mirroring.route.action.rewrite(exchange)
    return exchange.head


def test_without_policies_there_are_no_mirrors(mirrors):
    assert mirrors() == ()


@pytest.mark.parametrize(
    ("levels", "clusters"),
    [
        (("[{cluster: r}]", "[{cluster: h}]", "[{cluster: t}]"), ["r"]),
        (("[]", "[{cluster: h}, {cluster: i}]", "[{cluster: t}]"), ["h", "i"]),
        (("[]", "[]", "[{cluster: t}]"), ["t"]),
    ],
)
def test_the_innermost_level_counts(mirrors, levels, clusters):
    assert [mirroring.route.action.only.cluster for mirroring in mirrors(*levels)] == clusters


def test_a_copy_has_the_routes_timeout_and_no_retries(mirrors):
    [mirroring] = mirrors("[{cluster: m}]", timeout="7s", retry_policy={"retry_on": "5xx"}, max_stream_duration=None)
    assert (mirroring.route.action.timeout, mirroring.route.action.retry) == (7.0, None)


@pytest.mark.parametrize(
    ("policy", "share"),
    [
        ("{cluster: m}", (100, 100)),
        ("{cluster: m, runtime_fraction: {default_value: {}}}", (0, 100)),
        ("{cluster: m, runtime_fraction: {default_value: {numerator: 7, denominator: MILLION}, runtime_key: k}}", (7, 1_000_000)),
    ],
)
def test_the_share(mirrors, policy, share):
    [mirroring] = mirrors(f"[{policy}]")
    assert (mirroring.numerator, mirroring.denominator) == share


@pytest.mark.parametrize(
    ("policy", "authority", "expected"),
    [
        ("", b"a.com", b"a.com-shadow"),
        ("", b"a.com:80", b"a.com-shadow:80"),
        ("", b"[::1]:80", b"[::1]-shadow:80"),
        (", disable_shadow_host_suffix_append: true", b"a.com:80", b"a.com:80"),
        (", host_rewrite_literal: b.org", b"a.com:80", b"b.org"),
        (", host_rewrite_literal: b.org, disable_shadow_host_suffix_append: true", b"a.com", b"b.org"),
    ],
)
def test_the_host(mirrors, policy, authority, expected):
    [mirroring] = mirrors(f"[{{cluster: m{policy}}}]")
    head = copied(mirroring, request(authority))
    assert (head.authority, head.get(b"host")) == (expected, expected)


def test_mutations_are_applied_one_after_another(mirrors):
    [mirroring] = mirrors(
        """
        - cluster: m
          request_headers_mutations:
          - {append: {header: {key: x-new, value: "%REQ(x-a)%-%PROTOCOL%"}}}
          - {remove: X-A}
          - {append: {header: {key: x-again, value: "%REQ(x-a)%."}}}
          - {append: {header: {key: x-c, value: over}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}}
          - {remove_on_match: {key_matcher: {prefix: x-drop-}}}
          - {remove_on_match: {key_matcher: {contains: os}}}
        """
    )
    sent = [(b"X-A", b"1"), (b"x-c", b"2"), (b"X-Drop-1", b"3"), (b"x-drop-2", b"4"), (b"x-host", b"5")]
    assert copied(mirroring, request(headers=sent)).fields == [
        (b"Host", b"a.com-shadow"),
        (b"x-new", b"1-HTTP/1.1"),
        (b"x-again", b"."),
        (b"x-c", b"over"),
        (b"x-envoy-internal", b"true"),
    ]


@pytest.mark.parametrize(
    ("policy", "where"),
    [
        ("{}", ""),
        ("{cluster: m, cluster_header: x}", ""),
        ("{cluster: m, request_headers_mutations: [{remove: Host}]}", ".request_headers_mutations[0].remove"),
        (
            "{cluster: m, request_headers_mutations: [{append: {header: {key: ':path', value: x}}}]}",
            ".request_headers_mutations[0].append.header.key",
        ),
        (
            "{cluster: m, request_headers_mutations: [{append: {header: {key: x, value: '%NO%'}}}]}",
            ".request_headers_mutations[0].append.header.value",
        ),
        ("{cluster: m, request_headers_mutations: [{}]}", ".request_headers_mutations[0].action"),
        ('{cluster: m, host_rewrite_literal: "a\\nb"}', ".host_rewrite_literal"),
    ],
)
@pytest.mark.parametrize("level", ["request_mirror_policies", "virtual_hosts[0].routes[0].route.request_mirror_policies"])
def test_what_cannot_be_honoured_is_refused(parse, problems, policy, where, level):
    policies = [yaml.safe_load(policy)]
    inner, outer = ({}, {"request_mirror_policies": policies})
    if level.startswith("virtual"):
        inner, outer = outer, inner
    hosts = [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up", **inner}}]}]
    found = problems(compile_routes, parse("routes", yaml.safe_dump({"name": "r", "virtual_hosts": hosts, **outer})))
    assert set(found) == {f"{level}[0]{where}"}


def test_a_static_route_copies_to_static_clusters_only(parse, problems, ctx):
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "s",
        "http_filters": [
            {"name": "r", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}},
        ],
        "route_config": {
            "request_mirror_policies": [{"cluster": "one"}],
            "virtual_hosts": [
                {
                    "name": "v",
                    "domains": ["*"],
                    "request_mirror_policies": [{"cluster": "up"}, {"cluster": "two"}],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "route": {"cluster": "up", "request_mirror_policies": [{"cluster_header": "x"}, {"cluster": "three"}]},
                        }
                    ],
                }
            ],
        },
    }
    listener = {
        "name": "l",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
        "filter_chains": [{"filters": [{"name": "h", "typed_config": manager}]}],
    }
    cluster = {"name": "up", "type": "STATIC", "load_assignment": {"cluster_name": "up"}}
    text = yaml.safe_dump({"static_resources": {"listeners": [listener], "clusters": [cluster]}})
    found = problems(compile_static, parse("bootstrap", text), ctx)
    assert sorted(found.values()) == ["unknown cluster 'one'", "unknown cluster 'three'", "unknown cluster 'two'"]
