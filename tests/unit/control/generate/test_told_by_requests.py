"""Ports that do not say what they speak: inside mutual TLS it is said by each request, and what else comes is no HTTP."""

import pytest

from pymesh.xds import proto

SERVICES = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: any}
spec: {hosts: [any.default.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: any}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec: {hosts: [web.default.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out}
spec: {hosts: [out.example.com], resolution: DNS, ports: [{number: 80, name: any}]}
"""
ANY, WEB, OUT = "any.default.svc.cluster.local", "web.default.svc.cluster.local", "out.example.com"
GATEWAY = """
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {edge: edge}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
FILTER = "istio.alpn"


def rule(policy, host=ANY, subsets="[]"):
    head = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: rule}\n"
    return f"{head}spec: {{host: {host}, trafficPolicy: {policy}, subsets: {subsets}}}\n"


def routed(route, gateways="[mesh]"):
    head = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: routes}\n"
    return f"{head}spec: {{hosts: [{WEB}], gateways: {gateways}, http: [{{route: {route}}}]}}\n"


def told(message):
    """What requests of a route, or of a share of it, say that they are."""
    if FILTER not in message.typed_per_filter_config:
        return ""
    (value,) = proto.unpack(message.typed_per_filter_config[FILTER]).on_request_headers
    assert value.object_key == "envoy.network.application_protocols"
    return value.format_string.text_format_source.inline_string


def told_on(built, view, host):
    return told(built.hosts(view, "80")[f"{host}:80"].routes[0])


def client_alpn(cluster):
    socket = cluster.transport_socket if cluster.HasField("transport_socket") else cluster.transport_socket_matches[0].transport_socket
    return list(proto.unpack(socket.typed_config).common_tls_context.alpn_protocols)


@pytest.mark.parametrize(("host", "expected"), [(ANY, "istio-http/1.1,istio"), (WEB, ""), (OUT, "")])
def test_requests_to_a_port_that_says_nothing_say_what_they_are(mesh, view, host, expected):
    assert told_on(mesh(SERVICES), view(), host) == expected


DISABLED = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: plain}\nspec: {mtls: {mode: DISABLE}}\n"
SETTINGS = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: 'enableAutoMtls: false'}\n"
MUTUAL = "{tls: {mode: ISTIO_MUTUAL}}"


@pytest.mark.parametrize(
    ("more", "host", "tells"),
    [
        (rule(MUTUAL), ANY, True),
        (SETTINGS + rule(MUTUAL), ANY, True),
        (rule(MUTUAL, OUT), OUT, True),
        (rule("{tls: {mode: SIMPLE}}"), ANY, False),
        (rule("{tls: {mode: DISABLE}}"), ANY, False),
        (rule("{portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}"), ANY, False),
        (SETTINGS, ANY, False),
        (DISABLED, ANY, False),
    ],
)
def test_only_where_the_meshs_own_tls_may_be_spoken(mesh, view, more, host, tells):
    """Servers outside would not know these names."""
    assert bool(told_on(mesh(SERVICES + more), view(), host)) is tells


def test_each_destination_of_a_route_has_its_own(mesh, view):
    shares = f"[{{destination: {{host: {ANY}}}, weight: 50}}, {{destination: {{host: {WEB}}}, weight: 50}}]"
    route = mesh(SERVICES + routed(shares)).hosts(view(), "80")[f"{WEB}:80"].routes[0]
    assert not told(route)
    assert [bool(told(share)) for share in route.route.weighted_clusters.clusters] == [True, False]


@pytest.mark.parametrize(("subset", "tells"), [("own", False), ("other", True), ("absent", False)])
def test_a_subset_may_be_without_tls(mesh, view, subset, tells):
    subsets = "[{name: own, trafficPolicy: {tls: {mode: DISABLE}}}, {name: other}]"
    text = SERVICES + rule(MUTUAL, subsets=subsets) + routed(f"[{{destination: {{host: {ANY}, subset: {subset}}}}}]")
    assert bool(told_on(mesh(text), view(), WEB)) is tells


def test_requests_of_a_gateway_say_it_too(mesh, view):
    edge = view("router", LABELS={"edge": "edge"})
    built = mesh(SERVICES + GATEWAY + routed(f"[{{destination: {{host: {ANY}}}}}]", "[edge]"))
    (host,) = built.routes(edge, "http.8080").virtual_hosts
    assert told(host.routes[0]) == "istio-http/1.1,istio"


def test_requests_to_an_egress_proxy_say_it_too(mesh, view):
    sidecar = "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: out}\n"
    sidecar += f"spec: {{outboundTrafficPolicy: {{mode: ALLOW_ANY, egressProxy: {{host: {ANY}, port: {{number: 80}}}}}}}}\n"
    assert told(mesh(SERVICES + sidecar).hosts(view(), "80")["allow_any"].routes[0])


@pytest.mark.parametrize("kind", ["sidecar", "router"])
def test_what_is_no_request_says_that_it_is_none(mesh, view, kind):
    """Also where requests are to go on as HTTP/2: a cluster is for both."""
    upgraded = SERVICES + rule("{tls: {mode: ISTIO_MUTUAL}, connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}")
    for text in (SERVICES, upgraded):
        assert client_alpn(mesh(text).clusters(view(kind))[f"outbound|80||{ANY}"]) == ["istio"]


def filters(chain):
    manager = proto.unpack(chain.filters[-1].typed_config)
    return {one.name: one.disabled for one in getattr(manager, "http_filters", ())}


def test_only_routes_let_the_filter_run_and_servers_have_none(mesh, view):
    client = mesh(SERVICES).listeners(view(LABELS={"app": "any"}))
    assert filters(client["0.0.0.0_80"].filter_chains[0])[FILTER] is True
    assert all(FILTER not in filters(chain) for chain in client["virtualInbound"].filter_chains)
    edge = view("router", LABELS={"edge": "edge"})
    assert filters(mesh(SERVICES + GATEWAY).listeners(edge)["0.0.0.0_8080"].filter_chains[0])[FILTER] is True
