"""Hosts that proxies look up themselves: ServiceEntries of resolution DYNAMIC_DNS, and the mesh's policy ALLOW_ANY_DYNAMIC_DNS."""

import pytest

from pymesh.api import parse_text
from pymesh.xds import proto, types
from pymesh_control.debug.sight import sidecarz
from pymesh_control.generate import generate
from pymesh_control.model.assembly import build

CLUSTER = proto.cluster.Cluster
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild}
spec:
  hosts: ["*.wild.example.com"]
  resolution: DYNAMIC_DNS
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS, targetPort: 8443}]
"""
HTTP, TLS = "outbound|80||*.wild.example.com", "outbound|443||*.wild.example.com"
UNKNOWN = "AllowAnyDynamicDNSCluster"
FILTER, NETWORK_FILTER = "envoy.filters.http.dynamic_forward_proxy", "envoy.filters.network.sni_dynamic_forward_proxy"


def rule(policy):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: wild}}
spec: {{host: "*.wild.example.com", trafficPolicy: {{{policy}}}}}
"""


def settings(text):
    return f"""
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: "outboundTrafficPolicy: {text}"
"""


ANY = settings("{mode: ALLOW_ANY_DYNAMIC_DNS}")
SIDECAR = """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: own}
spec: {outboundTrafficPolicy: {mode: %s}}
"""


def own(cluster):
    """A cluster's ClusterConfig."""
    assert cluster.lb_policy == CLUSTER.CLUSTER_PROVIDED
    assert cluster.cluster_type.name == "envoy.clusters.dynamic_forward_proxy"
    return proto.unpack(cluster.cluster_type.typed_config)


def names(cluster):
    """Whether its TLS asks for the host, and whether the certificate has to be for it."""
    options = proto.unpack(cluster.typed_extension_protocol_options[OPTIONS]).upstream_http_protocol_options
    return options.auto_sni, options.auto_san_validation


def manager(chain):
    return proto.unpack(chain.filters[-1].typed_config)


def http_filters(chain):
    return [one.name for one in manager(chain).http_filters]


def test_the_hosts_of_a_wildcard_are_the_endpoints_of_its_clusters(mesh, view):
    clusters = mesh(ENTRY).clusters(view())
    for name in (HTTP, TLS):
        config = own(clusters[name])
        assert config.dns_cache_config.name == "dynamic_dns"
        assert config.dns_cache_config.dns_lookup_family == CLUSTER.V4_PREFERRED
        assert not config.allow_insecure_cluster_options
        assert not clusters[name].HasField("transport_socket")
    assert names(clusters[HTTP]) == (True, True)
    assert UNKNOWN not in clusters


def test_hosts_inside_the_mesh_are_not_asked_for_mutual_tls(mesh, view):
    cluster = mesh(ENTRY.replace("resolution:", "location: MESH_INTERNAL\n  resolution:")).clusters(view())[HTTP]
    assert not cluster.transport_socket_matches


@pytest.mark.parametrize(
    ("tls", "expected", "insecure"),
    [
        ("{mode: SIMPLE}", (True, True), False),
        ("{mode: SIMPLE, sni: other.example.com}", (False, True), True),
        ("{mode: SIMPLE, subjectAltNames: [other.example.com]}", (True, False), True),
        ("{mode: SIMPLE, insecureSkipVerify: true}", (True, False), True),
        ("{mode: MUTUAL, clientCertificate: /c, privateKey: /k}", (True, True), False),
        ("{mode: ISTIO_MUTUAL}", (False, False), True),
        ("{mode: DISABLE}", (True, True), False),
    ],
)
def test_tls_goes_by_the_host_unless_a_rule_says_otherwise(mesh, view, tls, expected, insecure):
    cluster = mesh(ENTRY + rule(f"tls: {tls}")).clusters(view())[HTTP]
    assert names(cluster) == expected
    assert own(cluster).allow_insecure_cluster_options is insecure
    assert cluster.HasField("transport_socket") is ("DISABLE" not in tls)


def test_names_that_the_entry_states_take_the_place_of_the_hosts(mesh, view):
    entry = ENTRY.replace("  ports:", "  subjectAltNames: [one.example.com]\n  ports:")
    cluster = mesh(entry + rule("tls: {mode: SIMPLE}")).clusters(view())[HTTP]
    assert names(cluster) == (True, False)


