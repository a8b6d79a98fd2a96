"""What a Sidecar does to what is generated: fewer services, listeners of its own, another way for unknown hosts, other inbound ports."""

import pytest

from pymesh.xds import proto, types

SERVICES = "".join(
    f"""
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [{name}.{namespace}.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http}}, {{number: 90, name: tcp}}]
  endpoints: [{{address: 10.0.0.1}}]
"""
    for name, namespace in (("a", "default"), ("b", "default"), ("c", "other"), ("d", "other"))
)
RULE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rule}
spec:
  hosts: [a]
  http: [{route: [{destination: {host: c.other.svc.cluster.local}}]}]
"""
A, B, C, D = (f"{name}.svc.cluster.local" for name in ("a.default", "b.default", "c.other", "d.other"))


def sidecar(spec):
    return f"---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: limits}}\nspec: {spec}\n"


def outbound(clusters):
    return {name for name in clusters if name.startswith("outbound|80|")}


def test_only_what_is_imported_is_known(mesh, view):
    built = mesh(SERVICES + sidecar("{egress: [{hosts: ['./*']}]}"))
    assert outbound(built.clusters(view())) == {f"outbound|80||{A}", f"outbound|80||{B}"}
    assert list(built.hosts(view(), "80")) == [f"{A}:80", f"{B}:80", "allow_any"]
    assert list(built.sees(view(), types.ENDPOINT)) == [f"outbound|{port}||{host}" for host in (A, B) for port in (80, 90)]


def test_where_rules_lead_is_known_and_cannot_be_called_by_name(mesh, view):
    built = mesh(SERVICES + RULE + sidecar("{egress: [{hosts: [./a.default.svc.cluster.local]}]}"))
    assert outbound(built.clusters(view())) == {f"outbound|80||{A}", f"outbound|80||{C}"}
    hosts = built.hosts(view(), "80")
    assert list(hosts) == [f"{A}:80", "allow_any"]
    assert hosts[f"{A}:80"].routes[0].route.cluster == f"outbound|80||{C}"


@pytest.mark.parametrize("copy", ["mirror: {host: %s}", "mirrors: [{destination: {host: %s}}]"])
def test_where_copies_go_is_known(mesh, view, copy):
    rule = RULE.replace("[{route", f"[{{{copy % D}, route")
    assert f"outbound|80||{D}" in mesh(SERVICES + rule + sidecar("{egress: [{hosts: [./a.default.svc.cluster.local]}]}")).clusters(view())


@pytest.mark.parametrize(("imported", "counts"), [(A, True), ("else.test", False)])
def test_a_rule_for_a_wildcard_is_imported_with_any_of_its_hosts(mesh, view, imported, counts):
    rule = RULE.replace("hosts: [a]", "hosts: ['*.default.svc.cluster.local']")
    clusters = mesh(SERVICES + rule + sidecar(f"{{egress: [{{hosts: ['./{imported}']}}]}}")).clusters(view())
    assert (f"outbound|80||{C}" in clusters) == counts


def test_rules_that_are_not_imported_do_not_count(mesh, view):
    built = mesh(SERVICES + RULE + sidecar("{egress: [{hosts: [./b.default.svc.cluster.local]}]}"))
    assert outbound(built.clusters(view())) == {f"outbound|80||{B}"}


def test_gateways_and_other_namespaces_are_not_limited(mesh, view):
    built = mesh(SERVICES + sidecar("{egress: [{hosts: [./a.default.svc.cluster.local]}]}"))
    assert len(outbound(built.clusters(view("router")))) == 4
    assert len(outbound(built.clusters(view(NAMESPACE="other")))) == 4


def test_a_listener_of_ones_own_has_its_services_alone_and_its_own_address(mesh, view):
    own = "{port: {number: 80, protocol: HTTP}, bind: 127.0.0.7, captureMode: NONE, hosts: [./a.default.svc.cluster.local]}"
    egress = f"{{egress: [{own}, {{hosts: [other/*]}}]}}"
    built = mesh(SERVICES + sidecar(egress))
    listeners = built.listeners(view())
    assert {"127.0.0.7_80", "0.0.0.0_80", "0.0.0.0_90"} <= set(listeners)
    assert "127.0.0.7_90" not in listeners
    assert not listeners["127.0.0.7_80"].HasField("bind_to_port")
    assert listeners["0.0.0.0_90"].bind_to_port.value is False
    assert list(built.hosts(view(), "80")) == [f"{A}:80", "allow_any"]


@pytest.mark.parametrize(
    ("port", "protocol", "name", "http", "services"),
    [
        (90, "HTTP", "0.0.0.0_90", True, False),
        (80, "TCP", "10.96.0.1_80", False, True),
        (90, "TCP", "10.96.0.1_90", False, True),
        (80, "HTTP", "0.0.0.0_80", True, False),
    ],
)
def test_a_listener_of_ones_own_says_what_is_spoken_there(mesh, view, port, protocol, name, http, services):
    text = SERVICES.replace("resolution:", "addresses: [10.96.0.1]\n  resolution:", 1)
    listeners = mesh(text + sidecar(f"{{egress: [{{port: {{number: {port}, protocol: {protocol}}}, hosts: [./{A}]}}]}}")).listeners(view())
    assert {one for one in listeners if not one.startswith("virtual")} == {name}
    chains = [*listeners[name].filter_chains, listeners[name].default_filter_chain]
    found = [proto.unpack(one.filters[-1].typed_config) for one in chains if one.filters]
    assert any(one.DESCRIPTOR.name == "HttpConnectionManager" for one in found) is http
    assert any(getattr(one, "cluster", "") == f"outbound|{port}||{A}" for one in found) is services


def test_what_has_an_address_of_its_own_is_reached_beside_anothers_listener_of_its_port(mesh, view):
    egress = f"{{egress: [{{port: {{number: 90, protocol: TCP}}, hosts: [./{A}]}}, {{hosts: [other/*]}}]}}"
    listeners = mesh(SERVICES + sidecar(egress)).listeners(view())
    assert proto.unpack(listeners["0.0.0.0_90"].filter_chains[0].filters[-1].typed_config).cluster == f"outbound|90||{A}"
    parts = SERVICES.split("---")
    parts[-1] = parts[-1].replace("resolution:", "addresses: [10.96.0.4]\n  resolution:")
    listeners = mesh("---".join(parts) + sidecar(egress)).listeners(view())
    assert proto.unpack(listeners["10.96.0.4_90"].filter_chains[0].filters[-1].typed_config).cluster == f"outbound|90||{D}"


def test_the_listener_for_all_other_ports_may_have_an_address_and_go_without_capture(mesh, view):
    for more, name, bound in (
        ("bind: 127.0.0.7", "127.0.0.7_80", False),
        ("captureMode: NONE", "127.0.0.1_80", True),
        ("bind: 127.0.0.7, captureMode: NONE", "127.0.0.7_80", True),
        ("captureMode: IPTABLES", "0.0.0.0_80", False),
    ):
        listener = mesh(SERVICES + sidecar(f"{{egress: [{{{more}, hosts: [./{A}]}}]}}")).listeners(view())[name]
        assert listener.HasField("bind_to_port") is not bound
    captured = sidecar(f"{{egress: [{{captureMode: IPTABLES, hosts: [./{A}]}}]}}")
    listeners = mesh(SERVICES + captured).listeners(view(INTERCEPTION_MODE="NONE"))
    assert not listeners["127.0.0.1_80"].HasField("bind_to_port")


def test_a_rule_counts_on_the_ports_of_the_listeners_that_import_it(mesh, view):
    rule = RULE.replace("{name: rule}", "{name: rule, namespace: other}").replace("[a]", f"[{A}]")
    egress = "{egress: [{port: {number: 80, protocol: HTTP}, hosts: [%s]}, {hosts: ['*/*']}]}"
    for hosts, cluster in ((f"./{A}", A), (f"./{A}, other/*", C)):
        built = mesh(SERVICES + rule + sidecar(egress % hosts))
        assert built.hosts(view(), "80")[f"{A}:80"].routes[0].route.cluster == f"outbound|80||{cluster}"


def test_the_meshs_default_lets_each_namespace_see_its_own(mesh, view):
    text = sidecar("{egress: [{hosts: ['./*']}]}").replace("{name: limits}", "{name: limits, namespace: istio-system}")
    built = mesh(SERVICES + text)
    assert outbound(built.clusters(view())) == {f"outbound|80||{A}", f"outbound|80||{B}"}
    assert outbound(built.clusters(view(NAMESPACE="other"))) == {f"outbound|80||{C}", f"outbound|80||{D}"}


def test_unknown_hosts_are_blocked_for_one_workload(mesh, view):
    built = mesh(SERVICES + sidecar("{outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"))
    assert "block_all" in built.hosts(view(), "80")
    assert "allow_any" in built.hosts(view(NAMESPACE="other"), "80")


def test_unknown_hosts_may_go_through_an_egress_proxy(mesh, view):
    proxy = "{outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: b, port: {number: 90}}}}"
    built = mesh(SERVICES + sidecar(proxy))
    assert built.hosts(view(), "80")["allow_any"].routes[0].route.cluster == f"outbound|90||{B}"
    virtual = built.listeners(view())["virtualOutbound"].filter_chains[-1]
    assert proto.unpack(virtual.filters[-1].typed_config).cluster == f"outbound|90||{B}"


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("'[::1]:8080'", ("::1", 8080)),
        ("0.0.0.0:8081", ("10.0.0.9", 8081)),
        ("'[::]:8081'", ("::1", 8081)),
        ("unix:///run/app", "/run/app"),
    ],
)
def test_an_ingress_listener_stands_in_the_place_of_the_services_ports(mesh, view, endpoint, address):
    ingress = f"{{ingress: [{{port: {{number: 9080, protocol: HTTP, name: web}}, defaultEndpoint: {endpoint}}}]}}"
    built = mesh(SERVICES + sidecar(ingress))
    inbound = {name: one for name, one in built.clusters(view()).items() if name.startswith("inbound|")}
    (only,) = inbound.values()
    assert set(inbound) == {"inbound|9080||"}
    found = only.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address
    assert address == (found.pipe.path or (found.socket_address.address, found.socket_address.port_value))
    assert only.upstream_bind_config.source_address.address == ("127.0.0.6" if "10.0.0.9" in address else "")
    chains = built.listeners(view())["virtualInbound"].filter_chains
    assert {chain.filter_chain_match.destination_port.value for chain in chains if chain.name == "0.0.0.0_9080"} == {9080}


def test_without_capture_the_application_is_called_from_any_source(mesh, view):
    built = mesh(SERVICES + sidecar("{ingress: [{port: {number: 9080, protocol: HTTP}, defaultEndpoint: 0.0.0.0:8081}]}"))
    assert not built.clusters(view(INTERCEPTION_MODE="NONE"))["inbound|9080||"].HasField("upstream_bind_config")


def test_without_an_endpoint_connections_go_where_they_were_going(mesh, view):
    built = mesh(SERVICES + sidecar("{ingress: [{port: {number: 9080, protocol: TCP}}]}"))
    assert built.clusters(view())["inbound|9080||"].type == proto.cluster.Cluster.ORIGINAL_DST


def test_a_pool_of_the_sidecars_stands_over_the_rules_and_a_listeners_over_both(mesh, view):
    pools = "inboundConnectionPool: {http: {http2MaxRequests: 7}}"
    first = "{port: {number: 1, protocol: HTTP}, connectionPool: {http: {http2MaxRequests: 8}}}"
    ingress = f"ingress: [{first}, {{port: {{number: 2, protocol: HTTP}}}}]"
    clusters = mesh(SERVICES + sidecar(f"{{{ingress}, {pools}}}")).clusters(view())
    assert [clusters[f"inbound|{port}||"].circuit_breakers.thresholds[0].max_requests.value for port in (1, 2)] == [8, 7]


def test_a_port_of_its_own_is_listened_on_where_the_sidecar_says(mesh, view):
    port = "port: {number: 9080, protocol: HTTP, name: web}, defaultEndpoint: '127.0.0.1:8080'"
    built = mesh(SERVICES + sidecar(f"{{ingress: [{{{port}, bind: 127.0.0.7, captureMode: NONE}}]}}"))
    own = built.listeners(view())["127.0.0.7_9080"]
    assert (own.address.socket_address.address, own.address.socket_address.port_value) == ("127.0.0.7", 9080)
    assert not own.HasField("bind_to_port")
    assert all(chain.name != "0.0.0.0_9080" for chain in built.listeners(view())["virtualInbound"].filter_chains)


TLS = "tls: {mode: MUTUAL, serverCertificate: /etc/c.pem, privateKey: /etc/k.pem, caCertificates: /etc/ca.pem, minProtocolVersion: TLSV1_3}"


def test_tls_of_a_sidecars_port_is_ended_where_mutual_tls_is_off(mesh, view, strictness):
    ingress = f"{{ingress: [{{port: {{number: 9443, protocol: HTTPS, name: web}}, defaultEndpoint: '127.0.0.1:8080', {TLS}}}]}}"
    built = mesh(SERVICES + sidecar(ingress) + strictness("DISABLE"))
    (chain,) = [one for one in built.listeners(view())["virtualInbound"].filter_chains if one.name == "0.0.0.0_9443"]
    context = proto.unpack(chain.transport_socket.typed_config)
    assert chain.filter_chain_match.transport_protocol == "tls"
    assert chain.filters[-1].name == "envoy.filters.network.http_connection_manager"
    assert context.require_client_certificate.value
    assert context.common_tls_context.tls_certificates[0].certificate_chain.filename == "/etc/c.pem"


def test_tls_of_a_sidecars_port_gives_way_to_mutual_tls(mesh, view):
    ingress = f"{{ingress: [{{port: {{number: 9443, protocol: TLS, name: web}}, defaultEndpoint: '127.0.0.1:8080', {TLS}}}]}}"
    listener = mesh(SERVICES + sidecar(ingress)).listeners(view())["virtualInbound"]
    chains = [one for one in listener.filter_chains if one.name == "0.0.0.0_9443"]
    assert len(chains) == 3
    assert all(b"/etc/c.pem" not in one.SerializeToString() for one in chains)
