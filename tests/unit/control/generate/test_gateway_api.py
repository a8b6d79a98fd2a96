"""The Gateway API's objects as listeners and routes: who serves them, and under which names."""

# ruff: noqa: E501  (specs in one line)

import pytest

from pymesh.xds import proto, types
from pymesh_control.generate import generate

from .gateway_api import HTTP, OTHER, SERVICES, WEB, conditions, gateway, route, service, thing, unmet

# Who serves a Gateway


def test_a_gateway_is_served_by_the_proxies_that_carry_its_name_in_its_namespace(mesh, edge, view):
    built = mesh(SERVICES + gateway(HTTP) + route())
    assert set(built.listeners(edge)) == {"0.0.0.0_80"}
    assert built.listeners(view("router", LABELS={"istio": "ingressgateway"})) == {}
    assert built.listeners(view("router", NAMESPACE="other", LABELS={"gateway.networking.k8s.io/gateway-name": "edge"})) == {}


def test_the_instances_of_a_service_serve_a_gateway_that_names_it_on_the_ports_it_leads_to(mesh, view):
    ingress = service(
        "ingress", "istio-system", "{number: 80, name: http, targetPort: 8080}", ", workloadSelector: {labels: {istio: ingress}}"
    )
    built = mesh(
        SERVICES + ingress + gateway(HTTP, more=", addresses: [{type: Hostname, value: ingress.istio-system.svc.cluster.local}]") + route()
    )
    seen = view("router", NAMESPACE="istio-system", LABELS={"istio": "ingress"})
    assert set(built.listeners(seen)) == {"0.0.0.0_8080"}
    assert built.hosts(seen, "http.8080")["*:80"].routes[0].route.cluster == WEB
    assert built.listeners(view("router", LABELS={"istio": "ingress"})) == {}


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ("[{type: Hostname, value: gone}]", ("Programmed", "AddressNotUsable")),
        ("[{value: 10.0.0.1}]", ("Accepted", "UnsupportedAddress")),
        ("[{type: Hostname, value: web}]", ("Programmed", "AddressNotUsable")),
    ],
)
def test_an_address_that_nobody_serves_is_told(mesh, addresses, reason):
    built = mesh(SERVICES + gateway(HTTP, more=f", addresses: {addresses}"))
    (status,) = built.snapshot.gateway_api.statuses
    assert [(one.type, one.reason) for one in status.conditions if not one.is_good] == [reason]


@pytest.mark.parametrize(
    ("controller", "served", "told"), [("istio.io/gateway-controller", True, 1), ("example.com/other", False, 0), (None, False, 1)]
)
def test_a_gateway_of_another_class_is_left_to_others(mesh, edge, controller, served, told):
    declared = thing("GatewayClass", "mine", f"{{controllerName: {controller}}}") if controller else ""
    built = mesh(SERVICES + declared + gateway(HTTP).replace("Name: istio", "Name: mine") + route())
    assert bool(built.listeners(edge)) == served
    assert len([one for one in built.snapshot.gateway_api.statuses if one.kind == "KubernetesGateway"]) == told
    assert conditions(built, "r") == ([] if controller else [("Accepted", "NoMatchingParent")])


CONTEND = [("Conflicted", "ProtocolConflict"), ("Programmed", "Invalid")]


def test_of_listeners_of_one_gateway_that_contend_for_a_port_none_is_served(mesh, edge):
    own = "{name: own, port: 81, protocol: HTTP}"
    built = mesh(SERVICES + gateway(HTTP, "{name: tcp, port: 80, protocol: TCP}", own, "{name: udp, port: 53, protocol: UDP}"))
    assert set(built.listeners(edge)) == {"0.0.0.0_81"}
    assert conditions(built, "edge", "listeners") == [*CONTEND, *CONTEND, ("Accepted", "UnsupportedProtocol"), ("Programmed", "Invalid")]
    assert whole(built, "edge") == [("Accepted", True, "ListenersNotValid"), ("Programmed", True, "Programmed")]


