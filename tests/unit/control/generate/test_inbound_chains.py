"""LDS towards the application: the filter chains by protocol and mode of mutual TLS."""

from unittest import mock

import pytest

from pymesh.xds import proto
from pymesh_proxy.compile.context import Context
from pymesh_proxy.compile.listeners import compile_listener
from pymesh_proxy.http.options import HttpStats
from pymesh_proxy.http.route_slot import RouteSlot

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: %s, targetPort: 8080}]
  endpoints: [{address: 10.0.0.9}]
"""
PEERS = """
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: %s}}
"""
HTTP_ALPN = {"istio-http/1.0", "istio-http/1.1", "istio-h2"}
MESH_ALPN = HTTP_ALPN | {"istio", "istio-peer-exchange"}
PLAIN = {"http/1.1", "h2c"}


def told(chains):
    """(transport, ALPN, ends mutual TLS, speaks HTTP) of each chain."""
    found = []
    for chain in chains:
        match = chain.filter_chain_match
        http = chain.filters[-1].name == "envoy.filters.network.http_connection_manager"
        found.append((match.transport_protocol, set(match.application_protocols), chain.HasField("transport_socket"), http))
    return found


TABLE = [
    ("http", "STRICT", [("tls", set(), True, True)]),
    ("http", "PERMISSIVE", [("tls", MESH_ALPN, True, True), ("raw_buffer", set(), False, True)]),
    ("http", "DISABLE", [("raw_buffer", set(), False, True)]),
    ("tcp", "STRICT", [("tls", set(), True, False)]),
    ("tcp", "PERMISSIVE", [("tls", MESH_ALPN, True, False), ("tls", set(), False, False), ("raw_buffer", set(), False, False)]),
    ("tcp", "DISABLE", [("", set(), False, False)]),
    ("any", "STRICT", [("tls", HTTP_ALPN, True, True), ("tls", set(), True, False)]),
    (
        "any",
        "PERMISSIVE",
        [
            ("tls", HTTP_ALPN, True, True),
            ("raw_buffer", PLAIN, False, True),
            ("tls", {"istio", "istio-peer-exchange"}, True, False),
            ("raw_buffer", set(), False, False),
            ("tls", set(), False, False),
        ],
    ),
    ("any", "DISABLE", [("raw_buffer", PLAIN, False, True), ("raw_buffer", set(), False, False), ("tls", set(), False, False)]),
]


@pytest.mark.parametrize(("name", "mode", "expected"), TABLE)
def test_a_port_has_the_chains_of_its_protocol_and_mode(mesh, view, name, mode, expected):
    listener = mesh(ENTRY % name + PEERS % mode).listeners(view(agent="envoy"))["virtualInbound"]
    chains = [chain for chain in listener.filter_chains if chain.filter_chain_match.destination_port.value == 8080]
    assert told(chains) == expected
    assert {chain.name for chain in chains} == {"0.0.0.0_8080"}


@pytest.mark.parametrize(("mode", "plaintext"), [("STRICT", False), ("PERMISSIVE", True), ("DISABLE", True)])
def test_ports_of_no_service_are_passed_on_under_the_same_rules(mesh, view, mode, plaintext):
    listener = mesh(PEERS % mode).listeners(view())["virtualInbound"]
    chains = [chain for chain in listener.filter_chains if not chain.filter_chain_match.destination_port.value]
    assert {chain.name for chain in chains} == {"virtualInbound", "virtualInbound-catchall-http"}
    assert any(transport != "tls" for transport, *_ in told(chains)) == plaintext
    manager = next(proto.unpack(chain.filters[-1].typed_config) for chain in chains if chain.name.endswith("http"))
    assert manager.stat_prefix == "InboundPassthroughCluster;"
    assert manager.route_config.virtual_hosts[0].routes[0].route.retry_policy.retry_on == "reset-before-request"


def test_the_listener_takes_captured_connections_and_refuses_its_own_port(mesh, view):
    listener = mesh(ENTRY % "http").listeners(view())["virtualInbound"]
    address = listener.address.socket_address
    assert (address.address, address.port_value) == ("0.0.0.0", 15006)
    assert [one.name for one in listener.listener_filters] == [
        "envoy.filters.listener.original_dst",
        "envoy.filters.listener.tls_inspector",
        "envoy.filters.listener.http_inspector",
    ]
    assert listener.continue_on_listener_filters_timeout
    first = listener.filter_chains[0]
    assert (first.name, first.filter_chain_match.destination_port.value) == ("virtualInbound-blackhole", 15006)
    assert not listener.HasField("bind_to_port")


def manager_of(chain):
    return proto.unpack(chain.filters[-1].typed_config)


def test_requests_go_to_the_application_with_the_callers_identity(mesh, view):
    listener = mesh(ENTRY % "http" + PEERS % "STRICT").listeners(view())["virtualInbound"]
    manager = manager_of(listener.filter_chains[-1])
    assert manager.stat_prefix == "inbound_0.0.0.0_8080;"
    assert manager.forward_client_cert_details == manager.APPEND_FORWARD
    details = manager.set_current_client_cert_details
    assert (details.subject.value, details.uri, details.dns, details.cert) == (True, True, True, False)
    routes = manager.route_config
    assert routes.name == "inbound|8080||"
    host = routes.virtual_hosts[0]
    assert (host.name, list(host.domains)) == ("inbound|http|80", ["*"])
    action = host.routes[0].route
    assert (host.routes[0].name, action.cluster, action.timeout.seconds) == ("default", "inbound|8080||", 0)
    assert action.HasField("timeout")
    assert (action.retry_policy.retry_on, action.retry_policy.num_retries.value) == ("reset-before-request", 2)


def test_a_grpc_port_is_not_retried(mesh, view):
    listener = mesh(ENTRY % "grpc").listeners(view(agent="envoy"))["virtualInbound"]
    assert not manager_of(listener.filter_chains[-1]).route_config.virtual_hosts[0].routes[0].route.HasField("retry_policy")


def test_the_server_asks_for_a_certificate_of_its_trust_domain(mesh, view):
    listener = mesh(ENTRY % "http" + PEERS % "STRICT").listeners(view(agent="envoy"))["virtualInbound"]
    context = proto.unpack(listener.filter_chains[-1].transport_socket.typed_config)
    assert context.require_client_certificate.value
    common = context.common_tls_context
    assert list(common.alpn_protocols) == ["h2", "http/1.1"]
    matchers = common.combined_validation_context.default_validation_context.match_typed_subject_alt_names
    assert [one.matcher.prefix for one in matchers] == ["spiffe://cluster.local/"]
    assert common.tls_params.cipher_suites[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


def test_without_capture_each_port_has_a_listener_at_the_nodes_address(mesh, view):
    seen = view(INTERCEPTION_MODE="NONE", INBOUND_PORTS={"http": {"bind": 21001, "app": 21002}})
    listeners = mesh(ENTRY % "http").listeners(seen)
    assert "virtualInbound" not in listeners
    assert "virtualOutbound" not in listeners
    listener = listeners["10.0.0.9_21001"]
    assert told(listener.filter_chains) == [("tls", MESH_ALPN, True, True), ("raw_buffer", set(), False, True)]
    assert manager_of(listener.filter_chains[0]).route_config.name == "inbound|21002||"
    assert not listener.HasField("bind_to_port")


def test_a_port_that_no_service_names_is_served_as_its_name_says(mesh, view):
    seen = view(INTERCEPTION_MODE="NONE", INBOUND_PORTS={"tcp-extra": {"bind": 21003, "app": 21004}})
    assert not any(http for *_, http in told(mesh("").listeners(seen)["10.0.0.9_21003"].filter_chains))


def test_a_port_level_mode_holds_for_that_port(mesh, view):
    peers = """
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: one}
spec: {selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}
"""
    listener = mesh(ENTRY % "http" + peers).listeners(view(LABELS={"app": "a"}))["virtualInbound"]
    chains = [chain for chain in listener.filter_chains if chain.filter_chain_match.destination_port.value == 8080]
    assert told(chains) == [("raw_buffer", set(), False, True)]


def test_a_port_level_mode_holds_for_a_port_of_no_service_too(mesh, view):
    peers = """
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: one}
spec: {selector: {matchLabels: {app: a}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {9999: {mode: STRICT}}}
"""
    listener = mesh(peers).listeners(view(LABELS={"app": "a"}))["virtualInbound"]
    chains = [chain for chain in listener.filter_chains if chain.filter_chain_match.destination_port.value == 9999]
    assert {transport for transport, *_ in told(chains)} == {"tls"}
    assert all(mutual for _, _, mutual, _ in told(chains))


@pytest.mark.parametrize(
    ("mode", "looks"),
    [
        ("DISABLE", []),  # the application may speak first, and TLS may be its own
        ("STRICT", ["envoy.filters.listener.tls_inspector"]),
    ],
)
def test_a_tcp_port_of_its_own_looks_at_first_bytes_only_where_mutual_tls_depends_on_them(mesh, view, mode, looks):
    seen = view(INTERCEPTION_MODE="NONE", INBOUND_PORTS={"tcp": {"bind": 21003, "app": 21004}})
    listener = mesh(ENTRY % "tcp" + PEERS % mode).listeners(seen)["10.0.0.9_21003"]
    assert [one.name for one in listener.listener_filters] == looks


SEVERAL = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
  - {number: 80, name: http, targetPort: 8080}
  - {number: 25, name: tcp-mail, targetPort: 8025}
  - {number: 33, name: tcp-db, targetPort: 8033}
  - {number: 90, name: any, targetPort: 8090}
  endpoints: [{address: 10.0.0.9}]
"""
PORTS = (8025, 8033, 8080, 8090, 9999)


@pytest.mark.parametrize(
    ("peers", "tls", "http"),
    [
        ("", [8025, 8033, 8080, 8090, 9999], [8090, 9999]),
        (PEERS % "STRICT", [8025, 8033, 8080, 8090, 9999], []),
        (PEERS % "DISABLE", [8090, 9999], [8090, 9999]),
        (PEERS.replace("spec: {", "spec: {selector: {matchLabels: {app: a}}, portLevelMtls: {8025: {mode: DISABLE}}, ") % "STRICT",
         [8033, 8080, 8090, 9999], []),
        (PEERS.replace("spec: {", "spec: {selector: {matchLabels: {app: a}}, portLevelMtls: {8033: {mode: STRICT}}, ") % "DISABLE",
         [8033, 8090, 9999], [8090, 9999]),
    ],
    ids=["permissive", "strict", "off", "off for one port", "on for one port"],
)  # fmt: skip
def test_first_bytes_are_waited_for_where_a_chain_depends_on_them(mesh, view, peers, tls, http):
    """As our proxy reads it; at the other ports the application may speak first."""
    listener = mesh(SEVERAL + peers).listeners(view(LABELS={"app": "a"}))["virtualInbound"]
    ctx = Context(
        route_slot=RouteSlot, http_stats=lambda prefix: HttpStats(prefix=prefix), file_log=mock.Mock(), istio_stats=mock.Mock(),
        peer_metadata=mock.Mock(),
    )  # fmt: skip
    made = compile_listener(listener, ctx)
    assert [port for port in PORTS if made.looks_for_tls(port)] == tls
    assert [port for port in PORTS if made.looks_for_http(port)] == http


def test_without_capture_ports_are_served_only_where_somebody_asks_for_it(mesh, view):
    ingress = """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: sidecar}
spec: {ingress: [{port: {number: 9080, name: http, protocol: HTTP}, defaultEndpoint: '127.0.0.1:8080'}]}
"""
    built, seen = mesh(ENTRY % "http"), view(INTERCEPTION_MODE="NONE")
    assert "10.0.0.9_8080" not in built.listeners(seen)
    assert "inbound|8080||" not in built.clusters(seen)
    assert "10.0.0.9_9080" in mesh(ENTRY % "http" + ingress).listeners(seen)


def test_a_mode_of_the_sidecars_own_port_makes_no_chain_beside_the_one_that_ends_loops(mesh, view):
    spec = "spec:\n  selector: {matchLabels: {app: a}}\n  portLevelMtls: {15006: {mode: DISABLE}, 9000: {mode: DISABLE}}\n"
    text = PEERS.partition("spec:")[0] + spec
    found = mesh(text).listeners(view(LABELS={"app": "a"}))["virtualInbound"].filter_chains
    numbers = [chain.filter_chain_match.destination_port.value for chain in found]
    assert (numbers.count(15006), numbers.count(9000)) == (1, 3)
