"""Certificates by name: what listeners and clusters ask for, and who is given it."""

import dataclasses

import pytest

from pymesh.api import parse_text
from pymesh.identity import parse
from pymesh.xds import proto, types
from pymesh_control.analyze.run import warnings
from pymesh_control.generate import generate
from pymesh_control.model.assembly import build
from pymesh_control.model.credential import Credential
from pymesh_control.model.view import view_of

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.example.com], tls: {%s}}]
"""
HELD = {
    ("default", "web"): Credential(b"chain", b"key", b"roots", b"revoked"),
    ("default", "clients-cacert"): Credential(roots=b"others"),
    ("other", "web"): Credential(b"x", b"y"),
}
NAMES = ["kubernetes://web", "kubernetes://web-cacert", "kubernetes://clients-cacert", "kubernetes://absent", "ROOTCA"]


def snapshot(text=""):
    resources = parse_text(text, "f").resources
    built, refused = build(resources, [], 1, HELD)
    return built, refused + warnings(resources, built)


@pytest.fixture
def edge(view):
    seen = view("router", LABELS={"istio": "ingressgateway"})
    return dataclasses.replace(seen, is_authenticated=True)


@pytest.fixture
def context(edge):
    """The TLS context of a gateway's server with these settings, and the warnings."""

    def make(settings):
        built, problems = snapshot(GATEWAY % settings)
        message = proto.unpack(generate(built, edge, types.LISTENER, None)["0.0.0.0_443"].any)
        found = proto.unpack(message.filter_chains[0].transport_socket.typed_config).common_tls_context
        return found, [problem.message for problem in problems]

    return make


def test_a_server_asks_for_its_credential_by_name(context):
    made, warnings = context("mode: SIMPLE, credentialName: web")
    (config,) = made.tls_certificate_sds_secret_configs
    assert (config.name, config.sds_config.WhichOneof("config_source_specifier")) == ("kubernetes://web", "ads")
    assert not warnings


def test_clients_are_verified_by_the_same_credential_or_another(context):
    made, _ = context("mode: MUTUAL, credentialName: web, subjectAltNames: [a.b]")
    combined = made.combined_validation_context
    assert combined.validation_context_sds_secret_config.name == "kubernetes://web-cacert"
    assert combined.default_validation_context.match_typed_subject_alt_names[0].matcher.exact == "a.b"
    made, _ = context("mode: MUTUAL, credentialName: web, caCertCredentialName: clients-cacert")
    assert made.combined_validation_context.validation_context_sds_secret_config.name == "kubernetes://clients-cacert"


def test_a_server_may_have_two_certificates(context):
    made, warnings = context("mode: SIMPLE, credentialNames: [web, absent]")
    assert [one.name for one in made.tls_certificate_sds_secret_configs] == ["kubernetes://web", "kubernetes://absent"]
    assert any("there is no credential absent in any namespace" in warning for warning in warnings)
    files = "{serverCertificate: /a, privateKey: /b}, {serverCertificate: /c, privateKey: /d}"
    made, _ = context(f"mode: SIMPLE, tlsCertificates: [{files}], ecdhCurves: [P-256]")
    assert [one.certificate_chain.filename for one in made.tls_certificates] == ["/a", "/c"]
    assert list(made.tls_params.ecdh_curves) == ["P-256"]


def given(seen):
    built, _ = snapshot()
    return {name: proto.unpack(one.any) for name, one in generate(built, seen, types.SECRET, frozenset(NAMES)).items()}


def test_a_proxy_is_given_the_credentials_of_its_own_namespace(edge):
    found = given(edge)
    assert sorted(found) == ["kubernetes://clients-cacert", "kubernetes://web", "kubernetes://web-cacert"]
    pair = found["kubernetes://web"].tls_certificate
    assert (pair.certificate_chain.inline_bytes, pair.private_key.inline_bytes) == (b"chain", b"key")
    context = found["kubernetes://web-cacert"].validation_context
    assert (context.trusted_ca.inline_bytes, context.crl.inline_bytes) == (b"roots", b"revoked")


def test_nobody_is_given_those_of_another_namespace(edge):
    built, _ = snapshot()
    assert not generate(built, edge, types.SECRET, frozenset({"kubernetes://other/web"}))


def test_a_proxy_that_only_says_who_it_is_is_given_nothing(edge):
    assert not given(dataclasses.replace(edge, is_authenticated=False))


def test_a_stream_with_a_certificate_is_authenticated(view):
    node = proto.base.Node(id="router~10.0.0.1~edge.default~default.svc.cluster.local")
    identity = parse("spiffe://cluster.local/ns/default/sa/edge")
    assert [view_of(node, one).is_authenticated for one in (None, identity)] == [False, True]


OUTSIDE = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec: {hosts: [s3.example.com], resolution: DNS, ports: [{number: 443, name: http, protocol: HTTP}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: outside}
spec: {host: s3.example.com, trafficPolicy: {tls: {mode: MUTUAL, credentialName: web}}%s}
"""


@pytest.mark.parametrize(
    ("kind", "selector", "named"),
    [
        ("router", "", ["kubernetes://web"]),
        ("sidecar", "", []),
        ("sidecar", ", workloadSelector: {matchLabels: {app: a}}", ["kubernetes://web"]),
    ],
)
def test_a_rules_credential_is_for_gateways_and_for_workloads_that_it_selects(view, kind, selector, named):
    built, _ = snapshot(OUTSIDE % selector)
    seen = view(kind, LABELS={"app": "a"})
    cluster = proto.unpack(generate(built, seen, types.CLUSTER, None)["outbound|443||s3.example.com"].any)
    common = proto.unpack(cluster.transport_socket.typed_config).common_tls_context
    assert [one.name for one in common.tls_certificate_sds_secret_configs] == named