def test_a_gateway_without_any_listener_that_can_be_served_is_refused(mesh, edge):
    built = mesh(SERVICES + gateway(HTTP, "{name: tcp, port: 80, protocol: TCP}"))
    assert whole(built, "edge") == [("Accepted", False, "ListenersNotValid"), ("Programmed", False, "Invalid")]


def whole(built, name):
    (status,) = (one for one in built.snapshot.gateway_api.statuses if one.name == name)
    return [(one.type, one.status, one.reason) for one in status.conditions]


# Names


@pytest.mark.parametrize(
    ("listener", "hostnames", "served"),
    [
        ("", "", {"*"}),
        ("", "a.example.com, '*.b.com'", {"a.example.com", "*.b.com"}),
        ("hostname: '*.example.com'", "", {"*.example.com"}),
        ("hostname: '*.example.com'", "a.example.com, b.other.com", {"a.example.com"}),
        ("hostname: a.example.com", "'*.example.com'", {"a.example.com"}),
        ("hostname: a.example.com", "b.example.com", set()),
    ],
)
def test_a_route_is_served_under_the_names_that_it_shares_with_the_listener(mesh, edge, listener, hostnames, served):
    built = mesh(SERVICES + gateway(f"{{name: http, port: 80, protocol: HTTP, {listener}}}") + route(hostnames=hostnames))
    assert {domain for host in built.hosts(edge, "http.80").values() if host.routes for domain in host.domains} == served
    assert conditions(built, "r") == ([] if served else [("Accepted", "NoMatchingListenerHostname")])


def test_requests_for_a_narrower_listener_are_not_taken_by_a_wider_one(mesh, edge):
    built = mesh(
        SERVICES
        + gateway(HTTP, "{name: sub, port: 80, protocol: HTTP, hostname: '*.example.com'}")
        + route(name="wide", parents="{name: edge, sectionName: http}", hostnames="a.example.com, other.com")
        + route(name="any", parents="{name: edge, sectionName: http}")
    )
    hosts = built.hosts(edge, "http.80")
    assert {name: len(host.routes) for name, host in hosts.items()} == {"other.com:80": 1, "*:80": 1, "*.example.com:80": 0}


def test_the_routes_of_one_name_are_joined(mesh, edge):
    built = mesh(
        SERVICES
        + gateway(HTTP)
        + route("{backendRefs: [{name: web, port: 80}]}", "b")
        + route("{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80}]}", "a")
    )
    assert [one.name for one in built.hosts(edge, "http.80")["*:80"].routes] == ["default.a.0", "default.b.0"]


# Which routes may attach


@pytest.mark.parametrize(
    ("allowed", "attached"),
    [
        ("", False),
        ("allowedRoutes: {namespaces: {from: All}}", True),
        ("allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: red}}}}", True),
        (
            "allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: team, operator: NotIn, values: [red]}]}}}",
            False,
        ),
        (
            "allowedRoutes: {namespaces: {from: Selector, selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [other]}, {key: x, operator: DoesNotExist}, {key: team, operator: Exists}]}}}",
            True,
        ),
    ],
)
def test_a_listener_takes_routes_of_the_namespaces_that_it_allows(mesh, edge, allowed, attached):
    place = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other, labels: {team: red}}\n"
    foreign = route(parents="{name: edge, namespace: default}", namespace="other")
    built = mesh(SERVICES + place + gateway(f"{{name: http, port: 80, protocol: HTTP, {allowed}}}") + foreign)
    assert ("*:80" in built.hosts(edge, "http.80")) == attached
    assert conditions(built, "r") == ([] if attached else [("Accepted", "NotAllowedByListeners")])


@pytest.mark.parametrize(
    ("parent", "reason"),
    [
        ("{name: gone}", "NoMatchingParent"),
        ("{name: edge, sectionName: gone}", "NoMatchingParent"),
        ("{name: edge, port: 81}", "NoMatchingParent"),
        ("{name: edge, sectionName: grpc}", "NotAllowedByListeners"),
        ("{group: '', kind: Service, name: gone}", "NoMatchingParent"),
        ("{group: '', kind: Service, name: web, port: 81}", "NoMatchingParent"),
        ("{group: '', kind: Service, name: web, sectionName: gone}", "NoMatchingParent"),
        ("{group: '', kind: Service, name: web, sectionName: http, port: 9000}", "NoMatchingParent"),
        ("{group: example.com, kind: Mesh, name: a}", "NoMatchingParent"),
    ],
)
def test_a_parent_that_does_not_take_a_route_is_told(mesh, parent, reason):
    grpc = "{name: grpc, port: 82, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}"
    built = mesh(SERVICES + gateway(HTTP, grpc) + route(parents=parent))
    assert conditions(built, "r") == [("Accepted", reason)]


