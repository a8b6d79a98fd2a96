"""BackendTLSPolicies: TLS towards services, where no DestinationRule says anything of it."""

import dataclasses

import pytest

from pymesh.api import parse_text
from pymesh.xds import proto, types
from pymesh_control.analyze.run import warnings
from pymesh_control.generate import generate
from pymesh_control.model.assembly import build
from pymesh_control.model.credential import Credential

SERVICE = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web}
spec:
  hosts: [web.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: https-web, protocol: HTTP}]
"""
POLICY = """
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: %s}
spec:
  targetRefs: [{group: "", kind: Service, name: web%s}]
  validation: {hostname: web.example.com, %s}
"""
RULE = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: %s}
spec: {host: web.default.svc.cluster.local, trafficPolicy: {%s}}
"""
SYSTEM = "wellKnownCACertificates: System"
ROOTS = "caCertificateRefs: [{group: '', kind: ConfigMap, name: roots}]"
HTTP, HTTPS = "outbound|80||web.default.svc.cluster.local", "outbound|443||web.default.svc.cluster.local"
HELD = {
    ("default", "roots"): Credential(roots=b"roots"),
    ("default", "half"): Credential(chain=b"chain", key=b"key"),
    ("default", "twin"): Credential(roots=b"roots"),
    ("default", "twin-cacert"): Credential(chain=b"chain", key=b"key", roots=b"other"),
}


def snapshot(text):
    parsed = parse_text(SERVICE + text, "f")
    assert [str(one) for one in parsed.problems] == []
    built, refused = build(parsed.resources, [], 1, HELD)
    assert refused == []
    return built, [one.message for one in warnings(parsed.resources, built) if "BackendTLSPolicy" in one.message]


@pytest.fixture
def contexts(view):
    """The TLS of the two clusters as a client sees it; None for plaintext."""

    def make(text, seen=None):
        found = {}
        for name in (HTTP, HTTPS):
            built = generate(snapshot(text)[0], seen or view(NAMESPACE="other"), types.CLUSTER, frozenset({name}))
            socket = proto.unpack(built[name].any).transport_socket
            found[name] = proto.unpack(socket.typed_config) if socket.name.endswith("tls") else None
        return found

    return make


def names(context):
    common = context.common_tls_context
    return [one.matcher.exact for one in common.validation_context.match_typed_subject_alt_names]


def test_every_client_speaks_tls_with_the_target_and_verifies_its_name(contexts, view):
    for seen in (view(), view(NAMESPACE="other"), view("router")):
        for context in contexts(POLICY % ("a", "", SYSTEM), seen).values():
            assert (context.sni, names(context)) == ("web.example.com", ["web.example.com"])
            assert context.common_tls_context.validation_context.trusted_ca.filename == "/etc/ssl/certs/ca-certificates.crt"


def test_other_names_stand_in_the_host_names_place(contexts):
    others = SYSTEM + ", subjectAltNames: [{type: Hostname, hostname: a.com}, {type: URI, uri: 'spiffe://a/b'}]"
    context = contexts(POLICY % ("a", "", others))[HTTP]
    assert (context.sni, names(context)) == ("web.example.com", ["a.com", "spiffe://a/b"])


def test_a_policy_for_one_port_leaves_the_others_alone_and_stands_over_one_for_all(contexts):
    one = POLICY % ("a", ", sectionName: https-web", SYSTEM)
    found = contexts(one)
    assert (found[HTTP], found[HTTPS].sni) == (None, "web.example.com")
    both = contexts(one + POLICY.replace("web.example.com", "all.example.com") % ("b", "", SYSTEM))
    assert (both[HTTP].sni, both[HTTPS].sni) == ("all.example.com", "web.example.com")


@pytest.mark.parametrize("place", ["default", "other"])
def test_what_a_rule_says_of_tls_stands_and_the_policy_fills_its_gap(contexts, place):
    policy = POLICY % ("a", "", SYSTEM)
    assert contexts(policy + RULE % (place, "tls: {mode: DISABLE}"))[HTTP] is None
    assert contexts(policy + RULE % (place, "connectionPool: {tcp: {maxConnections: 7}}"))[HTTP].sni == "web.example.com"


def test_authorities_by_name_are_for_clients_of_every_namespace(contexts, view):
    text = POLICY % ("a", "", ROOTS)
    combined = contexts(text)[HTTP].common_tls_context.combined_validation_context
    wanted = combined.validation_context_sds_secret_config.name
    assert wanted == "kubernetes://default/roots-cacert"
    assert [one.matcher.exact for one in combined.default_validation_context.match_typed_subject_alt_names] == ["web.example.com"]
    stranger = dataclasses.replace(view(NAMESPACE="other"), is_authenticated=True)
    given = generate(snapshot(text)[0], stranger, types.SECRET, frozenset({wanted, "kubernetes://default/half"}))
    assert {name: proto.unpack(one.any).validation_context.trusted_ca.inline_bytes for name, one in given.items()} == {wanted: b"roots"}


def test_no_key_leaves_its_namespace_that_is_named_like_authorities(view):
    text = POLICY % ("a", "", ROOTS.replace("roots", "twin"))
    stranger = dataclasses.replace(view(NAMESPACE="other"), is_authenticated=True)
    (given,) = generate(snapshot(text)[0], stranger, types.SECRET, frozenset({"kubernetes://default/twin-cacert"})).values()
    assert not proto.unpack(given.any).HasField("tls_certificate")


@pytest.mark.parametrize("name", ["gone", "half"])
def test_without_its_authorities_nothing_is_called_unverified(contexts, name):
    text = POLICY % ("a", "", ROOTS.replace("roots", name))
    combined = contexts(text)[HTTP].common_tls_context.combined_validation_context
    assert combined.validation_context_sds_secret_config.name == f"kubernetes://default/{name}-cacert"
    assert "(ca.crt)" in snapshot(text)[1][0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (POLICY.replace("name: web%s", "name: gone%s") % ("a", "", SYSTEM), "there is no Service default/gone"),
        (POLICY.replace("kind: Service", "kind: Pod") % ("a", "", SYSTEM), "there is no Pod default/web"),
        (POLICY % ("a", ", sectionName: gone", SYSTEM), "has no port of the name gone"),
        (POLICY % ("a", "", ROOTS.replace("ConfigMap", "Pod")), "authorities of kind Pod are not read"),
        (POLICY % ("a", "", SYSTEM) + POLICY % ("b", "", SYSTEM), "BackendTLSPolicy a is older, and for the same target"),
    ],
)
def test_a_policy_that_does_nothing_is_told(text, sentence):
    told = snapshot(text)[1]
    assert len(told) == 1
    assert sentence in told[0]


def test_a_cluster_says_which_policy_it_was_made_of(view):
    cluster = generate(snapshot(POLICY % ("a", "", SYSTEM))[0], view(), types.CLUSTER, frozenset({HTTP}))[HTTP]
    told = proto.unpack(cluster.any).metadata.filter_metadata["pymesh"].fields["origins"].list_value.values
    assert "BackendTLSPolicy default/a" in [one.string_value for one in told]