def test_a_rule_limits_its_connections_and_does_not_balance_them(mesh, view):
    policy = "loadBalancer: {consistentHash: {useSourceIp: true}}, connectionPool: {tcp: {maxConnections: 7}}"
    policy += ", outlierDetection: {interval: 1s}"
    cluster = mesh(ENTRY + rule(policy)).clusters(view())[HTTP]
    assert own(cluster)
    assert cluster.WhichOneof("lb_config") is None
    assert cluster.circuit_breakers.thresholds[0].max_connections.value == 7
    assert cluster.outlier_detection.interval.seconds == 1
    assert not cluster.common_lb_config.HasField("locality_weighted_lb_config")


def test_requests_are_looked_up_before_they_are_routed(mesh, view):
    built = mesh(ENTRY)
    listener = built.listeners(view())["0.0.0.0_80"]
    assert http_filters(listener.filter_chains[0])[-2:] == [FILTER, "envoy.filters.http.router"]
    (host, _) = built.hosts(view(), "80").values()
    assert list(host.domains) == ["*.wild.example.com"]
    assert host.routes[0].route.cluster == HTTP


def test_without_such_hosts_nothing_is_looked_up(mesh, view):
    listeners = mesh(ENTRY.replace("DYNAMIC_DNS", "NONE")).listeners(view())
    assert FILTER not in http_filters(listeners["0.0.0.0_80"].filter_chains[0])


def test_another_service_is_no_reason_to_make_listeners_anew(view):
    resources = list(parse_text(ENTRY, "mesh.yaml").resources)
    more = parse_text(ENTRY.replace("wild", "tame").replace("DYNAMIC_DNS", "NONE").replace("80", "90"), "more.yaml").resources
    former, _ = build(resources, (), 1)
    before = generate(former, view(), types.LISTENER, None)
    after = generate(build([*resources, *more], (), 2, former=former)[0], view(), types.LISTENER, None)
    assert "0.0.0.0_90" not in before
    assert "0.0.0.0_90" in after
    assert after["0.0.0.0_80"] is before["0.0.0.0_80"]


def test_a_page_tells_what_becomes_of_unknown_hosts(mesh, view):
    told = sidecarz(mesh(ENTRY + ANY).snapshot, view())
    assert (told["outbound_traffic_policy"], told["unknown_hosts_go_to"]) == ("ALLOW_ANY_DYNAMIC_DNS", UNKNOWN)


def test_connections_are_looked_up_by_server_name(mesh, view):
    (chain,) = mesh(ENTRY).listeners(view())["0.0.0.0_443"].filter_chains
    assert list(chain.filter_chain_match.server_names) == ["*.wild.example.com"]
    lookup, proxy = [one for one in chain.filters if "stats" not in one.name]
    assert lookup.name == NETWORK_FILTER
    assert proto.unpack(lookup.typed_config).port_value == 8443
    assert proto.unpack(proxy.typed_config).cluster == TLS


def test_no_other_server_name_is_looked_up_at_a_port_of_its_own(mesh, view):
    seen = view(INTERCEPTION_MODE="NONE", OUTBOUND_PORTS={"*.wild.example.com:443": 21000})
    (chain,) = mesh(ENTRY).listeners(seen)["127.0.0.1_21000"].filter_chains
    assert list(chain.filter_chain_match.server_names) == ["*.wild.example.com"]


EDGE = """
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {app: edge}
  servers:
  - {port: {number: 443, name: tls, protocol: TLS}, tls: {mode: PASSTHROUGH}, hosts: ["*.wild.example.com"]}
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.wild.example.com"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: ["*.wild.example.com"]
  gateways: [edge]
  tls:
  - {match: [{sniHosts: ["*.wild.example.com"]}], route: [{destination: {host: "*.wild.example.com", port: {number: 443}}}]}
  http: [{route: [{destination: {host: "*.wild.example.com", port: {number: 80}}}]}]
"""


def test_gateways_look_up_too(mesh, view):
    listeners = mesh(ENTRY + EDGE).listeners(view("router", LABELS={"app": "edge"}))
    assert FILTER in http_filters(listeners["0.0.0.0_80"].filter_chains[0])
    assert NETWORK_FILTER in [one.name for one in listeners["0.0.0.0_443"].filter_chains[0].filters]