def test_a_kind_of_route_that_a_listener_cannot_take_is_told_and_the_listener_served(mesh, edge):
    kinds = "allowedRoutes: {kinds: [{kind: HTTPRoute}, {kind: TCPRoute}]}"
    built = mesh(SERVICES + gateway(f"{{name: http, port: 80, protocol: HTTP, {kinds}}}") + route())
    assert conditions(built, "edge", "listeners") == [("ResolvedRefs", "InvalidRouteKinds")]
    assert built.hosts(edge, "http.80")["*:80"].routes


def test_attached_routes_are_counted(mesh):
    built = mesh(
        SERVICES + gateway(HTTP, "{name: two, port: 81, protocol: HTTP}") + route() + route(name="s", parents="{name: edge, port: 81}")
    )
    (status,) = (one for one in built.snapshot.gateway_api.statuses if one.name == "edge")
    assert [(one.name, one.attached_routes) for one in status.listeners] == [("http", 1), ("two", 2)]


# Connections, and routes in the mesh


def chains(built, edge, name):
    return {
        tuple(chain.filter_chain_match.server_names): proto.unpack(chain.filters[-1].typed_config)
        for chain in built.listeners(edge)[name].filter_chains
    }


TLS_ROUTE = "{{parentRefs: [{{name: edge}}], hostnames: [{}], rules: [{{backendRefs: [{{name: web, port: 9000, weight: 3}}, {{name: gone, port: 1}}]}}]}}"


def test_tls_is_passed_on_by_the_names_that_route_and_listener_share(mesh, edge):
    listener = "{name: tls, port: 8443, protocol: TLS, hostname: '*.example.com', tls: {mode: Passthrough}}"
    built = mesh(SERVICES + gateway(listener) + thing("TLSRoute", "t", TLS_ROUTE.format("a.example.com, '*.b.example.com', c.com")))
    found = chains(built, edge, "0.0.0.0_8443")
    assert set(found) == {("a.example.com",), ("*.b.example.com",)}
    assert [(share.name, share.weight) for share in found["a.example.com",].weighted_clusters.clusters] == [
        (WEB.replace("80", "9000"), 3),
        ("UnknownService", 1),
    ]


def test_tls_that_ends_at_the_gateway_goes_to_the_backend_of_its_name(mesh, edge):
    listener = "{name: tls, port: 8443, protocol: TLS, hostname: '*.example.com', tls: {options: {gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL}}}"
    one = thing("TLSRoute", "one", TLS_ROUTE.format("a.example.com"))
    two = thing("TLSRoute", "two", TLS_ROUTE.format("b.example.com").replace("web, port: 9000", "web, port: 80"))
    built = mesh(SERVICES + gateway(listener) + one + two)
    found = chains(built, edge, "0.0.0.0_8443")
    assert {names: proxy.weighted_clusters.clusters[0].name for names, proxy in found.items()} == {
        ("a.example.com",): WEB.replace("80", "9000"),
        ("b.example.com",): WEB,
    }
    assert all(chain.HasField("transport_socket") for chain in built.listeners(edge)["0.0.0.0_8443"].filter_chains)


def test_tcp_goes_to_the_backends_of_the_oldest_route(mesh, edge):
    def tcp(name, port):
        return thing("TCPRoute", name, f"{{parentRefs: [{{name: edge}}], rules: [{{backendRefs: [{{name: web, port: {port}}}]}}]}}")

    built = mesh(SERVICES + gateway("{name: tcp, port: 9000, protocol: TCP}") + tcp("b", 80) + tcp("a", 9000))
    assert chains(built, edge, "0.0.0.0_9000")[()].cluster == WEB.replace("80", "9000")


