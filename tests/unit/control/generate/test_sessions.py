"""Sessions that stay with an instance: as a rule of the Gateway API asks for, or a service's labels."""

import pytest

from pymesh.api import parse_text
from pymesh.xds import proto

from .gateway_api import GROUP, HTTP, SERVICES, gateway, route, service, thing
from .test_gateway_api import IN_MESH

FILTER = "envoy.filters.http.stateful_session"


def state(message):
    """What a route or one of its shares says of sessions: (name, path, seconds) of a cookie, or the name of a header."""
    if FILTER not in message.typed_per_filter_config:
        return None
    of_route = proto.unpack(message.typed_per_filter_config[FILTER])
    held = proto.unpack(of_route.stateful_session.session_state.typed_config)
    return (held.cookie.name, held.cookie.path, held.cookie.ttl.seconds) if hasattr(held, "cookie") else held.name


def rule(session, backends="{name: web, port: 80}"):
    return f"{{sessionPersistence: {{{session}}}, backendRefs: [{backends}]}}"


@pytest.mark.parametrize(
    ("session", "told"),
    [
        ("cookie: {name: mine}", ("mine", "/", 0)),
        ("cookie: {}", ("session-default-r-0", "/", 0)),
        ("cookie: {name: mine, path: /a, lifetimeType: Permanent}, absoluteTimeout: 1h", ("mine", "/a", 3600)),
        ("type: Header, header: {name: x-session}", "x-session"),
    ],
)
def test_a_rule_keeps_its_sessions(mesh, edge, view, session, told):
    built = mesh(SERVICES + gateway(HTTP) + route(rule(session), parents=f"{{name: edge}}, {IN_MESH}"))
    at_edge = built.hosts(edge, "http.80")["*:80"].routes[0]
    in_mesh = built.hosts(view(), "80")["web.default.svc.cluster.local:80"].routes[0]
    assert [state(at_edge), state(in_mesh)] == [told, told]


def test_calls_keep_theirs_too(mesh, edge):
    spec = f"{{parentRefs: [{{name: edge}}], rules: [{rule('type: Header, header: {name: x-session}')}]}}"
    assert state(mesh(SERVICES + gateway(HTTP) + thing("GRPCRoute", "g", spec)).hosts(edge, "http.80")["*:80"].routes[0]) == "x-session"


@pytest.mark.parametrize(
    ("session", "backends", "path"),
    [
        ("cookie: {}", "{name: web, port: 80}, {name: web, port: 9000}", "rules[0].sessionPersistence"),
        ("cookie: {}, absoluteTimeout: 1h", "{name: web, port: 80}", "rules[0].sessionPersistence.absoluteTimeout"),
        ("type: Header, header: {name: a}, absoluteTimeout: 1h", "{name: web, port: 80}", "rules[0].sessionPersistence.absoluteTimeout"),
    ],
)
def test_what_no_proxy_can_keep_is_refused_with_its_place(mesh, session, backends, path):
    built = mesh(SERVICES + gateway(HTTP) + route(rule(session, backends)))
    assert [problem.message.split(": ")[1] for problem in built.problems if problem.severity == "error"] == [path]


def test_a_backend_without_a_weight_is_none_of_several(mesh, edge):
    backends = "{name: web, port: 80}, {name: web, port: 9000, weight: 0}"
    built = mesh(SERVICES + gateway(HTTP) + route(rule("cookie: {name: mine}", backends)))
    assert state(built.hosts(edge, "http.80")["*:80"].routes[0]) == ("mine", "/", 0)


@pytest.mark.parametrize(
    ("session", "sentence"),
    [
        ("{}", 'needs "cookie"'),
        ("{type: Header}", 'needs "header"'),
        ("{cookie: {}, header: {name: a}}", "has no meaning in a session of type Cookie"),
        ("{cookie: {lifetimeType: Permanent}}", 'needs "absoluteTimeout"'),
        ("{cookie: {name: a b}}", "is not the name of a cookie"),
        ("{type: Header, header: {name: a b}}", "is not a header name"),
    ],
)
@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_a_session_that_lacks_what_its_type_says_is_a_mistake(kind, session, sentence):
    text = f"apiVersion: {GROUP}\nkind: {kind}\nmetadata: {{name: r}}\nspec: {{rules: [{{sessionPersistence: {session}}}]}}\n"
    assert any(sentence in str(problem) for problem in parse_text(text, "f").problems)


LABELLED = """
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default, labels: {%s}}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 80}], selector: {app: shop}}
"""


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ("istio.io/persistent-session: mine", ("mine", "/", 0)),
        ("istio.io/persistent-session: 'mine:/a'", ("mine", "/a", 0)),
        ("istio.io/persistent-session: mine, istio.io/persistent-session-header: x-session", "x-session"),
        ("app: shop", None),
    ],
)
def test_a_services_labels_ask_for_sessions_wherever_it_is_called(mesh, view, labels, told):
    built = mesh(service() + LABELLED % labels)
    (default,) = built.hosts(view(), "80")["shop.default.svc.cluster.local:80"].routes
    ruled = mesh(service() + LABELLED % labels + route("{backendRefs: [{name: shop, port: 80}, {name: web, port: 80}]}", parents=IN_MESH))
    (shared,) = ruled.hosts(view(), "80")["web.default.svc.cluster.local:80"].routes
    assert [state(default), *map(state, shared.route.weighted_clusters.clusters)] == [told, told, None]
    statuses = built.clusters(view())["outbound|80||shop.default.svc.cluster.local"].common_lb_config.override_host_status.statuses
    assert bool(statuses) == (told is not None)


def test_the_filter_runs_only_where_a_route_says_so(mesh, edge):
    (chain,) = mesh(SERVICES + gateway(HTTP) + route()).listeners(edge)["0.0.0.0_80"].filter_chains
    (found,) = (one for one in proto.unpack(chain.filters[0].typed_config).http_filters if one.name == FILTER)
    assert found.disabled
