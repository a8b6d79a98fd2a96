"""Every field of the MeshConfig does something to what proxies are sent, or loading warns of it."""

import pathlib
import textwrap

import pytest

from pymesh.api import parse_text
from pymesh.xds import types
from pymesh_control.analyze.run import warnings
from pymesh_control.generate import generate
from pymesh_control.model.assembly import build
from pymesh_control.model.unused import AT_START, UNUSED

FIELDS = [
    line.removeprefix("MeshConfig.")
    for line in (pathlib.Path(__file__).parents[2] / "mesh" / "mesh_fields.txt").read_text().splitlines()
    if line.startswith("MeshConfig.")
]
LEAVES = [name for name in FIELDS if not any(other.startswith(f"{name}.") for other in FIELDS)]

MESH = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
%s
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec:
  hosts: [outside.example.com]
  resolution: DNS
  ports: [{number: 80, name: http}, {number: 443, name: tls}, {number: 444, name: tls-hidden}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: outside, namespace: shop}
spec: {host: outside.example.com, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE}}]}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http}, {number: 90, name: tcp}]
  endpoints: [{address: 10.0.0.7, locality: eu/west}, {address: 10.0.0.8, locality: us/east}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: own}
spec:
  hosts: [own.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, targetPort: 8080}, {number: 90, name: tcp}]
  workloadSelector: {labels: {app: own}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: own}