# In the mesh


IN_MESH = "{group: '', kind: Service, name: web}"


def test_the_clients_of_a_service_obey_the_routes_of_its_namespace(mesh, view):
    built = mesh(SERVICES + route("{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 9000}]}", parents=IN_MESH))
    for seen in (view(), view(NAMESPACE="other")):
        (one,) = built.hosts(seen, "80")["web.default.svc.cluster.local:80"].routes
        assert (one.match.path_separated_prefix, one.route.cluster) == ("/a", WEB.replace("80", "9000"))


def test_routes_of_another_namespace_are_for_its_own_clients(mesh, view):
    consumer = route(name="c", parents="{group: '', kind: Service, name: web, namespace: default}", namespace="other")
    built = mesh(SERVICES + route("{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80}]}", parents=IN_MESH) + consumer)
    names = {
        place: [one.name for one in built.hosts(view(NAMESPACE=place), "80")["web.default.svc.cluster.local:80"].routes]
        for place in ("default", "other")
    }
    assert names == {"default": ["default.r.0"], "other": ["other.c.0"]}


def test_routes_of_another_namespace_leave_the_ports_of_which_they_do_not_speak_to_those_of_the_services(mesh, view):
    ports = "{number: 80, name: http}, {number: 81, name: http-two}, {number: 82, name: http-three}, {number: 9000, name: tcp}"
    parent = "{group: '', kind: Service, name: web, namespace: default%s}"
    tcp = thing("TCPRoute", "t", f"{{parentRefs: [{IN_MESH}], rules: [{{backendRefs: [{{name: web, namespace: other, port: 9000}}]}}]}}")
    consumer = route(name="c", parents=parent % ", port: 81", namespace="other")
    built = mesh(service(ports=ports) + service(namespace="other") + route(parents=IN_MESH) + tcp + consumer)
    seen = view(NAMESPACE="other")
    named = [built.hosts(seen, str(port))[f"web.default.svc.cluster.local:{port}"].routes[0].name for port in (80, 81, 82)]
    assert named == ["default.r.0", "other.c.0", "default.r.0"]
    found = built.listeners(seen)["0.0.0.0_9000"]
    (chain,) = found.filter_chains or [found.default_filter_chain]
    assert proto.unpack(chain.filters[-1].typed_config).cluster == OTHER.replace("80", "9000")


def test_in_the_mesh_every_service_may_be_named(mesh, view):
    built = mesh(SERVICES + route("{backendRefs: [{name: web, namespace: other, port: 80}]}", parents=IN_MESH))
    assert built.hosts(view(), "80")["web.default.svc.cluster.local:80"].routes[0].route.cluster == OTHER
    assert conditions(built, "r") == []


@pytest.mark.parametrize("part", ["port: 81", "sectionName: http-two"])
def test_a_route_for_one_port_leaves_the_others_alone(mesh, view, part):
    services = service(ports="{number: 80, name: http}, {number: 81, name: http-two}")
    parent = IN_MESH.replace("}", f", {part}}}")
    built = mesh(services + route("{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80}]}", parents=parent))
    for port, cluster, name in ((80, WEB, "default"), (81, WEB, "default.r.0")):
        (one,) = built.hosts(view(), str(port))[f"web.default.svc.cluster.local:{port}"].routes
        assert (one.route.cluster, one.name) == (cluster, name)


def test_a_service_entry_is_a_parent_with_all_its_hosts(mesh, view):
    entry = thing(
        "ServiceEntry",
        "out",
        "{hosts: [a.example.com, b.example.com], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}",
        group="networking.istio.io/v1",
    )
    built = mesh(SERVICES + entry + route(parents="{group: networking.istio.io, kind: ServiceEntry, name: out}"))
    hosts = built.hosts(view(), "80")
    assert {hosts[f"{name}.example.com:80"].routes[0].route.cluster for name in "ab"} == {WEB}


