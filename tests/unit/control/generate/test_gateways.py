"""Gateways: listeners by port, routes by the VirtualServices that bind."""

import pytest

from pymesh.xds import proto, types

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http}]
  endpoints: [{address: 10.0.0.1}]
"""
CLUSTER = "outbound|9080||reviews.default.svc.cluster.local"


def gateway(*servers, name="edge", namespace="default", selector="{istio: ingressgateway}"):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {selector}
  servers: [{", ".join(servers)}]
"""


def route(name, hosts, body="http: [{route: [{destination: {host: reviews}}]}]", gateways="[edge]", namespace="default"):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: {hosts}
  gateways: {gateways}
  {body}
"""


HTTP = "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example.com']}"
SIMPLE = (
    "{port: {number: 443, name: web, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: SIMPLE, serverCertificate: /c, privateKey: /k}}"
)
PASS = "{port: {number: 8443, name: pass, protocol: TLS}, hosts: ['*.example.com'], tls: {mode: PASSTHROUGH}}"
REDIRECTING = HTTP.replace("]}", "], tls: {httpsRedirect: true}}")
TCP = "{port: {number: 9000, name: tcp, protocol: TCP}, hosts: ['*']}"


@pytest.fixture
def edge(view):
    return view("router", agent="envoy", LABELS={"istio": "ingressgateway"})


def config(chain):
    return proto.unpack(chain.filters[-1].typed_config)


def test_a_gateway_listens_where_its_servers_say(mesh, edge):
    listeners = mesh(ENTRY + gateway(HTTP)).listeners(edge)
    assert set(listeners) == {"0.0.0.0_80"}
    manager = config(listeners["0.0.0.0_80"].filter_chains[0])
    assert manager.rds.route_config_name == "http.80"
    assert manager.use_remote_address.value
    assert manager.forward_client_cert_details == manager.SANITIZE_SET
    assert not listeners["0.0.0.0_80"].HasField("bind_to_port")


def test_a_gateway_of_other_proxies_opens_nothing_here(mesh, edge):
    assert mesh(gateway(HTTP, selector="{istio: other}")).listeners(edge) == {}


def test_a_gateway_has_no_inbound_clusters(mesh, edge):
    assert set(mesh(ENTRY).clusters(edge)) == {CLUSTER, "BlackHoleCluster", "PassthroughCluster"}


def test_a_gateway_listens_in_every_ip_version_unless_it_is_bound(mesh, view):
    seen = view("router", LABELS={"istio": "ingressgateway"}, INSTANCE_IPS="fd00::9,10.0.0.9")
    listener = mesh(gateway(HTTP)).listeners(seen)["0.0.0.0_80"]
    assert [one.address.socket_address.address for one in listener.additional_addresses] == ["::"]
    assert not mesh(gateway(HTTP.replace("hosts", "bind: 0.0.0.0, hosts"))).listeners(seen)["0.0.0.0_80"].additional_addresses


def test_a_bind_is_part_of_the_names(mesh, edge):
    built = mesh(gateway(HTTP.replace("hosts", "bind: 127.0.0.1, hosts")))
    listener = built.listeners(edge)["127.0.0.1_80"]
    assert config(listener.filter_chains[0]).rds.route_config_name == "http.80.127.0.0.1"
    assert set(built.sees(edge, types.ROUTE)) == {"http.80.127.0.0.1"}


def test_rules_that_bind_are_served_under_the_narrower_name(mesh, edge):
    hosts = mesh(ENTRY + gateway(HTTP) + route("all", "['*']") + route("one", "[a.example.com]")).hosts(edge, "http.80")
    assert {name: list(host.domains) for name, host in hosts.items()} == {
        "*.example.com:80": ["*.example.com"],
        "a.example.com:80": ["a.example.com"],
    }
    assert hosts["a.example.com:80"].routes[0].route.cluster == CLUSTER


def test_a_rule_for_all_hosts_is_served_under_every_name_of_a_server(mesh, edge):
    server = HTTP.replace("'*.example.com'", "a.example.com, b.example.com")
    assert set(mesh(ENTRY + gateway(server) + route("all", "['*']")).hosts(edge, "http.80")) == {"a.example.com:80", "b.example.com:80"}


@pytest.mark.parametrize(
    ("server", "rule", "binds"),
    [
        (HTTP, route("r", "[a.other.com]"), False),
        (HTTP, route("r", "[a.example.com]", gateways="[mesh]"), False),
        (HTTP, route("r", "[a.example.com]", gateways="[default/edge]"), True),
        (HTTP.replace("'*.", "'./*."), route("r", "[a.example.com]", gateways="[default/edge]", namespace="other"), False),
        (HTTP.replace("'*.", "'other/*."), route("r", "[a.example.com]", gateways="[default/edge]", namespace="other"), True),
        (
            HTTP,
            route("r", "[a.example.com]", "exportTo: ['.']\n  http: [{route: [{destination: {host: x.com}}]}]", "[default/edge]", "other"),
            False,
        ),
    ],
)
def test_a_rule_binds_by_gateway_host_and_namespace(mesh, edge, server, rule, binds):
    assert ("a.example.com:80" in mesh(gateway(server) + rule).hosts(edge, "http.80")) == binds


def test_a_port_that_no_rule_binds_to_answers_404(mesh, edge):
    hosts = mesh(gateway(HTTP)).hosts(edge, "http.80")
    assert list(hosts) == ["blackhole:80"]
    assert list(hosts["blackhole:80"].domains) == ["*"]
    assert not hosts["blackhole:80"].routes


def test_rules_of_one_host_are_joined_with_catch_alls_last(mesh, edge):
    catch_all = route("first", "[a.example.com]", "http: [{name: all, route: [{destination: {host: reviews}}]}]")
    narrow = route(
        "second", "[a.example.com]", "http: [{name: some, match: [{uri: {prefix: /x}}], route: [{destination: {host: reviews}}]}]"
    )
    host = mesh(ENTRY + gateway(HTTP) + catch_all + narrow).hosts(edge, "http.80")["a.example.com:80"]
    assert [one.name for one in host.routes] == ["some", "all"]


def test_https_is_terminated_with_the_named_files(mesh, edge):
    built = mesh(ENTRY + gateway(SIMPLE) + route("r", "[a.example.com]"))
    listener = built.listeners(edge)["0.0.0.0_443"]
    assert [one.name for one in listener.listener_filters] == ["envoy.filters.listener.tls_inspector"]
    chain = listener.filter_chains[0]
    assert list(chain.filter_chain_match.server_names) == ["a.example.com"]
    assert chain.transport_socket_connect_timeout.seconds == 15
    context = proto.unpack(chain.transport_socket.typed_config)
    pair = context.common_tls_context.tls_certificates[0]
    assert (pair.certificate_chain.filename, pair.private_key.filename) == ("/c", "/k")
    assert list(context.common_tls_context.alpn_protocols) == ["h2", "http/1.1"]
    assert not context.require_client_certificate.value
    name = "https.443.web.edge.default"
    assert config(chain).rds.route_config_name == name
    assert built.hosts(edge, name)["a.example.com:443"].routes[0].route.cluster == CLUSTER


@pytest.mark.parametrize(("mode", "required"), [("MUTUAL", True), ("OPTIONAL_MUTUAL", False)])
def test_clients_may_have_to_show_a_certificate(mesh, edge, mode, required):
    server = SIMPLE.replace("mode: SIMPLE", f"mode: {mode}, caCertificates: /ca, minProtocolVersion: TLSV1_3")
    context = proto.unpack(mesh(gateway(server)).listeners(edge)["0.0.0.0_443"].filter_chains[0].transport_socket.typed_config)
    assert context.require_client_certificate.value == required
    assert context.common_tls_context.validation_context.trusted_ca.filename == "/ca"
    parameters = context.common_tls_context.tls_params
    assert parameters.tls_minimum_protocol_version == parameters.TLSv1_3


def test_ciphers_that_proxies_do_not_know_are_left_out(mesh, edge):
    server = SIMPLE.replace("mode: SIMPLE", "mode: SIMPLE, cipherSuites: [AES256-SHA, TLS_AES_128_GCM_SHA256, AES256-SHA]")
    context = proto.unpack(mesh(gateway(server)).listeners(edge)["0.0.0.0_443"].filter_chains[0].transport_socket.typed_config)
    assert list(context.common_tls_context.tls_params.cipher_suites) == ["AES256-SHA"]


def test_passed_through_tls_is_routed_by_server_name(mesh, edge):
    rule = route("r", "[a.example.com]", "tls: [{match: [{sniHosts: [a.example.com]}], route: [{destination: {host: reviews}}]}]")
    chain = mesh(ENTRY + gateway(PASS) + rule).listeners(edge)["0.0.0.0_8443"].filter_chains[0]
    assert list(chain.filter_chain_match.server_names) == ["a.example.com"]
    assert config(chain).cluster == CLUSTER
    assert not chain.HasField("transport_socket")


def test_tcp_is_routed_by_port(mesh, edge):
    rule = route("r", "['*']", "tcp: [{match: [{port: 9000}], route: [{destination: {host: reviews}}]}]")
    assert config(mesh(ENTRY + gateway(TCP) + rule).listeners(edge)["0.0.0.0_9000"].filter_chains[0]).cluster == CLUSTER


def test_a_port_that_waits_for_rules_is_not_open(mesh, edge):
    assert mesh(gateway(TCP, PASS)).listeners(edge) == {}


def test_of_two_kinds_of_server_on_one_port_the_first_has_it(mesh, edge):
    other = HTTP.replace("protocol: HTTP", "protocol: TCP").replace("'*.example.com'", "'*'")
    listeners = mesh(gateway(HTTP) + gateway(other, name="late")).listeners(edge)
    assert config(listeners["0.0.0.0_80"].filter_chains[0]).rds.route_config_name == "http.80"
    assert len(listeners["0.0.0.0_80"].filter_chains) == 1


def test_of_two_servers_with_one_name_the_older_has_it(mesh, edge):
    listeners = mesh(gateway(SIMPLE) + gateway(SIMPLE.replace("/c", "/other"), name="late")).listeners(edge)
    chains = listeners["0.0.0.0_443"].filter_chains
    assert len(chains) == 1
    assert proto.unpack(chains[0].transport_socket.typed_config).common_tls_context.tls_certificates[0].certificate_chain.filename == "/c"


@pytest.mark.parametrize("late", [SIMPLE, PASS, REDIRECTING])
def test_a_server_with_tls_that_names_a_host_of_an_older_one_is_left_out_whole(mesh, edge, late):
    first, late = (one.replace("a.example.com", "'*.example.com'") for one in (late, late))
    late = late.replace("'*.example.com'", "'*.Example.com', b.test")
    rules = route("b", "[b.test]", "tls: [{match: [{sniHosts: [b.test]}], route: [{destination: {host: reviews}}]}]", "[late]")
    rules += route("http", "[b.test]", gateways="[late]") + route("first", "[a.example.com]")
    built = mesh(ENTRY + gateway(first, name="edge") + gateway(late, name="late") + rules)
    chains = [chain for one in built.listeners(edge).values() for chain in one.filter_chains]
    assert all("b.test" not in chain.filter_chain_match.server_names for chain in chains)
    assert all("b.test" not in host.domains for one in built.sees(edge, types.ROUTE).values() for host in one.virtual_hosts)


def test_a_match_of_passed_through_tls_of_which_a_name_is_taken_is_left_out_whole(mesh, edge):
    to = "route: [{destination: {host: reviews}}]"
    matches = "{sniHosts: [a.example.com]}, {sniHosts: [a.example.com, b.example.com]}, {sniHosts: [b.example.com]}"
    rule = route("r", "['*.example.com']", f"tls: [{{match: [{matches}], {to}}}]")
    chains = mesh(ENTRY + gateway(PASS) + rule).listeners(edge)["0.0.0.0_8443"].filter_chains
    assert [list(chain.filter_chain_match.server_names) for chain in chains] == [["a.example.com"], ["b.example.com"]]


def test_of_two_servers_of_plain_tcp_on_one_port_the_first_has_it_even_without_rules(mesh, edge):
    rule = route("r", "['*']", "tcp: [{route: [{destination: {host: reviews}}]}]", "[late]")
    assert mesh(ENTRY + gateway(TCP) + gateway(TCP, name="late") + rule).listeners(edge) == {}
    assert set(mesh(ENTRY + gateway(TCP, name="late") + gateway(TCP) + rule).listeners(edge)) == {"0.0.0.0_9000"}
    other = gateway(TCP.replace("hosts", "bind: 10.0.0.9, hosts"), name="late")
    assert set(mesh(ENTRY + gateway(TCP) + other + rule).listeners(edge)) == {"10.0.0.9_9000"}


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_a_gateway_does_not_ask_for_which_address_of_its_own_a_connection_is(mesh, edge, kind):
    match = "destinationSubnets: [10.1.0.0/16]" + (", sniHosts: [a.example.com]" if kind == "tls" else ", sourceSubnet: 10.2.0.0/16")
    rule = route("r", "['*.example.com']", f"{kind}: [{{match: [{{{match}}}], route: [{{destination: {{host: reviews}}}}]}}]")
    (listener,) = mesh(ENTRY + gateway(TCP if kind == "tcp" else PASS) + rule).listeners(edge).values()
    (chain,) = listener.filter_chains
    assert not chain.filter_chain_match.prefix_ranges
    assert not chain.filter_chain_match.source_prefix_ranges


@pytest.mark.parametrize("server", [SIMPLE, HTTP])
def test_a_gateway_does_not_wait_for_ever_for_a_clients_first_bytes(mesh, edge, server):
    (listener,) = mesh(gateway(server)).listeners(edge).values()
    assert not listener.HasField("listener_filters_timeout")
    assert not listener.continue_on_listener_filters_timeout


def test_of_rules_for_one_host_those_at_the_older_gateway_come_first(mesh, edge):
    body = "http: [{name: %s, match: [{uri: {prefix: /x}}], route: [{destination: {host: reviews}}]}]"
    rules = route("one", "[a.example.com]", body % "one", "[late]") + route("two", "[a.example.com]", body % "two")
    hosts = mesh(ENTRY + gateway(HTTP) + gateway(HTTP, name="late") + rules).hosts(edge, "http.80")
    assert [one.name for one in hosts["a.example.com:80"].routes] == ["two", "one"]


@pytest.mark.parametrize("rules", ["", route("r", "[a.example.com]")])
def test_plain_http_may_be_sent_to_https(mesh, edge, rules):
    server = HTTP.replace("'*.example.com'", "a.example.com").replace("]}", "], tls: {httpsRedirect: true}}")
    host = mesh(ENTRY + gateway(server) + rules).hosts(edge, "http.80")["a.example.com:80"]
    assert host.require_tls == host.ALL


def test_a_rule_for_clients_of_some_labels_is_not_for_a_gateway_without_them(mesh, edge):
    matches = {
        "some": "sourceLabels: {app: web}",
        "own": "sourceLabels: {istio: ingressgateway}",
        "here": "sourceNamespace: default",
        "there": "sourceNamespace: other",
    }
    to = "route: [{destination: {host: reviews}}]"
    http = [f"{{name: {name}, match: [{{{match}, uri: {{prefix: /x}}}}], {to}}}" for name, match in matches.items()]
    rule = route("r", "[a.example.com]", f"http: [{', '.join(http)}]")
    made = mesh(ENTRY + gateway(HTTP) + rule).hosts(edge, "http.80")["a.example.com:80"].routes
    assert [one.name for one in made] == ["own", "here"]


def test_a_rule_without_a_route_for_a_gateway_leaves_its_host_to_others(mesh, edge):
    none = route("none", "[a.example.com]", "http: [{match: [{port: 81}], route: [{destination: {host: reviews}}]}]")
    assert list(mesh(ENTRY + gateway(HTTP) + none + route("all", "['*.example.com']")).hosts(edge, "http.80")) == ["*.example.com:80"]


def test_gateways_that_serve_one_name_serve_the_routes_for_each_of_them(mesh, edge):
    rule = route(
        "r",
        "[a.example.com]",
        "http: [{name: second, match: [{gateways: [late], uri: {prefix: /x}}], route: [{destination: {host: reviews}}]},"
        " {name: both, route: [{destination: {host: reviews}}]}]",
        "[edge, late]",
    )
    late = gateway(REDIRECTING, name="late")
    host = mesh(ENTRY + gateway(HTTP) + late + rule).hosts(edge, "http.80")["a.example.com:80"]
    assert [one.name for one in host.routes] == ["second", "both"]
    assert host.require_tls == host.ALL


def test_rules_count_that_are_exported_to_the_proxys_namespace_those_for_few_first(mesh, view):
    own = "http: [{name: %s, match: [{uri: {prefix: /x}}], route: [{destination: {host: reviews}}]}]"
    few = route("few", "[a.example.com]", "exportTo: [istio-system]\n  " + own % "few")
    private = route("private", "[a.example.com]", "exportTo: ['.']\n  " + own % "private")
    text = ENTRY + gateway(HTTP) + route("all", "[a.example.com]", own % "all") + private + few
    there = view("router", LABELS={"istio": "ingressgateway"}, NAMESPACE="istio-system")
    here = view("router", LABELS={"istio": "ingressgateway"})
    for seen, names in ((there, ["few", "all"]), (here, ["private", "all"])):
        assert [one.name for one in mesh(text).hosts(seen, "http.80")["a.example.com:80"].routes] == names


def test_mutual_tls_of_the_mesh_may_be_for_some_names_only(mesh, edge):
    server = SIMPLE.replace("mode: SIMPLE, serverCertificate: /c, privateKey: /k", "mode: ISTIO_MUTUAL%s")
    for more, matched in (("", ("spiffe://cluster.local/", "")), (", subjectAltNames: ['spiffe://a/b']", ("", "spiffe://a/b"))):
        chain = mesh(gateway(server % more)).listeners(edge)["0.0.0.0_443"].filter_chains[0]
        validation = proto.unpack(chain.transport_socket.typed_config).common_tls_context.combined_validation_context
        (name,) = validation.default_validation_context.match_typed_subject_alt_names
        assert (name.matcher.prefix, name.matcher.exact) == matched


def service(ports, name="ingress", more=""):
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default{more}}}
spec: {{clusterIP: 10.96.0.9, selector: {{istio: ingressgateway}}, ports: {ports}}}
"""


