"""TLS towards a service: auto mutual TLS, and what DestinationRules ask for."""

import pytest

from pymesh.xds import proto
from pymesh_control.model.workload import Workload

ENTRY = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}, {number: 90, name: tcp}]
  workloadSelector: {labels: {app: reviews}}
"""
OUTSIDE = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [s3.example.com]
  resolution: DNS
  ports: [{number: 80, name: http}]
"""
HOST = "reviews.default.svc.cluster.local"
HTTP = f"outbound|80||{HOST}"
WORKLOADS = [
    Workload(name="a", namespace="default", ip="10.0.0.1", labels={"app": "reviews"}, service_account="one", tls_mode="istio"),
    Workload(name="b", namespace="default", ip="10.0.0.2", labels={"app": "reviews"}, service_account="two"),
]


def rule(host, tls):
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: rule}}
spec: {{host: {host}, trafficPolicy: {{tls: {tls}}}}}
"""


def settings(text):
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  mesh: |\n    {text}\n"


def names(common):
    return [matcher.matcher.exact for matcher in common.match_typed_subject_alt_names]


def test_mutual_tls_is_offered_to_instances_that_take_it(mesh, view):
    matches = mesh(ENTRY, WORKLOADS).clusters(view())[HTTP].transport_socket_matches
    assert [(one.name, dict(one.match)) for one in matches] == [("tlsMode-istio", {"tlsMode": "istio"}), ("tlsMode-disabled", {})]
    assert matches[1].transport_socket.name == "envoy.transport_sockets.raw_buffer"
    context = proto.unpack(matches[0].transport_socket.typed_config)
    assert context.sni == f"outbound_.80_._.{HOST}"
    common = context.common_tls_context
    assert common.tls_certificate_sds_secret_configs[0].name == "default"
    combined = common.combined_validation_context
    assert combined.validation_context_sds_secret_config.name == "ROOTCA"
    assert names(combined.default_validation_context) == [
        "spiffe://cluster.local/ns/default/sa/one",
        "spiffe://cluster.local/ns/default/sa/two",
    ]


def test_certificates_come_from_the_proxys_own_agent(mesh, view):
    matches = mesh(ENTRY, WORKLOADS).clusters(view())[HTTP].transport_socket_matches
    common = proto.unpack(matches[0].transport_socket.typed_config).common_tls_context
    source = common.tls_certificate_sds_secret_configs[0].sds_config
    assert source.api_config_source.grpc_services[0].envoy_grpc.cluster_name == "sds-grpc"
    assert source.HasField("initial_fetch_timeout")
    assert source.initial_fetch_timeout.seconds == 0


@pytest.mark.parametrize(("port", "alpn"), [(80, ["istio-http/1.1", "istio"]), (90, ["istio"])])
def test_the_protocol_inside_is_told_by_alpn(mesh, view, port, alpn):
    matches = mesh(ENTRY, WORKLOADS).clusters(view())[f"outbound|{port}||{HOST}"].transport_socket_matches
    assert list(proto.unpack(matches[0].transport_socket.typed_config).common_tls_context.alpn_protocols) == alpn


def test_every_alias_of_the_trust_domain_is_accepted(mesh, view):
    text = settings("trustDomain: new.example\n    trustDomainAliases: [old.example]")
    matches = mesh(text + ENTRY, WORKLOADS[:1]).clusters(view())[HTTP].transport_socket_matches
    common = proto.unpack(matches[0].transport_socket.typed_config).common_tls_context
    assert names(common.combined_validation_context.default_validation_context) == [
        "spiffe://new.example/ns/default/sa/one",
        "spiffe://old.example/ns/default/sa/one",
    ]


@pytest.mark.parametrize(
    "more",
    [
        "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: plain}\nspec: {mtls: {mode: DISABLE}}\n",
        "---\n" + settings("enableAutoMtls: false"),
        rule("reviews", "{mode: DISABLE}"),
    ],
)
def test_where_it_is_off_connections_are_plain(mesh, view, more):
    cluster = mesh(ENTRY + more, WORKLOADS).clusters(view())[HTTP]
    assert not cluster.transport_socket_matches
    assert not cluster.HasField("transport_socket")


@pytest.mark.parametrize(("workloads", "mutual"), [(WORKLOADS[:1], True), (WORKLOADS, False), ([], False)])
def test_where_instances_cannot_be_told_apart_all_must_take_mutual_tls(mesh, view, workloads, mutual):
    passthrough = rule("reviews", "").replace("tls: ", "loadBalancer: {simple: PASSTHROUGH}")
    cluster = mesh(ENTRY + passthrough, workloads).clusters(view())[HTTP]
    assert cluster.HasField("transport_socket") == mutual
    assert not cluster.transport_socket_matches


def test_services_outside_the_mesh_are_called_in_plaintext(mesh, view):
    cluster = mesh(OUTSIDE).clusters(view())["outbound|80||s3.example.com"]
    assert not cluster.transport_socket_matches
    assert not cluster.HasField("transport_socket")


def test_istio_mutual_is_used_for_every_instance(mesh, view):
    cluster = mesh(ENTRY + rule("reviews", "{mode: ISTIO_MUTUAL, sni: other.example, subjectAltNames: ['spiffe://x/y']}"), WORKLOADS)
    context = proto.unpack(cluster.clusters(view())[HTTP].transport_socket.typed_config)
    assert context.sni == "other.example"
    assert names(context.common_tls_context.combined_validation_context.default_validation_context) == ["spiffe://x/y"]


def test_simple_tls_verifies_the_hosts_own_name(mesh, view):
    text = OUTSIDE + rule("s3.example.com", "{mode: SIMPLE, caCertificates: /ca.pem}")
    context = proto.unpack(mesh(text).clusters(view())["outbound|80||s3.example.com"].transport_socket.typed_config)
    validation = context.common_tls_context.validation_context
    assert context.sni == "s3.example.com"
    assert validation.trusted_ca.filename == "/ca.pem"
    assert names(validation) == ["s3.example.com"]
    assert not context.common_tls_context.tls_certificates


def test_mutual_tls_of_ones_own_shows_the_named_files(mesh, view):
    files = "clientCertificate: /c.pem, privateKey: /k.pem, caCertificates: /ca.pem"
    text = OUTSIDE + rule("s3.example.com", f"{{mode: MUTUAL, {files}, subjectAltNames: ['spiffe://a/b', '10.0.0.1']}}")
    context = proto.unpack(mesh(text).clusters(view())["outbound|80||s3.example.com"].transport_socket.typed_config)
    pair = context.common_tls_context.tls_certificates[0]
    assert (pair.certificate_chain.filename, pair.private_key.filename) == ("/c.pem", "/k.pem")
    san = proto.tls_common.SubjectAltNameMatcher
    kinds = [matcher.san_type for matcher in context.common_tls_context.validation_context.match_typed_subject_alt_names]
    assert kinds == [san.URI, san.IP_ADDRESS]


def test_skipping_verification_verifies_nothing(mesh, view):
    text = OUTSIDE + rule("s3.example.com", "{mode: SIMPLE, insecureSkipVerify: true}")
    context = proto.unpack(mesh(text).clusters(view())["outbound|80||s3.example.com"].transport_socket.typed_config)
    assert not context.common_tls_context.HasField("validation_context")


@pytest.mark.parametrize("policy", ["tls: {mode: SIMPLE}", "tls: {mode: SIMPLE}, connectionPool: {http: {h2UpgradePolicy: UPGRADE}}"])
def test_http2_inside_tls_is_asked_for(mesh, view, policy):
    name = "http" if "UPGRADE" in policy else "grpc"
    text = OUTSIDE.replace("name: http", f"name: {name}") + rule("s3.example.com", "{}").replace("tls: {}", policy)
    socket = mesh(text).clusters(view())["outbound|80||s3.example.com"].transport_socket
    assert list(proto.unpack(socket.typed_config).common_tls_context.alpn_protocols) == ["h2"]


def test_an_upgrade_to_http2_is_told_by_alpn(mesh, view):
    upgrade = rule("reviews", "{}").replace("tls: {}", "connectionPool: {http: {h2UpgradePolicy: UPGRADE}}")
    match = mesh(ENTRY + upgrade, WORKLOADS).clusters(view())[HTTP].transport_socket_matches[0]
    assert "istio-h2" in proto.unpack(match.transport_socket.typed_config).common_tls_context.alpn_protocols


def test_selected_instances_that_are_called_by_address_may_all_take_mutual_tls(mesh, view):
    text = ENTRY.replace("resolution: STATIC", "resolution: NONE")
    assert mesh(text, WORKLOADS[:1]).clusters(view())[HTTP].HasField("transport_socket")
    assert not mesh(text, WORKLOADS).clusters(view())[HTTP].HasField("transport_socket")


WORKLOAD = """
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, labels: {app: reviews%s}}
spec: {address: 10.0.0.7, labels: {app: other}, %s}
"""


@pytest.mark.parametrize(
    ("label", "account", "mutual"),
    [("", "serviceAccount: vm", True), ("", "", False), (", security.istio.io/tlsMode: disabled", "serviceAccount: vm", False)],
)
def test_a_workload_with_an_account_is_taken_for_one_with_a_sidecar_and_its_own_labels_count(mesh, view, label, account, mutual):
    (group,) = mesh(ENTRY + WORKLOAD % (label, account)).endpoints(view(), HTTP).endpoints
    assert ("envoy.transport_socket_match" in group.lb_endpoints[0].metadata.filter_metadata) == mutual
