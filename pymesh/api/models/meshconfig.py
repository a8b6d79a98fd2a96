"""MeshConfig: what holds for the whole mesh; only the fields that pymesh honours, everything else is refused by name."""

import enum

from ..types import U32, Bool, Duration, DurationOrZero, Model
from .virtualservice import HTTPRetry


class AccessLogEncoding(enum.Enum):
    """The form of access log lines; TEXT when absent."""

    TEXT = "TEXT"
    JSON = "JSON"


class OutboundTrafficPolicyMode(enum.Enum):
    """What happens to traffic for hosts that no resource names."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"


class OutboundTrafficPolicy(Model):
    """Istio's default is ALLOW_ANY."""

    mode: OutboundTrafficPolicyMode | None = None


class ProxyConfig(Model):
    """Defaults of the sidecars."""

    UNSUPPORTED = frozenset(
        {
            "availabilityZone", "binaryPath", "caCertificatesPem", "configPath", "connectionSettings", "controlPlaneAuthPolicy",
            "customConfigFile", "envoyAccessLogService", "envoyMetricsService", "extraStatTags", "fileFlushInterval",
            "fileFlushMinSizeKb", "gatewayTopology", "holdApplicationUntilProxyStarts", "image", "interceptionMode", "meshId",
            "privateKeyProvider", "proxyBootstrapTemplatePath", "proxyHeaders", "proxyMetadata", "proxyStatsMatcher", "readinessProbe",
            "runtimeValues", "sds", "serviceCluster", "statNameLength", "statsCompression", "statsdUdpAddress", "tracing",
            "tracingServiceName", "zipkinAddress",
        }
    )
    discovery_address: str | None = None
    concurrency: U32 | None = None
    drain_duration: Duration | None = None
    termination_drain_duration: Duration | None = None
    proxy_admin_port: U32 | None = None
    status_port: U32 | None = None


class MeshConfig(Model):
    """The key `mesh` of the ConfigMap `istio`; `protocol_detection_timeout` 0 means no limit."""

    UNSUPPORTED = frozenset(
        {
            "ca", "caCertificates", "certificates", "configSources", "defaultDestinationRuleExportTo", "defaultInboundHttpRetryPolicy",
            "defaultProviders", "defaultServiceExportTo", "defaultTrafficPolicy", "defaultVirtualServiceExportTo",
            "disableEnvoyListenerLog", "discoverySelectors", "dnsRefreshRate", "enableEnvoyAccessLogService", "enablePrometheusMerge",
            "enableTracing", "extensionProviders", "h2UpgradePolicy", "hboneIdleTimeout", "inboundClusterStatName",
            "inboundTrafficPolicy", "ingressClass", "ingressControllerMode", "ingressSelector", "ingressService", "localityLbSetting",
            "meshMTLS", "outboundClusterStatName", "pathNormalization", "proxyHttpPort", "proxyInboundListenPort", "proxyListenPort",
            "serviceEntryVisibility", "serviceScopeConfigs", "serviceSettings", "tcpKeepalive", "tlsDefaults",
            "verifyCertificateAtClient", "zoneAwareLbSetting",
        }
    )
    access_log_file: str | None = None
    access_log_format: str | None = None
    access_log_encoding: AccessLogEncoding | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
    trust_domain: str | None = None
    trust_domain_aliases: list[str] = []
    root_namespace: str | None = None
    connect_timeout: Duration | None = None
    enable_auto_mtls: Bool | None = None
    default_config: ProxyConfig | None = None
    default_http_retry_policy: HTTPRetry | None = None
    protocol_detection_timeout: DurationOrZero | None = None