PORTS = "[{name: web, port: 80, targetPort: 8080}, {name: tls, port: 443, targetPort: tls}]"
POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: edge-1, namespace: default, labels: {istio: ingressgateway}}
spec: {containers: [{name: proxy, ports: [{name: tls, containerPort: 8443}]}]}
status: {podIP: 10.0.0.9, phase: Running}
"""


def test_a_gateway_listens_where_the_service_leads_that_clients_call(mesh, edge):
    matched = route("r", "[a.example.com]", "http: [{match: [{port: 80}, {port: 443}], route: [{destination: {host: reviews}}]}]")
    built = mesh(ENTRY + gateway(HTTP, SIMPLE) + matched + service(PORTS) + service("[{port: 80, targetPort: 9999}]", "late") + POD)
    listeners = built.listeners(edge)
    assert set(listeners) == {"0.0.0.0_8080", "0.0.0.0_8443"}
    assert config(listeners["0.0.0.0_8080"].filter_chains[0]).rds.route_config_name == "http.8080"
    assert config(listeners["0.0.0.0_8443"].filter_chains[0]).rds.route_config_name == "https.443.web.edge.default"
    assert list(built.hosts(edge, "http.8080")) == ["a.example.com:80"]
    assert list(built.hosts(edge, "https.443.web.edge.default")) == ["a.example.com:443"]


@pytest.mark.parametrize(
    "other",
    [
        service("[{port: 80, targetPort: 8080}]", more=", labels: {experimental.istio.io/disable-gateway-port-translation: 'true'}"),
        service("[{port: 80, targetPort: 8080}]").replace("ingressgateway}", "other}"),
        service("[{port: 81, targetPort: 8080}]"),
    ],
)
def test_a_gateways_port_stands_where_no_service_leads_to_another(mesh, edge, other):
    assert set(mesh(ENTRY + gateway(HTTP) + other).listeners(edge)) == {"0.0.0.0_80"}


def test_gateways_that_come_to_one_port_share_it(mesh, edge):
    direct = gateway(HTTP.replace("number: 80", "number: 8080"), name="direct")
    on_80, on_8080 = (f"match: [{{port: {port}}}], route: [{{destination: {{host: reviews}}}}]" for port in (80, 8080))
    rule = route("r", "[a.example.com]", f"http: [{{name: a, {on_80}}}, {{name: b, {on_8080}}}]", "[edge, direct]")
    built = mesh(ENTRY + gateway(HTTP) + direct + rule + service(PORTS))
    assert [one.name for one in built.hosts(edge, "http.8080")["a.example.com:80"].routes] == ["a", "b"]


def test_requests_count_under_the_name_of_a_server_that_ends_tls(mesh, edge):
    chain = mesh(gateway(SIMPLE.replace("{port", "{name: shop, port", 1))).listeners(edge)["0.0.0.0_443"].filter_chains[0]
    assert config(chain).stat_prefix == "shop"
