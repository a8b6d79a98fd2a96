"""TLS of the Gateway API's listeners: which certificates they show and ask for, and who is given them."""

import dataclasses

import pytest

from pymesh.api import parse_text
from pymesh.xds import proto, types
from pymesh_control.analyze.run import warnings
from pymesh_control.generate import generate
from pymesh_control.model.assembly import build
from pymesh_control.model.credential import Credential

GATEWAY = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  listeners: [{name: https, port: 443, protocol: HTTPS, hostname: a.example.com, tls: {%s}}]
"""
FRONTEND = "  tls: {frontend: {default: {}, perPort: [{port: 443, tls: {validation: {caCertificateRefs: [%s]}}}]}}\n"
GRANT = """
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: g, namespace: vault}
spec: {from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}], to: [{group: "", kind: Secret}]}
"""
HELD = {
    ("default", "web"): Credential(b"chain", b"key"),
    ("default", "ecdsa"): Credential(b"chain", b"key"),
    ("default", "half"): Credential(b"chain"),
    ("default", "clients"): Credential(roots=b"roots"),
    ("vault", "web"): Credential(b"theirs", b"key", b"their roots"),
}
WEB = "certificateRefs: [{name: web}]"
CLIENTS = "{group: '', kind: ConfigMap, name: clients}"


@pytest.fixture
def edge(edge):
    return dataclasses.replace(edge, is_authenticated=True)


def snapshot(text):
    parsed = parse_text(text, "f")
    assert [str(one) for one in parsed.problems] == []
    built, refused = build(parsed.resources, [], 1, HELD)
    assert refused == []
    return built


@pytest.fixture
def context(edge):
    """The TLS context of the listener with these settings; None when no proxy opens it."""

    def make(settings, more=""):
        listeners = generate(snapshot(GATEWAY % settings + more), edge, types.LISTENER, None)
        if not listeners:
            return None
        (chain,) = proto.unpack(listeners["0.0.0.0_443"].any).filter_chains
        assert list(chain.filter_chain_match.server_names) == ["a.example.com"]
        return proto.unpack(chain.transport_socket.typed_config)

    return make


def test_a_listener_shows_the_certificates_that_it_names(context):
    def names(settings):
        return [one.name for one in context(settings).common_tls_context.tls_certificate_sds_secret_configs]

    assert names(WEB) == ["kubernetes://default/web"]
    assert names("certificateRefs: [{name: web}, {name: ecdsa}]") == ["kubernetes://default/web", "kubernetes://default/ecdsa"]
    assert names("certificateRefs: [{name: web}, {name: gone}]") == ["kubernetes://default/web"]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("certificateRefs: [{name: gone}]", "InvalidCertificateRef"),
        ("certificateRefs: [{name: half}]", "InvalidCertificateRef"),
        ("certificateRefs: [{name: web, kind: ConfigMap}]", "InvalidCertificateRef"),
        ("certificateRefs: [{name: web, namespace: vault}]", "RefNotPermitted"),
        ("certificateRefs: [{name: web}, {name: ecdsa}, {name: half}]", "InvalidCertificateRef"),
    ],
)
def test_a_listener_without_a_certificate_is_not_opened(context, settings, reason):
    assert context(settings) is None
    built = snapshot(GATEWAY % settings)
    (listener,) = built.gateway_api.statuses[0].listeners
    assert ("ResolvedRefs", reason) in [(one.type, one.reason) for one in listener.conditions]
    assert ("Programmed", False) in [(one.type, one.status) for one in listener.conditions]
    places = [(one.line, one.severity) for one in warnings(parse_text(GATEWAY % settings, "f").resources, built)]
    assert places == [(7, "warning")]


def test_a_certificate_of_another_namespace_needs_a_grant_and_is_then_handed_out(context, edge):
    settings = "certificateRefs: [{name: web, namespace: vault}]"
    (config,) = context(settings, GRANT).common_tls_context.tls_certificate_sds_secret_configs
    assert config.name == "kubernetes://vault/web"
    wanted = frozenset({config.name, "kubernetes://vault/other"})
    given = generate(snapshot(GATEWAY % settings + GRANT), edge, types.SECRET, wanted)
    assert proto.unpack(given[config.name].any).tls_certificate.certificate_chain.inline_bytes == b"theirs"
    assert set(given) == {config.name}
    assert generate(snapshot(GATEWAY % settings), edge, types.SECRET, wanted) == {}
    for other in (dataclasses.replace(edge, namespace="other"), dataclasses.replace(edge, is_authenticated=False)):
        assert generate(snapshot(GATEWAY % settings + GRANT), other, types.SECRET, wanted) == {}


def test_clients_are_verified_where_the_gateway_says_so(context, edge):
    made = context(WEB, FRONTEND % CLIENTS)
    assert made.require_client_certificate.value
    name = made.common_tls_context.combined_validation_context.validation_context_sds_secret_config.name
    assert name == "kubernetes://default/clients-cacert"
    assert set(generate(snapshot(GATEWAY % WEB + FRONTEND % CLIENTS), edge, types.SECRET, frozenset({name}))) == {name}
    optional = context(WEB + ", options: {gateway.istio.io/tls-terminate-mode: OPTIONAL_MUTUAL}", FRONTEND % CLIENTS)
    assert not optional.require_client_certificate.value
    assert optional.common_tls_context.HasField("combined_validation_context")


@pytest.mark.parametrize(
    "authority", ["{group: '', kind: ConfigMap, name: gone}", "{group: '', kind: Pod, name: clients}", f"{CLIENTS}, {CLIENTS}"]
)
def test_a_listener_that_cannot_verify_clients_is_not_opened(context, authority):
    assert context(WEB, FRONTEND % authority) is None


def test_options_choose_ciphers_and_the_certificates_of_the_mesh(context):
    made = context(WEB + ", options: {gateway.istio.io/tls-cipher-suites: 'ECDHE-RSA-AES256-GCM-SHA384, AES128-GCM-SHA256'}")
    assert list(made.common_tls_context.tls_params.cipher_suites) == ["ECDHE-RSA-AES256-GCM-SHA384", "AES128-GCM-SHA256"]
    mutual = context("options: {gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL}")
    assert [one.name for one in mutual.common_tls_context.tls_certificate_sds_secret_configs] == ["default"]
    assert context(WEB + ", options: {gateway.istio.io/tls-terminate-mode: OTHER}") is None


SET = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: shop}
spec:
  parentRef: {name: edge, namespace: default}
  listeners: [{name: https, port: 444, protocol: HTTPS, tls: {certificateRefs: [{name: web, namespace: vault}]}}]
"""


