"""Settings of the MeshConfig that are read and checked, and change nothing here: why, and when that is no loss."""

from collections.abc import Iterator, Mapping
from typing import Any

from .support import Path, walk

_BOOTSTRAP = "it shapes a bootstrap of Envoy's, and those made here have no such part"
_AMBIENT = "there is no ambient mode here"
_INGRESS = "Ingress objects are not read; use a Gateway"
_SPANS = "no proxy of this mesh makes spans"
_ASKED = "no proxy of this mesh asks an authorizer"
_LOG_SERVICE = "access logs go to files only; use envoyFileAccessLog"

_REASONS = {
    "certificates come from the control plane's own authority, or from the proxy's CA_ADDR": "ca",
    "workloads trust the authority's bundle: put further roots into its root-cert.pem": "caCertificates defaultConfig.caCertificatesPem",
    "Istio makes no such certificates any more, either": "certificates",
    "configuration comes from the folder of --config": "configSources",
    "an application's metrics are not merged with its proxy's: scrape both": "enablePrometheusMerge",
    "Istio's own mutual TLS has no choice of curves": "meshMTLS.ecdhCurves",
    "servers are verified unless a rule has insecureSkipVerify; Istio does not read it, either": "verifyCertificateAtClient",
    "metadata stay in the mesh in any case": "defaultConfig.proxyHeaders.metadataExchangeHeaders",
    "for Envoys only, as Python's ssl tells no chain of a peer": "defaultConfig.proxyHeaders.setCurrentClientCertDetails.chain",
    "Istio does not act on it, either": (
        "defaultConfig.connectionSettings.clusterPerConnectionBufferLimitBytes defaultConfig.connectionSettings.listenerConnectionLimit"
    ),
    "credentials come from the folder of --secrets": "extensionProviders[].sds",
    "a proxy's zone is that of its node": "defaultConfig.availabilityZone",
    "changes are pushed, nobody polls": "defaultConfig.discoveryRefreshDelay",
    "nothing here starts applications in pods": "defaultConfig.holdApplicationUntilProxyStarts defaultConfig.image",
    "keys are used by the proxies themselves": "defaultConfig.privateKeyProvider",
    "certificates come over SDS in any case": "defaultConfig.sds",
    _AMBIENT: "hboneIdleTimeout serviceEntryVisibility serviceScopeConfigs",
    _INGRESS: "ingressClass ingressControllerMode ingressSelector ingressService",
    _SPANS: "enableTracing defaultProviders.tracing defaultConfig.tracing",
    _LOG_SERVICE: "enableEnvoyAccessLogService defaultConfig.envoyAccessLogService",
}

_PROVIDERS = {
    _ASKED: "envoyExtAuthzHttp envoyExtAuthzGrpc",
    _LOG_SERVICE: "envoyHttpAls envoyTcpAls envoyOtelAls",
    _SPANS: "zipkin lightstep datadog stackdriver opencensus skywalking opentelemetry",
}

_OF_PROXIES = {
    _BOOTSTRAP: (
        "tracingServiceName zipkinAddress statsdUdpAddress envoyMetricsServiceAddress customConfigFile statNameLength"
        " proxyBootstrapTemplatePath envoyMetricsService runtimeValues extraStatTags proxyStatsMatcher fileFlushInterval"
        " fileFlushMinSizeKb statsCompression connectionSettings.globalDownstreamConnectionLimit"
    ),
}


def _by_field(reasons: Mapping[str, str], above: str = "") -> dict[str, str]:
    return {above + name: reason for reason, names in reasons.items() for name in names.split()}


UNUSED = _by_field(_REASONS) | _by_field(_PROVIDERS, "extensionProviders[].") | _by_field(_OF_PROXIES, "defaultConfig.")
"""By the dotted field, the reason. What lies below a field shares its fate."""

AT_START = (
    "configPath", "binaryPath", "serviceCluster", "drainDuration", "discoveryAddress", "proxyAdminPort", "controlPlaneAuthPolicy",
    "concurrency", "interceptionMode", "proxyMetadata", "statusPort", "terminationDrainDuration", "meshId", "readinessProbe",
)  # fmt: skip
"""The fields of a ProxyConfig that count when a proxy is started."""

STARTED = "counts when a proxy is started: put what `pymesh proxy-settings` prints into its PROXY_CONFIG (`pymesh up` does)"

_NOTHING_LOST = {"ingressControllerMode": "OFF", "verifyCertificateAtClient": True}
"""Values that ask for nothing, besides what is false or empty."""


_OF_ONE_PROXY = {name.removeprefix("defaultConfig."): reason for name, reason in UNUSED.items() if name.startswith("defaultConfig.")}


def unused_by_proxies(settings: Any) -> Iterator[tuple[str, str]]:
    """Each setting of a single proxy that has no effect, by the dotted field, with the reason."""
    for name, reason in _OF_ONE_PROXY.items():
        if any(value for _, value in walk(settings, name)):
            yield name, reason


def at_start(settings: Any) -> Iterator[str]:
    """The fields that are stated of those that count when a proxy is started."""
    yield from (name for name in AT_START if any(value is not None and value != {} for _, value in walk(settings, name)))


def unused(spec: Any) -> Iterator[tuple[Path, str]]:
    """Each setting of a MeshConfig that has no effect, with the reason."""
    for name, reason in UNUSED.items():
        for path, value in walk(spec, name):
            if value and getattr(value, "value", value) != _NOTHING_LOST.get(name):
                yield path, reason