def test_connections_of_clients_are_routed_too(mesh, view):
    tcp = thing(
        "TCPRoute",
        "t",
        f"{{parentRefs: [{IN_MESH.replace('}', ', port: 9000}')}], rules: [{{backendRefs: [{{name: web, namespace: other, port: 9000}}]}}]}}",
    )
    listener = mesh(SERVICES + tcp + route(parents=IN_MESH)).listeners(view())["0.0.0.0_9000"]
    found = listener.default_filter_chain if not listener.filter_chains else listener.filter_chains[0]
    assert proto.unpack(found.filters[-1].typed_config).cluster == OTHER.replace("80", "9000")


def test_grpc_clients_without_a_proxy_get_an_expression_for_a_prefix(mesh, view):
    built = mesh(SERVICES + route("{matches: [{path: {value: /a.B}}], backendRefs: [{name: web, port: 80}]}", parents=IN_MESH))
    seen = view(agent="grpc-python", GENERATOR="grpc")
    (made,) = (proto.unpack(one.any) for one in generate(built.snapshot, seen, types.ROUTE, frozenset({WEB})).values())
    (one,) = made.virtual_hosts[0].routes
    assert (one.match.safe_regex.regex, one.match.path_separated_prefix) == ("/a\\.B(/.*)?", "")


def test_routes_say_which_object_they_were_made_of(mesh, edge):
    built = mesh(
        SERVICES + gateway(HTTP) + route() + route("{matches: [{path: {value: /a}}], backendRefs: [{name: web, port: 80}]}", "other")
    )
    found = built.hosts(edge, "http.80")["*:80"].routes
    told = [one.metadata.filter_metadata["pymesh"].fields["origins"].list_value.values[0].string_value for one in found]
    assert told == ["HTTPRoute default/other", "HTTPRoute default/r"]


# Routes of different kinds


def grpc(name="g", hostnames="", parents="{name: edge}", created="", kind="GRPCRoute", port=80):
    names = f"hostnames: [{hostnames}], " if hostnames else ""
    return thing(kind, name, f"{{parentRefs: [{parents}], {names}rules: [{{backendRefs: [{{name: web, port: {port}}}]}}]}}", created=created)


OLD, YOUNG = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("http", "calls", "refused"),
    [
        (("a.com", OLD), ("a.com", YOUNG), "g"),
        (("a.com", YOUNG), ("a.com", OLD), "r"),
        (("'*.com'", OLD), ("a.com", YOUNG), "g"),
        (("", YOUNG), ("a.com", OLD), "r"),
        (("a.com", OLD), ("b.com", YOUNG), None),
    ],
)
def test_a_listener_has_a_name_for_http_or_for_grpc_as_the_older_route_says(mesh, edge, http, calls, refused):
    built = mesh(SERVICES + gateway(HTTP) + route(hostnames=http[0], created=http[1]) + grpc(hostnames=calls[0], created=calls[1]))
    assert {name: conditions(built, name) for name in "rg"} == {
        name: [("Accepted", "Conflicted")] if name == refused else [] for name in "rg"
    }
    (listener,) = next(one for one in built.snapshot.gateway_api.statuses if one.name == "edge").listeners
    assert listener.attached_routes == (1 if refused else 2)


def test_a_route_that_had_to_yield_keeps_no_name_from_others(mesh, edge):
    yields = grpc("yields", "a.com, b.com", created=YOUNG)
    built = mesh(SERVICES + gateway(HTTP) + route(hostnames="a.com", created=OLD) + yields + route(name="later", hostnames="b.com"))
    assert [conditions(built, name) for name in ("r", "yields", "later")] == [[], [("Accepted", "Conflicted")], []]


@pytest.mark.parametrize(
    ("kinds", "port", "holds"),
    [(("HTTPRoute", "GRPCRoute"), 80, "GRPCRoute"), (("TCPRoute", "HTTPRoute"), 80, "HTTPRoute"), (("TCPRoute", "TLSRoute"), 9000, "TLSRoute")],
)
def test_on_a_port_of_a_service_the_more_specific_kind_of_route_holds(mesh, kinds, port, holds):
    parent = IN_MESH.replace("}", f", port: {port}}}")
    built = mesh(SERVICES + "".join(grpc(kind.lower(), "", parent, kind=kind) for kind in kinds))
    assert {kind: conditions(built, kind.lower()) for kind in kinds} == {
        kind: [] if kind == holds else [("Accepted", "Conflicted")] for kind in kinds
    }