@pytest.mark.parametrize(("kind", "opened"), [("ListenerSet", True), ("Gateway", False)])
def test_a_set_names_certificates_by_grants_for_itself(edge, kind, opened):
    takes = "  allowedListeners: {namespaces: {from: All}}\n"
    grant = GRANT.replace("kind: Gateway, namespace: default", f"kind: {kind}, namespace: shop")
    built = snapshot(GATEWAY % WEB + takes + SET + grant)
    assert ("0.0.0.0_444" in generate(built, edge, types.LISTENER, None)) == opened
    assert bool(generate(built, edge, types.SECRET, frozenset({"kubernetes://vault/web"}))) == opened


MUTUAL = ", options: {gateway.istio.io/tls-terminate-mode: MUTUAL}"


def test_authorities_may_come_with_the_certificate_from_wherever_that_does(context, edge):
    settings = "certificateRefs: [{name: web, namespace: vault}]" + MUTUAL
    made = context(settings, GRANT)
    name = made.common_tls_context.combined_validation_context.validation_context_sds_secret_config.name
    assert (made.require_client_certificate.value, name) == (True, "kubernetes://vault/web-cacert")
    (given,) = generate(snapshot(GATEWAY % settings + GRANT), edge, types.SECRET, frozenset({name})).values()
    assert proto.unpack(given.any).validation_context.trusted_ca.inline_bytes == b"their roots"


def test_mutual_tls_without_authorities_is_told_and_not_opened(context):
    assert context(WEB + MUTUAL) is None
    (listener,) = snapshot(GATEWAY % (WEB + MUTUAL)).gateway_api.statuses[0].listeners
    assert ("Accepted", "NoValidCACertificate") in [(one.type, one.reason) for one in listener.conditions]
