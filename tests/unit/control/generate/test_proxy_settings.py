"""Settings of single proxies: the node's own word, its pod's annotation, the mesh's default."""

import pytest

from pymesh.xds import proto
from pymesh.xds.node import InvalidNodeId

MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    defaultConfig: %s
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a}
spec:
  hosts: [a.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}]
  workloadSelector: {labels: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {app: a}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a}
spec: {address: 10.0.0.9, labels: {app: a}}
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: a, annotations: {proxy.istio.io/config: '%s'}}
status: {podIP: 10.0.0.9, phase: Running}
"""
LABELS = {"app": "a"}


def managers(mesh, view):
    """The connection managers of a proxy by listener."""
    found = {}
    for name, listener in mesh.listeners(view).items():
        for chain in listener.filter_chains:
            for one in chain.filters:
                if one.name == "envoy.filters.network.http_connection_manager":
                    found[name] = proto.unpack(one.typed_config)
    return found


def server(mesh, view):
    return managers(mesh, view)["virtualInbound"].server_name


def test_the_node_stands_over_the_pod_and_the_pod_over_the_mesh(mesh, view):
    default = MESH % "{proxyHeaders: {server: {value: mesh}}}"
    annotated = default + POD % "proxyHeaders: {server: {value: pod}}"
    own = view(LABELS=LABELS, PROXY_CONFIG={"proxyHeaders": {"server": {"value": "node"}}, "unheard": {"of": 1}})
    assert server(mesh(MESH % "{}"), view(LABELS=LABELS)) == "istio-envoy"
    assert server(mesh(default), view(LABELS=LABELS)) == "mesh"
    assert server(mesh(annotated), view(LABELS=LABELS)) == "pod"
    assert server(mesh(annotated), own) == "node"


def test_a_part_is_replaced_whole_and_other_parts_are_kept(mesh, view):
    built = mesh(MESH % "{proxyHeaders: {preserveHttp1HeaderCase: true}, connectionSettings: {httpIdleTimeout: 7s}}")
    manager = managers(built, view(LABELS=LABELS, PROXY_CONFIG={"proxyHeaders": {"server": {"value": "node"}}}))["virtualInbound"]
    assert (manager.server_name, manager.http_protocol_options.HasField("header_key_format")) == ("node", False)
    assert manager.common_http_protocol_options.idle_timeout.seconds == 7


def test_some_headers_are_completed_one_by_one(mesh, view):
    """Istio's correctProxyHeaders."""
    default = "{proxyHeaders: {server: {value: mesh}, requestId: {disabled: true}, forwardedClientCert: SANITIZE}}"
    own = {"proxyHeaders": {"server": {"value": "node"}, "forwardedClientCert": "UNDEFINED"}}
    manager = managers(mesh(MESH % default), view(LABELS=LABELS, PROXY_CONFIG=own))["virtualInbound"]
    assert (manager.server_name, manager.generate_request_id.value, manager.forward_client_cert_details) == ("node", False, 0)


def test_proxies_with_other_settings_share_nothing_that_they_touch(mesh, view):
    built = mesh(MESH % "{}")
    plain, own = view(LABELS=LABELS), view(LABELS=LABELS, PROXY_CONFIG={"proxyHeaders": {"preserveHttp1HeaderCase": True}})
    for seen in (plain, own, plain):
        options = managers(built, seen)["0.0.0.0_80"].http_protocol_options
        assert options.HasField("header_key_format") is (seen is own)
        assert (b"preserve_case" in built.clusters(seen)["outbound|80||a.default.svc.cluster.local"].SerializeToString()) is (seen is own)


def test_numbers_of_the_edge_are_for_gateways(mesh, view):
    built = mesh(MESH % "{connectionSettings: {profile: EDGE, httpMaxConcurrentStreams: 7}}")
    edge = managers(built, view("router", LABELS=LABELS))["0.0.0.0_80"]
    assert edge.http2_protocol_options.max_concurrent_streams.value == 7
    assert edge.http2_protocol_options.initial_connection_window_size.value == 1024 * 1024
    assert (edge.request_timeout.seconds, edge.stream_idle_timeout.seconds, edge.request_headers_timeout.seconds) == (300, 300, 60)
    assert edge.common_http_protocol_options.headers_with_underscores_action == proto.protocol.HttpProtocolOptions.REJECT_REQUEST
    assert edge.merge_slashes
    assert built.listeners(view("router", LABELS=LABELS))["0.0.0.0_80"].per_connection_buffer_limit_bytes.value == 32768
    inside = managers(built, view(LABELS=LABELS))["virtualInbound"]
    assert inside.http2_protocol_options.max_concurrent_streams.value == 7
    assert not inside.HasField("request_timeout")
    assert not inside.merge_slashes


