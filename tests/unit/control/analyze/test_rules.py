"""Every rule sees what it is for, at its place, and is silent when that is mended."""

import pytest

from pymesh_control.analyze.catalogue import RULES
from pymesh_control.model.credential import Credential
from pymesh_control.model.workload import Workload

from .examples import CASES, POD, REVIEWS, SUBSETS, settings
from .meshes import entry, gateway, kube, new_cluster, server, subject, telemetry, thing, to

WORKLOADS = [
    Workload(name="w", namespace="default", ip="w.example", labels={"app": "named"}),
    Workload(name="b", namespace="default", ip="10.0.0.8", labels={"app": "b"}),
]
CREDENTIALS = {
    ("default", "web"): Credential(b"chain", b"key"),
    ("default", "half"): Credential(b"chain"),
    ("edge", "both"): Credential(b"chain", b"key", b"roots"),
}


def found(rule, text):
    return list(rule.diagnostics(subject(text, WORKLOADS, CREDENTIALS)))


def test_every_rule_has_its_two_examples():
    assert [rule.name for rule in RULES] == list(CASES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_sees_what_it_is_for_and_nothing_else(rule):
    bad, good, sentence = CASES[rule.name]
    told = found(rule, bad)
    assert [one.message for one in told if sentence in one.message], told
    assert all(one.code == rule.code and one.why and one.fix for one in told)
    assert found(rule, good) == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("destination-host", (5, 43)),
        ("gateway-exists", (5, 49)),
        ("source-namespace", (5, 47)),
        ("policy-port", (10, 60)),
        ("app-protocol", (5, 48)),
    ],
)
def test_a_finding_stands_where_the_mistake_is(name, place):
    rule = next(one for one in RULES if one.name == name)
    assert [(one.file, one.line, one.column) for one in found(rule, CASES[name][0])] == [("mesh.yaml", *place)]


@pytest.mark.parametrize("part", ["egress: [{hosts: ['*/*'], port: %s}]", "ingress: [{defaultEndpoint: '127.0.0.1:53', port: %s}]"])
def test_ports_of_sidecars_that_speak_udp_are_told_too(part):
    rule = next(one for one in RULES if one.name == "udp-port")
    port = "{number: 53, name: dns, protocol: %s}"
    told = [found(rule, thing("Sidecar", "a", f"{{{part % (port % protocol)}}}")) for protocol in ("UDP", "TCP")]
    assert [[one.message for one in some] for some in told] == [["port 53: UDP is not carried by the mesh"], []]


@pytest.mark.parametrize("codes", ["'*'", "IST0001, IST0101"])
def test_an_annotation_of_istios_keeps_a_resource_from_being_told_of(codes):
    rule = next(one for one in RULES if one.name == "destination-host")
    quiet = thing("VirtualService", "a", "{hosts: [a], http: [{route: [{destination: {host: nobody}}]}]}")
    assert found(rule, quiet)
    key = "galley.istio.io/analyze-suppress"
    value = codes if codes.startswith("'") else f"'{codes}'"
    assert found(rule, quiet.replace("annotations: {}", f"annotations: {{{key}: {value}}}")) == []


def test_a_short_name_in_the_wrong_namespace_gets_the_full_one():
    rule = next(one for one in RULES if one.name == "destination-host")
    there = entry("r", "hosts: [reviews.shop.svc.cluster.local], ports: [{number: 9, name: http}]", "shop")
    (one,) = found(rule, there + to("host: reviews"))
    assert "(there is reviews.shop.svc.cluster.local)" in one.message


def test_ports_of_services_of_kubernetes_should_have_names_too():
    rule = next(one for one in RULES if one.name == "port-name")
    (one,) = found(rule, kube("{port: 9, name: web}"))
    assert one.message == "port 9: neither appProtocol nor the name 'web' says what is spoken"
    assert found(rule, kube("{port: 9, name: http-web}, {port: 53, name: dns, protocol: UDP}")) == []


def test_datagrams_of_services_of_kubernetes_go_past_the_mesh_too():
    rule = next(one for one in RULES if one.name == "udp-port")
    (one,) = found(rule, kube("{port: 53, name: dns, protocol: UDP}, {port: 54, name: dns-tcp}"))
    assert one.message == "port 53: UDP is not carried by the mesh"


def test_where_sidecars_answer_dns_queries_tcp_ports_have_addresses_of_the_meshs_own():
    rule = next(one for one in RULES if one.name == "addresses-required")
    captured = thing("ConfigMap", "istio", "data: {mesh: 'defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: \"true\"}}'}\n")
    bare = CASES[rule.name][0]
    assert found(rule, captured + bare) == []
    assert found(rule, captured.replace("true", "false") + bare)
    opted_out = "{name: a, namespace: default, labels: {networking.istio.io/enable-autoallocate-ip: 'false'},"
    assert found(rule, captured + bare.replace("{name: a, namespace: default,", opted_out))