spec: {address: 10.0.0.9, labels: {app: own}, serviceAccount: own}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: rewritten}
spec: {hosts: [reviews], http: [{rewrite: {uri: /}, route: [{destination: {host: reviews}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: outside, namespace: shop}
spec:
  hosts: [outside.example.com]
  http: [{route: [{destination: {host: outside.example.com, port: {number: 80}}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {app: own}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: edge}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: admin}
spec: {mtls: {mode: DISABLE}}
"""

LOG = "extensionProviders: [{name: file, envoyFileAccessLog: {%s}}]\ndefaultProviders: {accessLogging: [file]}"
SELECTOR = "discoverySelectors: [{%s}]"
OWN_METRICS = "defaultProviders: {metrics: [own]}"
LOCAL = "serviceSettings: [{settings: {clusterLocal: true}, hosts: [%s]}]"
BY_NAME = "kubernetes.io/metadata.name"

HEADERS, TOPOLOGY = "defaultConfig: {proxyHeaders: {%s}}", "defaultConfig: {gatewayTopology: {%s}}"
CONNECTIONS = "defaultConfig: {connectionSettings: {%s}}"
LIMITS = {
    "httpDrainTimeout": "3s",
    "httpHeadersWithUnderscoresAction": "HEADERS_WITH_UNDERSCORES_DROP_HEADER",
    "httpIdleTimeout": "3s",
    "httpMaxConcurrentStreams": "7",
    "httpMaxConnectionDuration": "3s",
    "httpMaxStreamDuration": "3s",
    "httpMergeSlashes": "true",
    "httpPathWithEscapedSlashesAction": "REJECT_REQUEST",
    "httpRequestHeadersTimeout": "3s",
    "httpRequestTimeout": "3s",
    "httpStreamIdleTimeout": "3s",
    "http2InitialConnectionWindowSize": "70000",
    "http2InitialStreamWindowSize": "70000",
    "listenerPerConnectionBufferLimitBytes": "4096",
    "profile": "EDGE",
}

EFFECTS = {
    "accessLogEncoding": "accessLogFile: /dev/stdout\naccessLogEncoding: JSON",
    "accessLogFile": "accessLogFile: /dev/stderr",
    "accessLogFormat": "accessLogFile: /dev/stdout\naccessLogFormat: 'x'",
    "connectTimeout": "connectTimeout: 3s",
    "defaultDestinationRuleExportTo": "defaultDestinationRuleExportTo: ['.']",
    "defaultHttpRetryPolicy": "defaultHttpRetryPolicy: {attempts: 7}",
    "defaultProviders.accessLogging": "defaultProviders: {accessLogging: [envoy]}",
    "defaultProviders.metrics": "defaultProviders: {metrics: [stackdriver]}",
    "defaultServiceExportTo": "defaultServiceExportTo: ['.']",
    "defaultTrafficPolicy.connectionPool": "defaultTrafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}",
    "defaultTrafficPolicy.outlierDetection": "defaultTrafficPolicy: {outlierDetection: {interval: 3s}}",
    "defaultVirtualServiceExportTo": "defaultVirtualServiceExportTo: ['.']",
    "disableEnvoyListenerLog": "accessLogFile: /dev/stdout\ndisableEnvoyListenerLog: true",
    "discoverySelectors.matchExpressions.key": SELECTOR % f"matchExpressions: [{{key: {BY_NAME}, operator: In, values: [default]}}]",
    "discoverySelectors.matchExpressions.operator": SELECTOR % f"matchExpressions: [{{key: {BY_NAME}, operator: DoesNotExist}}]",
    "discoverySelectors.matchExpressions.values": SELECTOR % f"matchExpressions: [{{key: {BY_NAME}, operator: NotIn, values: [shop]}}]",
    "discoverySelectors.matchLabels": SELECTOR % f"matchLabels: {{{BY_NAME}: default}}",
    "dnsRefreshRate": "dnsRefreshRate: 7s",
    "enableAutoMtls": "enableAutoMtls: false",
    "extensionProviders.envoyFileAccessLog.logFormat.labels": LOG % "logFormat: {labels: {a: b}}",
    "extensionProviders.envoyFileAccessLog.logFormat.text": LOG % "logFormat: {text: x}",
    "extensionProviders.envoyFileAccessLog.omitEmptyValues": LOG % "omitEmptyValues: true",
    "extensionProviders.envoyFileAccessLog.path": LOG % "path: /tmp/log",
    "extensionProviders.name": LOG % "",
    "extensionProviders.prometheus": "extensionProviders: [{name: own, prometheus: {}}]\n" + OWN_METRICS,
    "h2UpgradePolicy": "h2UpgradePolicy: UPGRADE",
    "inboundClusterStatName": "inboundClusterStatName: '%SERVICE_FQDN%'",
    "inboundTrafficPolicy.mode": "inboundTrafficPolicy: {mode: LOCALHOST}",
    "localityLbSetting": "localityLbSetting: {distribute: [{from: '*', to: {'eu/*': 100}}]}",
    "meshMTLS.cipherSuites": "meshMTLS: {cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]}",
    "meshMTLS.minProtocolVersion": "meshMTLS: {minProtocolVersion: TLSV1_3}",
    "outboundClusterStatName": "outboundClusterStatName: '%SERVICE%.%SERVICE_PORT%'",
    "outboundTrafficPolicy.mode": "outboundTrafficPolicy: {mode: REGISTRY_ONLY}",
    "outboundTrafficPolicy.tls": "outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS, tls: {mode: SIMPLE}}",
    "pathNormalization.normalization": "pathNormalization: {normalization: MERGE_SLASHES}",
    "protocolDetectionTimeout": "protocolDetectionTimeout: 5s",
    "proxyHttpPort": "proxyHttpPort: 15002",
    "proxyInboundListenPort": "proxyInboundListenPort: 16006",
    "proxyListenPort": "proxyListenPort: 16001",
    "rootNamespace": "rootNamespace: admin",
    "serviceSettings.hosts": LOCAL % "reviews.default.svc.cluster.local",
    "serviceSettings.settings.clusterLocal": LOCAL % "'*.default.svc.cluster.local'",
    "tcpKeepalive": "tcpKeepalive: {time: 10s}",
    "tlsDefaults.cipherSuites": "tlsDefaults: {cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384]}",
    "tlsDefaults.ecdhCurves": "tlsDefaults: {ecdhCurves: [P-256]}",
    "trustDomain": "trustDomain: other.example",
    "trustDomainAliases": "trustDomainAliases: [old.example]",
    "tlsDefaults.minProtocolVersion": "tlsDefaults: {minProtocolVersion: TLSV1_3}",
    "defaultConfig.gatewayTopology.forwardClientCertDetails": TOPOLOGY % "forwardClientCertDetails: APPEND_FORWARD",
    "defaultConfig.gatewayTopology.numTrustedProxies": TOPOLOGY % "numTrustedProxies: 2",
    "defaultConfig.gatewayTopology.proxyProtocol": TOPOLOGY % "proxyProtocol: {}",
    "defaultConfig.proxyHeaders.attemptCount.disabled": HEADERS % "attemptCount: {disabled: true}",
    "defaultConfig.proxyHeaders.envoyDebugHeaders.disabled": HEADERS % "envoyDebugHeaders: {disabled: true}",
    "defaultConfig.proxyHeaders.forwardedClientCert": HEADERS % "forwardedClientCert: SANITIZE",
    "defaultConfig.proxyHeaders.preserveHttp1HeaderCase": HEADERS % "preserveHttp1HeaderCase: true",
    "defaultConfig.proxyHeaders.requestId.disabled": HEADERS % "requestId: {disabled: true}",
    "defaultConfig.proxyHeaders.server.disabled": HEADERS % "server: {disabled: true}",
    "defaultConfig.proxyHeaders.server.value": HEADERS % "server: {value: mine}",
    "defaultConfig.proxyHeaders.setCurrentClientCertDetails.cert": HEADERS % "setCurrentClientCertDetails: {cert: true}",
    "defaultConfig.proxyHeaders.setCurrentClientCertDetails.dns": HEADERS % "setCurrentClientCertDetails: {dns: false}",
    "defaultConfig.proxyHeaders.setCurrentClientCertDetails.subject": HEADERS % "setCurrentClientCertDetails: {subject: false}",
    "defaultConfig.proxyHeaders.setCurrentClientCertDetails.uri": HEADERS % "setCurrentClientCertDetails: {uri: false}",
    "defaultConfig.proxyHeaders.xForwardedHost.enabled": HEADERS % "xForwardedHost: {enabled: true}",
    "defaultConfig.proxyHeaders.xForwardedPort.enabled": HEADERS % "xForwardedPort: {enabled: true}",
    **{f"defaultConfig.connectionSettings.{name}": CONNECTIONS % f"{name}: {value}" for name, value in LIMITS.items()},
    "zoneAwareLbSetting": "zoneAwareLbSetting: {minClusterSize: 2}",
}
"""Settings by what they show: the last field of each path makes the difference."""

def sent(view, settings):
    """The bytes of everything that a sidecar and a gateway of the mesh are sent, and the warnings of its loading."""
    parsed = parse_text(MESH % textwrap.indent(settings, "    "), "mesh.yaml")
    assert [str(problem) for problem in parsed.problems] == []
    snapshot, problems = build(parsed.resources, (), 1)
    assert problems == []
    return list(_bytes(view, snapshot)), warnings(parsed.resources, snapshot)


def _bytes(view, snapshot):
    for seen in (view(LABELS={"app": "own"}, CLUSTER_ID="other"), view("router", agent="envoy", LABELS={"app": "own"})):
        for kind in (types.CLUSTER, types.ENDPOINT, types.LISTENER):
            yield kind, sorted((name, one.any.SerializeToString()) for name, one in generate(snapshot, seen, kind, None).items())
        names = frozenset({"80", "http_proxy"})
        yield types.ROUTE, sorted((n, one.any.SerializeToString()) for n, one in generate(snapshot, seen, types.ROUTE, names).items())


PLAIN_LOG, PROVIDER = "accessLogFile: /dev/stdout", LOG % ""
BESIDES = {
    "accessLogEncoding": PLAIN_LOG,
    "accessLogFormat": PLAIN_LOG,
    "disableEnvoyListenerLog": PLAIN_LOG,
    "extensionProviders.prometheus": OWN_METRICS,
    "outboundTrafficPolicy.tls": "outboundTrafficPolicy: {mode: ALLOW_ANY_DYNAMIC_DNS}",
    **{field: PROVIDER for field in EFFECTS if ".envoyFileAccessLog." in field},
}
"""What is set already where a field says more of it."""


@pytest.mark.parametrize("field", EFFECTS)
def test_a_setting_changes_what_proxies_are_sent(view, field):
    found, told = sent(view, EFFECTS[field])
    assert found != sent(view, BESIDES.get(field, ""))[0]
    assert [str(one) for one in told if "has no effect" in str(one)] == []


def test_each_field_has_an_effect_or_a_warning():
    def is_unused(name):
        silent = (*UNUSED, *(f"defaultConfig.{one}" for one in AT_START))
        return any(name == plain or name.startswith(f"{plain}.") for plain in (one.replace("[]", "") for one in silent))

    left = [name for name in LEAVES if not is_unused(name)]
    assert sorted(left) == sorted(EFFECTS)
    assert not [name for name in EFFECTS if is_unused(name)]


WARNED = {
    "ca: {address: ca:443}": "ca",
    "caCertificates: [{pem: x}]": "caCertificates",
    "enableTracing: true": "enableTracing",
    "extensionProviders: [{name: z, zipkin: {service: z.default.svc.cluster.local, port: 9411}}]": "extensionProviders[0].zipkin",
    "defaultConfig: {statsdUdpAddress: 'a:1'}": "defaultConfig.statsdUdpAddress",
    "defaultConfig: {privateKeyProvider: {qat: {pollDelay: 1ms}}}": "defaultConfig.privateKeyProvider",
    "meshMTLS: {ecdhCurves: [P-256]}": "meshMTLS.ecdhCurves",
    "defaultProviders: {tracing: [zipkin]}": "defaultProviders.tracing",
}


@pytest.mark.parametrize("settings", WARNED)
def test_a_setting_without_effect_is_warned_of_at_its_place(view, settings):
    _, told = sent(view, settings)
    (line,) = (str(one) for one in told if "has no effect" in str(one))
    assert f": warning: ConfigMap istio-system/istio: {WARNED[settings]} has no effect here: " in line
    assert line.startswith("mesh.yaml:7:")


@pytest.mark.parametrize("settings", ["enableTracing: false", "ingressControllerMode: 'OFF'", "enablePrometheusMerge: false"])
def test_what_asks_for_nothing_is_not_warned_of(view, settings):
    assert not any("has no effect" in str(one) for one in sent(view, settings)[1])


def test_a_default_provider_that_is_not_there_is_warned_of(view):
    told = list(map(str, sent(view, "defaultProviders: {accessLogging: [otel], metrics: [other]}")[1]))
    assert any(line.startswith("mesh.yaml:7:") and "no provider otel writes access logs into a file" in line for line in told)
    assert any("no provider other takes metrics" in line for line in told)


STARTS = {
    "configPath": "/etc/a", "binaryPath": "/bin/a", "serviceCluster": "a", "drainDuration": "1s", "discoveryAddress": "a:1",
    "proxyAdminPort": "1", "controlPlaneAuthPolicy": "NONE", "concurrency": "0", "interceptionMode": "TPROXY", "proxyMetadata": "{A: b}",
    "statusPort": "1", "terminationDrainDuration": "1s", "meshId": "a", "readinessProbe": "{tcpSocket: {port: 1}}",
}  # fmt: skip


@pytest.mark.parametrize("field", AT_START)
def test_what_counts_when_a_proxy_is_started_is_told_and_changes_nothing_that_is_sent(view, field):
    found, told = sent(view, f"defaultConfig: {{{field}: {STARTS[field]}}}")
    assert found == sent(view, "")[0]
    assert [str(one) for one in told if f": info: ConfigMap istio-system/istio: defaultConfig.{field} counts when" in str(one)]