def test_a_gateway_behind_proxies_reads_their_header_and_believes_them(mesh, view):
    built = mesh(MESH % "{gatewayTopology: {numTrustedProxies: 2, proxyProtocol: {}, forwardClientCertDetails: ALWAYS_FORWARD_ONLY}}")
    gateway = view("router", LABELS=LABELS)
    manager = managers(built, gateway)["0.0.0.0_80"]
    assert manager.xff_num_trusted_hops == 2
    assert manager.forward_client_cert_details == proto.hcm.HttpConnectionManager.ALWAYS_FORWARD_ONLY
    assert not manager.HasField("set_current_client_cert_details")
    assert [one.name for one in built.listeners(gateway)["0.0.0.0_80"].listener_filters] == ["envoy.filters.listener.proxy_protocol"]
    assert not managers(built, view(LABELS=LABELS))["virtualInbound"].xff_num_trusted_hops


def test_a_node_whose_settings_cannot_be_understood_is_told(view):
    with pytest.raises(InvalidNodeId, match=r"node metadata PROXY_CONFIG: gatewayTopology\.numTrustedProxies: expected a whole number"):
        view(PROXY_CONFIG={"gatewayTopology": {"numTrustedProxies": "two"}})


@pytest.mark.parametrize("kind", ["sidecar", "router"])
def test_everything_that_settings_may_say_is_accepted_by_envoy(mesh, view, envoy, kind):
    limits = "{profile: EDGE, httpDrainTimeout: 3s, httpMaxStreamDuration: 9s, httpMaxConnectionDuration: 60s}"
    headers = (
        "{preserveHttp1HeaderCase: true, xForwardedHost: {enabled: true}, xForwardedPort: {enabled: true}, server: {disabled: true},"
        " envoyDebugHeaders: {disabled: true}, setCurrentClientCertDetails: {cert: true, chain: true}}"
    )
    topology = "{numTrustedProxies: 1, proxyProtocol: {}}"
    settings = f"{{connectionSettings: {limits}, proxyHeaders: {headers}, gatewayTopology: {topology}}}"
    envoy(mesh(MESH % settings), view(kind, agent="envoy", LABELS=LABELS))


def tcp_proxies(mesh, view):
    """The TCP proxies of virtualInbound and virtualOutbound, unpacked."""
    chains = [chain for name in ("virtualInbound", "virtualOutbound") for chain in mesh.listeners(view)[name].filter_chains]
    found = [one for chain in chains for one in chain.filters if one.name == "envoy.filters.network.tcp_proxy"]
    return [proto.unpack(one.typed_config) for one in found]


def test_a_nodes_idle_timeout_closes_idle_connections_of_every_kind_unless_settings_say_otherwise(mesh, view):
    built, own = mesh(MESH % "{}"), view(IDLE_TIMEOUT="1m30s", LABELS=LABELS)
    assert {one.common_http_protocol_options.idle_timeout.seconds for one in managers(built, own).values()} == {90}
    assert {one.idle_timeout.seconds for one in tcp_proxies(built, own)} == {90}
    assert not any(one.HasField("idle_timeout") for one in tcp_proxies(built, view(LABELS=LABELS)))
    limited = managers(mesh(MESH % "{connectionSettings: {httpIdleTimeout: 7s}}"), own)
    assert {one.common_http_protocol_options.idle_timeout.seconds for one in limited.values()} == {7}
    with pytest.raises(InvalidNodeId, match="node metadata IDLE_TIMEOUT: 'soon' is not a duration"):
        view(IDLE_TIMEOUT="soon")


@pytest.mark.parametrize("kind", ["sidecar", "router"])
def test_a_node_may_ask_for_http_1_0_as_a_sidecar_and_as_a_gateway(mesh, view, kind):
    for word, taken in (("1", True), ("0", False), ("true", False)):
        found = managers(mesh(MESH % "{}"), view(kind, HTTP10=word, LABELS=LABELS))
        assert {one.http_protocol_options.accept_http_10 for one in found.values()} == {taken}
