"""Routes that a VirtualService leaves to another."""

import pytest

ROOT = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: root}}
spec:
  hosts: [shop.example.com]
  http: [{http}]
"""
DELEGATE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: cart, namespace: {namespace}}}
spec:
  {export}
  http: [{http}]
"""


@pytest.fixture
def merged(built):
    """The routes of the root after merging, and the warnings."""

    def make(outer, *inner, namespace="default", export=""):
        text = ROOT.format(http=outer) + DELEGATE.format(http=", ".join(inner), namespace=namespace, export=export)
        snapshot, problems = built(text)
        (root,) = snapshot.virtual_services
        return root.spec.http, [problem.message for problem in problems if "delegate" in problem.message]

    return make


TO = "route: [{destination: {host: cart}}]"
ONCE = "match: [{uri: {exact: /once}}]"


def test_a_delegates_routes_stand_where_the_root_names_it(merged):
    routes, _ = merged(
        "{name: first, match: [{uri: {exact: /}}], redirect: {uri: /a}}, {delegate: {name: cart}}",
        f"{{name: one, {ONCE}, {TO}}}",
        f"{{name: two, {TO}}}",
    )
    assert [route.name for route in routes] == ["first", "one", "two"]


def test_conditions_hold_together_and_names_are_joined(merged):
    outer = "{name: shop, match: [{name: all, uri: {prefix: /shop}, headers: {x: {exact: a}}}], delegate: {name: cart}}"
    routes, _ = merged(outer, f"{{name: cart, match: [{{name: one, uri: {{exact: /shop/cart}}, headers: {{y: {{}}}}}}], {TO}}}")
    (match,) = routes[0].match
    assert (routes[0].name, match.name, match.uri.exact, sorted(match.headers)) == ("shop-cart", "all-one", "/shop/cart", ["x", "y"])


def test_every_condition_meets_every_other(merged):
    routes, _ = merged(
        "{match: [{uri: {prefix: /a}}, {uri: {prefix: /b}}], delegate: {name: cart}}",
        f"{{match: [{{uri: {{prefix: /a/1}}}}, {{method: {{exact: GET}}}}], {TO}}}",
    )
    assert [(match.uri.prefix, bool(match.method)) for match in routes[0].match] == [("/a/1", False), ("/a", True), ("/b", True)]


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("uri: {prefix: /a}", "uri: {prefix: /b}"),
        ("uri: {exact: /a}", "uri: {prefix: /a}"),
        ("uri: {regex: .*}", "uri: {exact: /a}"),
        ("method: {exact: GET}", "method: {exact: PUT}"),
        ("headers: {x: {exact: a}}", "headers: {x: {exact: b}}"),
        ("port: 80", "port: 81"),
        ("sourceLabels: {app: a}", "sourceLabels: {app: b}"),
        ("sourceNamespace: a", "sourceNamespace: b"),
        ("sourceNamespace: a", "method: {exact: GET}"),
        ("headers: {x: {}}", "headers: {x: {exact: a}}"),
        ("headers: {x: {}}", "headers: {x: {}}"),
        ("headers: {x: {prefix: a}}", "headers: {x: {}}"),
        ("uri: {prefix: ''}", "uri: {prefix: /a}"),
        ("uri: {prefix: /a}, ignoreUriCase: true", "uri: {prefix: /a}"),
        ("uri: {prefix: /a}, ignoreUriCase: true", "headers: {x: {exact: a}}"),
        ("gateways: [edge]", "gateways: [other]"),
    ],
)
def test_a_route_that_contradicts_the_root_is_left_out(merged, outer, inner):
    routes, _ = merged(f"{{match: [{{{outer}}}], delegate: {{name: cart}}}}", f"{{match: [{{{inner}}}], {TO}}}")
    assert routes == []


def test_the_delegates_own_settings_win_and_the_roots_fill_the_gaps(merged):
    outer = "{timeout: 5s, headers: {request: {remove: [x]}}, delegate: {name: cart}}"
    routes, _ = merged(outer, f"{{timeout: 1s, {ONCE}, {TO}}}", f"{{{TO}}}")
    assert [route.timeout for route in routes] == [1.0, 5.0]
    assert all(route.headers.request.remove == ["x"] for route in routes)


def test_short_names_are_those_of_the_delegates_namespace(merged):
    outer = "{delegate: {name: cart, namespace: elsewhere}}"
    routes, _ = merged(outer, f"{{mirror: {{host: copy}}, {TO}}}", namespace="elsewhere")
    assert routes[0].route[0].destination.host == "cart.elsewhere.svc.cluster.local"
    assert routes[0].mirror.host == "copy.elsewhere.svc.cluster.local"


def test_a_delegate_that_is_not_there_is_warned_about(merged):
    routes, warnings = merged("{delegate: {name: absent}}", f"{{{TO}}}")
    assert (routes, len(warnings)) == ([], 1)
    assert "there is no delegate default/absent" in warnings[0]


def test_a_delegate_that_is_not_exported_is_not_there(merged):
    outer = "{delegate: {name: cart, namespace: elsewhere}}"
    routes, warnings = merged(outer, f"{{{TO}}}", namespace="elsewhere", export='exportTo: ["."]')
    assert (routes, len(warnings)) == ([], 1)


def test_a_route_is_left_out_for_one_condition_that_lies_within_none_of_the_roots(merged):
    outer = "{match: [{uri: {prefix: /a}}], delegate: {name: cart}}"
    routes, _ = merged(outer, f"{{match: [{{uri: {{prefix: /a/1}}}}, {{uri: {{prefix: /b}}}}], {TO}}}", f"{{{TO}}}")
    assert [match.uri.prefix for route in routes for match in route.match] == ["/a"]


def test_what_a_delegate_switches_off_is_off(merged):
    routes, _ = merged("{mirror: {host: copy}, mirrorPercent: 50, delegate: {name: cart}}", f"{{mirrorPercent: 0, {TO}}}")
    assert (routes[0].mirror_percent, bool(routes[0].mirror)) == (0, True)


def test_gateways_are_those_of_the_namespace_that_names_them(merged):
    inner = f"{{match: [{{gateways: [edge]}}], {TO}}}"
    outer = "{match: [{gateways: [%s]}], delegate: {name: cart, namespace: elsewhere}}"
    routes, _ = merged(outer % "elsewhere/edge", inner, namespace="elsewhere")
    assert [match.gateways for match in routes[0].match] == [["elsewhere/edge"]]
    routes, _ = merged(outer % "edge", inner, namespace="elsewhere")
    assert routes == []
