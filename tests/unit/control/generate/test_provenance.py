"""Everything generated for a resource says so, and says the same after a comment has moved it."""

import pytest

from pymesh.xds import types

MESH = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: shop}
spec:
  hosts: [web.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 90, name: tcp, protocol: TCP}]
  workloadSelector: {labels: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: plain, namespace: shop}
spec:
  hosts: [plain.shop.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pools, namespace: shop}
spec: {host: web, subsets: [{name: v1}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: split, namespace: shop}
spec:
  hosts: [web, edge.test]
  gateways: [mesh, edge]
  http: [{route: [{destination: {host: web, port: {number: 80}}}]}]
  tcp: [{route: [{destination: {host: web, port: {number: 90}}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {app: edge}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [edge.test]}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: served, namespace: shop}
spec: {workloadSelector: {labels: {app: web}}, ingress: [{port: {number: 90, name: tcp, protocol: TCP}, defaultEndpoint: "127.0.0.1:91"}]}
"""
WEB = "web.shop.svc.cluster.local"


def origins(message):
    return list(message.metadata.filter_metadata["pymesh"]["origins"]) if "pymesh" in message.metadata.filter_metadata else []


@pytest.fixture
def sidecar(view):
    return view(NAMESPACE="shop", LABELS={"app": "web"})


def test_a_cluster_names_its_service_and_its_rule(mesh, sidecar):
    found = mesh(MESH).clusters(sidecar)
    for subset in ("", "v1"):
        assert origins(found[f"outbound|80|{subset}|{WEB}"]) == ["ServiceEntry shop/web", "DestinationRule shop/pools"]
    assert origins(found["outbound|80||plain.shop.svc.cluster.local"]) == ["ServiceEntry shop/plain"]
    assert origins(found["PassthroughCluster"]) == []
    assert origins(found["inbound|90||"]) == ["ServiceEntry shop/web", "Sidecar shop/served"]


def test_a_route_names_its_rule_or_the_service(mesh, sidecar):
    hosts = mesh(MESH).hosts(sidecar, "80")
    [ruled], [plain] = hosts[f"{WEB}:80"].routes, hosts["plain.shop.svc.cluster.local:80"].routes
    assert (origins(ruled), origins(plain)) == (["VirtualService shop/split"], ["ServiceEntry shop/plain"])
    assert ruled.metadata.filter_metadata["istio"]["config"] == "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/split"


def test_a_chain_names_what_sends_its_connections_on(mesh, sidecar):
    listeners = mesh(MESH).listeners(sidecar)
    [chain] = [chain for chain in (listeners["0.0.0.0_90"].filter_chains) if chain.metadata.filter_metadata]
    assert origins(chain) == ["VirtualService shop/split"]
    inbound = [chain for chain in listeners["virtualInbound"].filter_chains if chain.name == "0.0.0.0_90"]
    assert inbound
    assert {tuple(origins(chain)) for chain in inbound} == {("ServiceEntry shop/web", "Sidecar shop/served")}


def test_a_gateways_listener_names_its_gateway(mesh, view):
    made = mesh(MESH)
    edge = view("router", NAMESPACE="shop", LABELS={"app": "edge"})
    assert origins(made.listeners(edge)["0.0.0.0_8080"]) == ["Gateway shop/edge"]
    [route] = made.hosts(edge, "http.8080")["edge.test:8080"].routes
    assert origins(route) == ["VirtualService shop/split"]


def test_a_comment_changes_nothing(mesh, sidecar):
    before, after = mesh(MESH), mesh(f"# more lines\n\n{MESH}")
    for type_url in (types.CLUSTER, types.LISTENER):
        assert before.sees(sidecar, type_url) == after.sees(sidecar, type_url)
    assert before.routes(sidecar, "80") == after.routes(sidecar, "80")


def test_the_services_that_share_a_port_do_not_change_its_listener(mesh, sidecar):
    """Its chains would be drained whenever a service came or went."""
    more = MESH.replace("name: plain", "name: other").replace("plain.shop", "other.shop")
    assert mesh(MESH).listeners(sidecar)["0.0.0.0_80"] == mesh(f"{MESH}---\n{more.split('---')[1]}").listeners(sidecar)["0.0.0.0_80"]


def security(name, namespace, spec):
    head = f"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}spec: {spec}\n"


PEERS = security("all", "istio-system", "{mtls: {mode: STRICT}}") + security(
    "web", "shop", "{selector: {matchLabels: {app: web}}, portLevelMtls: {90: {mode: PERMISSIVE}}}"
)


def test_an_inbound_chain_names_what_decides_about_its_mutual_tls(mesh, sidecar):
    chains = mesh(MESH + PEERS).listeners(sidecar)["virtualInbound"].filter_chains
    told = {chain.name: origins(chain) for chain in chains}
    assert told["0.0.0.0_90"] == ["ServiceEntry shop/web", "Sidecar shop/served", "PeerAuthentication shop/web"]
    assert told["virtualInbound"] == ["PeerAuthentication istio-system/all"]
    assert told["virtualInbound-blackhole"] == []


def narrow(spec):
    return f"---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: narrow, namespace: shop}}\nspec: {spec}\n"


def test_what_a_sidecar_limits_names_it(mesh, view):
    text = MESH + narrow('{egress: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["./*"]}, {hosts: ["*/*"]}]}')
    listeners = mesh(text).listeners(view(NAMESPACE="shop", LABELS={"app": "other"}))
    assert {name: origins(one) for name, one in listeners.items() if "Inbound" not in name} == {
        "0.0.0.0_80": ["Sidecar shop/narrow"],
        "0.0.0.0_90": [],
        "virtualOutbound": ["Sidecar shop/narrow"],
    }
    assert origins(mesh(MESH).listeners(view(NAMESPACE="elsewhere"))["virtualOutbound"]) == []


def envoy_filter(name, *patches):
    head = f"---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{name: {name}, namespace: shop}}\n"
    return f"{head}spec: {{configPatches: [{', '.join(patches)}]}}\n"


def patch(target, operation, value="", match=""):
    meant = f"match: {{{match}}}, " if match else ""
    return f"{{applyTo: {target}, {meant}patch: {{operation: {operation}{value and f', value: {value}'}}}}}"


PLAIN = "outbound|80||plain.shop.svc.cluster.local"


def test_what_an_envoy_filter_changes_names_it_beside_the_rest(mesh, sidecar):
    slow = envoy_filter("slow", patch("CLUSTER", "MERGE", "{connect_timeout: 9s}", f"cluster: {{name: '{PLAIN}'}}"))
    idle = envoy_filter("idle", patch("CLUSTER", "MERGE", "{connect_timeout: 10s}", f"cluster: {{name: '{PLAIN}'}}"))
    more = envoy_filter("more", patch("CLUSTER", "ADD", "{name: mine, type: STATIC, connect_timeout: 1s}"))
    found = mesh(MESH + slow + more).clusters(sidecar)
    assert origins(found[PLAIN]) == ["ServiceEntry shop/plain", "EnvoyFilter shop/slow"]
    assert origins(found[f"outbound|80||{WEB}"]) == ["ServiceEntry shop/web", "DestinationRule shop/pools"]
    assert origins(found["mine"]) == ["EnvoyFilter shop/more"]
    assert "EnvoyFilter" not in str(mesh(MESH + idle).clusters(sidecar)[PLAIN]), "it says what is so already"


def test_every_envoy_filter_that_counts_is_named(mesh, sidecar):
    inner = "listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: mine}}}}"
    value = "{name: %s, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors}}"
    first = envoy_filter("first", patch("HTTP_FILTER", "INSERT_FIRST", value % "mine"))
    beside = envoy_filter("second", patch("HTTP_FILTER", "INSERT_AFTER", value % "other", inner))
    lost = envoy_filter("third", patch("HTTP_FILTER", "INSERT_AFTER", value % "lost", inner.replace("mine", "nowhere")))
    listener = mesh(MESH + first + beside + lost).listeners(sidecar)["0.0.0.0_80"]
    assert origins(listener) == ["EnvoyFilter shop/first", "EnvoyFilter shop/second"]


def test_a_patched_route_configuration_names_what_patched_it(mesh, sidecar):
    plain = "routeConfiguration: {name: '80', vhost: {name: 'plain.shop.svc.cluster.local:80'}}"
    gone = envoy_filter("gone", patch("VIRTUAL_HOST", "REMOVE", "", plain))
    assert origins(mesh(MESH + gone).routes(sidecar, "80")) == ["EnvoyFilter shop/gone"]