def test_unknown_hosts_of_requests_are_looked_up_where_the_mesh_says_so(mesh, view):
    built = mesh(ENTRY.replace("DYNAMIC_DNS", "NONE") + ANY)
    assert own(built.clusters(view())[UNKNOWN])
    assert names(built.clusters(view())[UNKNOWN]) == (True, True)
    host = built.hosts(view(), "80")["allow_any_dynamic_dns"]
    assert (host.routes[0].name, host.routes[0].route.cluster) == ("allow_any_dynamic_dns", UNKNOWN)
    listener = built.listeners(view())["virtualOutbound"]
    blackhole, requests = listener.filter_chains
    rest = listener.default_filter_chain
    assert [one.name for one in (blackhole, requests, rest)] == [
        "virtualOutbound-blackhole", "virtualOutbound-catchall-http", "virtualOutbound-catchall-tcp",
    ]  # fmt: skip
    assert list(requests.filter_chain_match.application_protocols) == ["http/1.1", "h2c"]
    assert FILTER in http_filters(requests)
    assert manager(requests).route_config.virtual_hosts[0].routes[0].route.cluster == UNKNOWN
    assert manager(rest).cluster == "PassthroughCluster"
    assert [one.name.rpartition(".")[2] for one in listener.listener_filters] == ["tls_inspector", "http_inspector"]


def test_connections_to_unknown_hosts_pass_on_as_they_are(mesh, view):
    listeners = mesh(ENTRY.replace("DYNAMIC_DNS", "NONE") + ANY).listeners(view())
    assert manager(listeners["0.0.0.0_80"].default_filter_chain).cluster == "PassthroughCluster"


@pytest.mark.parametrize(("mode", "host"), [("REGISTRY_ONLY", "block_all"), ("ALLOW_ANY", "allow_any")])
def test_a_sidecars_own_policy_comes_first(mesh, view, mode, host):
    built = mesh(ENTRY.replace("DYNAMIC_DNS", "NONE") + ANY + SIDECAR % mode)
    assert host in built.hosts(view(), "80")
    assert UNKNOWN not in built.clusters(view())
    assert len(built.listeners(view())["virtualOutbound"].filter_chains) == 2


def test_gateways_have_no_unknown_hosts(mesh, view):
    assert UNKNOWN not in mesh(ENTRY + ANY).clusters(view("router"))


def test_tls_towards_unknown_hosts(mesh, view):
    text = settings("{mode: ALLOW_ANY_DYNAMIC_DNS, tls: {mode: SIMPLE, caCertificates: /roots}}")
    cluster = mesh(text).clusters(view())[UNKNOWN]
    context = proto.unpack(cluster.transport_socket.typed_config)
    assert context.common_tls_context.validation_context.trusted_ca.filename == "/roots"
    assert not context.sni
    assert names(cluster) == (True, True)
    assert names(mesh(text.replace("caCertificates: /roots", "insecureSkipVerify: true")).clusters(view())[UNKNOWN]) == (True, False)


@pytest.mark.parametrize("kind", ["sidecar", "router"])
@pytest.mark.parametrize("tls", ["", "{mode: SIMPLE}", "{mode: SIMPLE, sni: x.org, insecureSkipVerify: true}", "{mode: ISTIO_MUTUAL}"])
def test_a_real_envoy_takes_it(mesh, view, envoy, kind, tls):
    ruled = rule(f"outlierDetection: {{consecutive5xxErrors: 3}}{f', tls: {tls}' if tls else ''}")
    unknown = settings("{mode: ALLOW_ANY_DYNAMIC_DNS, tls: {mode: SIMPLE}}")
    envoy(mesh(ENTRY + EDGE + ruled + unknown), view(kind, agent="envoy", LABELS={"app": "edge"}))


def test_where_nothing_is_captured_the_http_proxy_looks_up_whatever_may_be_called(mesh, view, own_ports):
    local = view(**own_ports)
    built = mesh(ENTRY.replace("DYNAMIC_DNS", "NONE"))
    assert own(built.clusters(local)[UNKNOWN])
    assert built.hosts(local, "http_proxy")["allow_any_dynamic_dns"].routes[0].route.cluster == UNKNOWN
    assert FILTER in http_filters(built.listeners(local)["127.0.0.1_15007"].filter_chains[0])
    assert sidecarz(built.snapshot, local)["outbound_traffic_policy"] == "ALLOW_ANY"
    assert sidecarz(built.snapshot, local)["undeclared_calls"][0] == "reviews.default.svc.cluster.local:80"
    closed = mesh(ENTRY.replace("DYNAMIC_DNS", "NONE") + settings("{mode: REGISTRY_ONLY}"))
    assert UNKNOWN not in closed.clusters(local)
    assert "block_all" in closed.hosts(local, "http_proxy")
