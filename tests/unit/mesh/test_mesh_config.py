"""The ConfigMap `istio`: YAML inside YAML."""

# ruff: noqa: E501  (tables of one case a line)

import pytest

from pymesh.api import Position, parse_text
from pymesh.api.models.meshconfig import AccessLogEncoding, OutboundTrafficPolicyMode

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n"
MESH = HEAD + (
    "  mesh: |-\n"
    "    accessLogFile: /dev/stdout\n"
    "    accessLogEncoding: JSON\n"
    "    outboundTrafficPolicy:\n"
    "      mode: REGISTRY_ONLY\n"
    "    connectTimeout: 5s\n"
    "    protocolDetectionTimeout: 0s\n"
    "    defaultHttpRetryPolicy: {attempts: 0}\n"
    "    trustDomainAliases: [old.example]\n"
)


def lines_of(text):
    return [str(problem) for problem in parse_text(text, "f").problems]


def test_the_mesh_configuration_is_read():
    (resource,) = parse_text(MESH, "f").resources
    assert (resource.kind, resource.name, resource.namespace) == ("ConfigMap", "istio", "istio-system")
    mesh = resource.spec
    assert mesh.access_log_encoding is AccessLogEncoding.JSON
    assert mesh.outbound_traffic_policy.mode is OutboundTrafficPolicyMode.REGISTRY_ONLY
    assert (mesh.connect_timeout, mesh.protocol_detection_timeout) == (5, 0)
    assert mesh.trust_domain_aliases == ["old.example"]
    assert mesh.enable_auto_mtls is None