def test_nothing_is_said_of_selectors_while_no_pod_is_known():
    for name in ("policy-selector", "gateway-selector", "principal-account"):
        rule = next(one for one in RULES if one.name == name)
        assert found(rule, CASES[name][0].replace(POD, "")) == []
    rule = next(one for one in RULES if one.name == "subset-instances")
    assert found(rule, kube("{port: 80, name: http}", name="reviews") + SUBSETS) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (new_cluster("a", "BlackHoleCluster"), "the cluster BlackHoleCluster is left out where every proxy has one of this name"),
        (new_cluster("a", "virtualInbound", apply_to="LISTENER"), "the listener virtualInbound is left out where every sidecar has"),
        (REVIEWS + new_cluster("a", "0.0.0.0_80", apply_to="LISTENER"), "the listener 0.0.0.0_80 is left out where a service's port has"),
        (new_cluster("a", "mine") + new_cluster("b", "mine"), "the cluster mine is left out where EnvoyFilter default/a adds one"),
        (
            new_cluster("a", "mine", selector="{app: x}") + new_cluster("b", "mine", namespace="istio-system"),
            "is left out where EnvoyFilter istio-system/b adds one",
        ),
    ],
)
def test_names_that_are_taken_by_whoever_are_told(text, sentence):
    (one,) = found(next(one for one in RULES if one.name == "taken-name"), text)
    assert sentence in one.message


def test_one_name_for_proxies_that_are_never_the_same_is_not_taken():
    rule = next(one for one in RULES if one.name == "taken-name")
    text = new_cluster("a", "mine", selector="{app: x}") + new_cluster("b", "mine", selector="{app: y}")
    assert found(rule, text) == []


def test_a_gateway_between_networks_needs_no_virtual_service():
    rule = next(one for one in RULES if one.name == "gateway-unused")
    assert found(rule, gateway(server(15443, "'*.local'", "TLS", ", tls: {mode: AUTO_PASSTHROUGH}").replace("''", "'"))) == []


def test_a_telemetry_may_name_a_provider_of_the_mesh_configuration():
    rule = next(one for one in RULES if one.name == "telemetry-provider")
    named = telemetry("a", "{tracing: [{providers: [{name: otel}]}]}")
    own = "extensionProviders: [{name: otel, opentelemetry: {service: a.b, port: 4317}}]"
    assert len(found(rule, named)) == 1
    assert found(rule, settings(own) + named) == []


def test_rules_that_are_private_to_two_namespaces_do_not_contend():
    rule = next(one for one in RULES if one.name == "mesh-host-conflict")
    one, other = (
        thing("VirtualService", "a", "{hosts: [a.b], exportTo: [.], http: [{directResponse: {status: 200}}]}", namespace)
        for namespace in ("m", "n")
    )
    assert found(rule, one + other) == []
    assert len(found(rule, one + other.replace("exportTo: [.]", "exportTo: ['*']"))) == 2


@pytest.mark.parametrize(
    "name",
    [
        "mesh-host-conflict", "gateway-conflict", "shared-certificate", "protocol-conflict", "several-defaults", "same-selector",
        "several-peer-defaults", "same-peer-selector", "same-telemetry-selector", "several-telemetry-defaults",
    ],
)  # fmt: skip
def test_a_conflict_is_told_of_at_both_places(name):
    rule = next(one for one in RULES if one.name == name)
    assert len({one.resource for one in found(rule, CASES[name][0])}) == 2


def test_a_gateway_that_is_not_there_serves_no_host_either():
    rule = next(one for one in RULES if one.name == "gateway-hosts")
    text = thing("VirtualService", "a", "{hosts: [a.b], gateways: [mesh, gone], http: [{directResponse: {status: 200}}]}")
    assert [one.column for one in found(rule, text)] == [39]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("{applyTo: HTTP_ROUTE, patch: {operation: REMOVE}}", 0),
        ("{applyTo: CLUSTER, patch: {operation: REMOVE}}", 1),
        ("{applyTo: CLUSTER, patch: {operation: REPLACE, value: {}}}", 0),
        ("{applyTo: VIRTUAL_HOST, patch: {operation: REPLACE, value: {}}}", 1),
        ("{applyTo: CLUSTER, patch: {operation: MERGE, value: {}}}", 0),
    ],
)
def test_which_operations_have_to_find_something(change, told):
    rule = next(one for one in RULES if one.name == "relative-operation")
    assert len(found(rule, thing("EnvoyFilter", "a", f"{{configPatches: [{change}]}}"))) == told


def test_a_credential_by_name_is_an_authority_for_selected_sidecars_only():
    rule = next(one for one in RULES if one.name == "unverified-destination")
    policy = "host: a.b, trafficPolicy: {tls: {mode: SIMPLE, credentialName: c}}"
    assert len(found(rule, thing("DestinationRule", "a", f"{{{policy}}}"))) == 1
    assert found(rule, thing("DestinationRule", "a", f"{{{policy}, workloadSelector: {{matchLabels: {{app: a}}}}}}")) == []


@pytest.mark.parametrize(
    ("service", "sentence"),
    [
        ("type: LoadBalancer", "has no address by which others get into network far"),
        ("type: NodePort", "traffic.istio.io/nodeSelector is no JSON object of labels"),
        ("externalIPs: [192.0.2.1]", None),
    ],
)
def test_a_service_that_is_labelled_as_a_networks_gateway_has_to_be_one(service, sentence):
    metadata = "{name: edge, labels: {topology.istio.io/network: far}, annotations: {traffic.istio.io/nodeSelector: edge}}"
    ports = "ports: [{name: tls, port: 15443}]"
    text = f"---\napiVersion: v1\nkind: Service\nmetadata: {metadata}\nspec: {{clusterIP: 10.96.0.9, {service}, {ports}}}\n"
    rule = next(one for one in RULES if one.code == "PYM0505")
    assert [one.message.rpartition("edge: ")[2] for one in found(rule, text)] == ([sentence] if sentence else [])