def test_a_route_for_all_ports_keeps_those_that_no_more_specific_kind_wants(mesh, view):
    services = service(ports="{number: 80, name: http}, {number: 81, name: http-two}")
    built = mesh(services + route(parents=IN_MESH) + grpc(parents=IN_MESH.replace("}", ", port: 81}")))
    named = [built.hosts(view(), str(port))[f"web.default.svc.cluster.local:{port}"].routes[0].name for port in (80, 81)]
    assert (named, conditions(built, "r")) == (["default.r.0", "default.g.0"], [])


# ListenerSets


def listener_set(*listeners, name="more", namespace="other", parent="{name: edge, namespace: default}"):
    return thing("ListenerSet", name, f"{{parentRef: {parent}, listeners: [{', '.join(listeners)}]}}", namespace)


TAKES = ", allowedListeners: {namespaces: {from: All}}"
OF_SET = "{kind: ListenerSet, name: more}"


def test_a_gateway_takes_in_the_listeners_of_sets_that_it_allows(mesh, edge):
    added = listener_set("{name: a, port: 81, protocol: HTTP, hostname: a.example.com}")
    built = mesh(SERVICES + gateway(HTTP, more=TAKES) + added + route(parents=OF_SET, namespace="other") + route(name="own"))
    assert set(built.listeners(edge)) == {"0.0.0.0_80", "0.0.0.0_81"}
    assert built.hosts(edge, "http.81")["a.example.com:81"].routes[0].route.cluster == OTHER
    assert [one.name for one in built.hosts(edge, "http.80")["*:80"].routes] == ["default.own.0"]
    assert unmet(built) == []


@pytest.mark.parametrize(
    ("more", "added", "reason"),
    [
        ("", listener_set(HTTP), "NotAllowed"),
        (", allowedListeners: {namespaces: {from: Same}}", listener_set(HTTP), "NotAllowed"),
        (TAKES, listener_set(HTTP, parent="{name: gone}"), "ParentNotAccepted"),
        (TAKES, listener_set(HTTP, parent="{kind: Service, name: web}"), "ParentNotAccepted"),
    ],
)
def test_a_set_that_no_gateway_takes_in_is_told(mesh, edge, more, added, reason):
    built = mesh(SERVICES + gateway("{name: own, port: 82, protocol: HTTP}", more=more) + added + route(parents=OF_SET, namespace="other"))
    assert set(built.listeners(edge)) == {"0.0.0.0_82"}
    (status,) = (one for one in built.snapshot.gateway_api.statuses if one.name == "more")
    assert [(one.type, one.reason) for one in status.conditions] == [("Accepted", reason)]
    assert conditions(built, "r") == [("Accepted", "NoMatchingParent")]


@pytest.mark.parametrize(
    ("listener", "reason"),
    [
        ("{name: a, port: 80, protocol: HTTP}", "HostnameConflict"),
        ("{name: a, port: 80, protocol: TCP}", "ProtocolConflict"),
        ("{name: a, port: 80, protocol: HTTP, hostname: a.example.com}", None),
    ],
)
def test_of_listeners_that_contend_the_gateways_own_and_older_sets_stay(mesh, edge, listener, reason):
    built = mesh(SERVICES + gateway(HTTP, more=TAKES) + listener_set(listener) + listener_set(listener, name="more-still"))
    first = [("Conflicted", reason), ("Programmed", "Invalid")] if reason else []
    assert conditions(built, "more", "listeners") == first
    assert conditions(built, "more-still", "listeners") == (first or [("Conflicted", "HostnameConflict"), ("Programmed", "Invalid")])


def test_a_gateways_routes_do_not_attach_to_its_sets_and_isolation_holds_between_them(mesh, edge):
    added = listener_set("{name: a, port: 80, protocol: HTTP, hostname: a.example.com}")
    built = mesh(SERVICES + gateway(HTTP, more=TAKES) + added + route(hostnames="a.example.com, b.example.com"))
    assert {name: len(host.routes) for name, host in built.hosts(edge, "http.80").items()} == {"b.example.com:80": 1, "a.example.com:80": 0}