def test_positions_inside_a_literal_block_are_those_of_the_file():
    (resource,) = parse_text("\n" + MESH, "f").resources
    assert resource.position_of("spec", "outbound_traffic_policy", "mode") == Position("f", 10, 7)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("  mesh: |\n    acessLogFile: x\n", 'f:6:5: error: ConfigMap istio: data.mesh.acessLogFile: unknown field (did you mean "accessLogFile"?)'),
        ("  mesh: 'proxyListenPort: 70000'\n", "f:5:9: error: ConfigMap istio: data.mesh.proxyListenPort: the port 70000 is not between 1 and 65535"),
        ("  mesh: |\n    discoverySelectors:\n    - matchExpressions: [{key: a, operator: Is}]\n", 'f:7:45: error: ConfigMap istio: data.mesh.discoverySelectors[0].matchExpressions[0].operator: "Is" is not one of In, NotIn, Exists, DoesNotExist'),
        ("  mesh: |\n    discoverySelectors:\n    - matchExpressions: [{key: a, operator: In}]\n", "f:7:26: error: ConfigMap istio: data.mesh.discoverySelectors[0].matchExpressions[0]: needs at least one value"),
        ("  mesh: 'extensionProviders: [{name: a}]'\n", "f:5:9: warning: ConfigMap istio: data.mesh.extensionProviders[0]: needs one kind of provider, such as envoyFileAccessLog"),
        ("  mesh: 'extensionProviders: [{name: a, prometheus: {}, sds: {}}]'\n", 'f:5:9: error: ConfigMap istio: data.mesh.extensionProviders[0].sds: "prometheus" and "sds" cannot be set together'),
        ("  mesh: 'extensionProviders: [{name: a, prometheus: {}}, {name: a, prometheus: {}}]'\n", 'f:5:9: warning: ConfigMap istio: data.mesh.extensionProviders[1].name: there is a provider "a" already'),
        ("  mesh: 'extensionProviders: [{name: a, zipkin: {service: z, port: 70000}}]'\n", "f:5:9: warning: ConfigMap istio: data.mesh.extensionProviders[0].zipkin.port: the port 70000"),
        ("  mesh: 'extensionProviders: [{name: a, envoyExtAuthzHttp: {service: a.b, port: 80, pathPrefix: check}}]'\n", 'f:5:9: warning: ConfigMap istio: data.mesh.extensionProviders[0].envoyExtAuthzHttp.pathPrefix: "check" must begin with a slash'),
        ("  mesh: 'extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: a.b, port: 80, statusOnError: \"999\"}}]'\n", 'f:5:9: warning: ConfigMap istio: data.mesh.extensionProviders[0].envoyExtAuthzGrpc.statusOnError: "999" is no status code'),
        ("  mesh: 'defaultInboundHttpRetryPolicy: {attempts: 1, perTryTimeout: 1s}'\n", "f:5:9: warning: ConfigMap istio: data.mesh.defaultInboundHttpRetryPolicy.perTryTimeout: is not looked at where requests come in, in Istio as here"),
        ("  mesh: 'defaultInboundHttpRetryPolicy: {backoff: 1s}'\n", "f:5:9: error: ConfigMap istio: data.mesh.defaultInboundHttpRetryPolicy.backoff: has no meaning without attempts"),
        ("  mesh: 'tlsDefaults: {ecdhCurves: [P-256, K-233]}'\n", 'f:5:9: warning: ConfigMap istio: data.mesh.tlsDefaults.ecdhCurves[1]: "K-233" is no curve that Envoy is known to have'),
        ("  mesh: 'tlsDefaults: {ecdhCurves: [P-256, P-256]}'\n", 'f:5:9: warning: ConfigMap istio: data.mesh.tlsDefaults.ecdhCurves[1]: "P-256" is listed twice'),
        ("  mesh: 'defaultConfig: {drainDuration: 1500ms}'\n", "f:5:9: error: ConfigMap istio: data.mesh.defaultConfig.drainDuration: must be whole seconds"),
        ("  mesh: 'defaultConfig: {discoveryAddress: istiod}'\n", 'f:5:9: error: ConfigMap istio: data.mesh.defaultConfig.discoveryAddress: "istiod" is not an address (HOST:PORT)'),
        ("  mesh: 'defaultConfig: {statsdUdpAddress: \"a:0\"}'\n", 'f:5:9: error: ConfigMap istio: data.mesh.defaultConfig.statsdUdpAddress: "a:0" is not an address (HOST:PORT)'),
        ("  mesh: 'defaultConfig: {tracing: {zipkin: {address: \"*.a:1\"}}}'\n", 'f:5:9: error: ConfigMap istio: data.mesh.defaultConfig.tracing.zipkin.address: "*.a:1" is not an address (HOST:PORT)'),
        ("  mesh: 'defaultConfig: {envoyAccessLogService: {address: \"a\"}}'\n", 'f:5:9: error: ConfigMap istio: data.mesh.defaultConfig.envoyAccessLogService.address: "a" is not an address (HOST:PORT)'),
        ("  mesh: 'defaultConfig: {proxyMetadata: {ISTIO_META_DNS_AUTO_ALLOCATE: \"true\"}}'\n", "f:5:9: warning: ConfigMap istio: data.mesh.defaultConfig.proxyMetadata.ISTIO_META_DNS_AUTO_ALLOCATE: deprecated: addresses are allocated for everybody"),
        ("  meshNetworks: 'networks: {a: {endpoints: [{fromRegistry: a.b}]}}'\n", 'f:5:17: error: ConfigMap istio: data.meshNetworks.networks.a.endpoints[0].fromRegistry: "a.b" is not a DNS label'),
        ("  mesh: 'defaultServiceExportTo: [\"*\", a]'\n", 'f:5:9: error: ConfigMap istio: data.mesh.defaultServiceExportTo: "*" must be the only entry'),
        ("  mesh: 'serviceSettings: [{settings: {clusterLocal: true}}]'\n", "f:5:9: error: ConfigMap istio: data.mesh.serviceSettings[0]: needs at least one host"),
        ("  mesh: 'localityLbSetting: {distribute: [{from: a, to: {b: 50}}]}'\n", "f:5:9: error: ConfigMap istio: data.mesh.localityLbSetting.distribute[0]"),
        ("  mesh: |\n\n      rootNamespace: [x]\n", "f:5:9: error: ConfigMap istio: data.mesh.rootNamespace: expected a string, found a list"),
        ("  mesh: 'connectTimeout: 5'\n", 'f:5:9: error: ConfigMap istio: data.mesh.connectTimeout: expected a duration such as "10s" or "100ms"'),
        ("  mesh: |\n    defaultConfig: {proxyHeaders: {server: {vale: x}}}\n", 'f:6:45: error: ConfigMap istio: data.mesh.defaultConfig.proxyHeaders.server.vale: unknown field (did you mean "value"?)'),
        ("  mesh: |\n    defaultConfig: {concurrency: -1}\n", "f:6:34: error: ConfigMap istio: data.mesh.defaultConfig.concurrency: -1 is negative"),
        ("  mesh: |\n    a: [\n    b\n", "f:8:5: error: not valid YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        ("  mesh: |\n    trustDomain: a\n    trustDomain: b\n", 'f:7:5: error: duplicate key "trustDomain" (first on line 6)'),
        ("  mesh: {trustDomain: a}\n", "f:5:3: error: ConfigMap istio: data.mesh: expected a block of YAML (mesh: |), found an object"),
        ("  mesh: 'connectTimeout: 2h'\n", "f:5:9: error: ConfigMap istio: data.mesh.connectTimeout: must be at most 1h"),
        ("  mesh: 'trustDomain: A.b'\n", "f:5:9: error: ConfigMap istio: data.mesh.trustDomain: trust domain 'A.b' may hold only a-z, 0-9, '.', '-' and '_'"),
        ("  mesh: 'trustDomainAliases: [a/b]'\n", 'f:5:9: error: ConfigMap istio: data.mesh.trustDomainAliases[0]: trust domain \'a/b\' may hold only'),
        ("  mesh: 'rootNamespace: a.b'\n", 'f:5:9: error: ConfigMap istio: data.mesh.rootNamespace: "a.b" is not a DNS label'),
        ("  mesh: 'defaultHttpRetryPolicy: {attempts: -1}'\n", "f:5:9: error: ConfigMap istio: data.mesh.defaultHttpRetryPolicy.attempts: the number of attempts -1 is negative"),
        ("  mesh: 'outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS, tls: {mode: MUTUAL}}'\n", "f:5:9: error: ConfigMap istio: data.mesh.outboundTrafficPolicy.tls: mode MUTUAL needs"),
        ("  mesh: 'outboundTrafficPolicy: {mode: ALLOW_ANY, tls: {mode: SIMPLE}}'\n", "f:5:9: warning: ConfigMap istio: data.mesh.outboundTrafficPolicy.tls: has no effect unless the mode is ALLOW_ANY_DYNAMIC_DNS"),
        ("  networks: ''\n", "f:5:3: error: ConfigMap istio: data.networks: not supported"),
        ("  mesh: ''\nbinaryData: {}\n", "f:6:1: error: ConfigMap istio: binaryData: unknown field"),
    ],
)
def test_a_mistake_inside_is_told_at_its_place_in_the_file(data, expected):
    assert any(line.startswith(expected) for line in lines_of(HEAD + data)), lines_of(HEAD + data)


def test_networks_are_a_resource_of_their_own_beside_the_mesh_configuration_or_alone():
    networks = "  meshNetworks: |\n    networks: {a: {}}\n"
    mesh, found = parse_text(MESH + networks, "f").resources
    assert (mesh.kind, found.kind, found.name, found.namespace) == ("ConfigMap", "MeshNetworks", "istio", "istio-system")
    assert found.position_of(*found.root, "networks", "a") == Position("f", 15, 16)
    (alone,) = parse_text(HEAD + networks, "f").resources
    assert (alone.kind, list(alone.spec.networks)) == ("MeshNetworks", ["a"])


def test_an_empty_mesh_configuration_has_only_defaults():
    assert parse_text(HEAD + "  mesh: ''\n", "f").resources[0].spec.model_fields_set == set()


@pytest.mark.parametrize(
    "mesh",
    [
        "defaultConfig: {discoveryAddress: 'istiod.istio-system.svc:15012', tracing: {datadog: {address: '$(HOST_IP):8126'}}, drainDuration: 45s}",
        "defaultConfig: {statsdUdpAddress: '[fd00::1]:9125', envoyMetricsService: {address: '10.0.0.1:80'}}",
        "defaultConfig: {connectionSettings: {listenerPerConnectionBufferLimitBytes: 0, clusterPerConnectionBufferLimitBytes: 0}}",
        "extensionProviders: [{name: a, envoyExtAuthzGrpc: {service: 10.0.0.1, port: 9000, statusOnError: '503'}}]",
        "defaultInboundHttpRetryPolicy: {attempts: 2, retryOn: reset, backoff: 1s}",
    ],
)
def test_what_istio_takes_is_taken(mesh):
    assert lines_of(HEAD + "  mesh: |\n    " + mesh + "\n") == []
