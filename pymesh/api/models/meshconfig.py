"""MeshConfig: what holds for the whole mesh; only the fields that pymesh honours, everything else is refused by name."""

import enum
from typing import Any

from ..types import Bool, Duration, DurationOrZero, Model
from .destinationrule import LocalityLbSetting
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


class MeshConfig(Model):
    """The key `mesh` of the ConfigMap `istio`; `protocol_detection_timeout` 0 means no limit."""

    UNSUPPORTED = frozenset(
        {
            "ca", "caCertificates", "certificates", "configSources", "defaultDestinationRuleExportTo", "defaultInboundHttpRetryPolicy",
            "defaultProviders", "defaultServiceExportTo", "defaultTrafficPolicy", "defaultVirtualServiceExportTo",
            "disableEnvoyListenerLog", "discoverySelectors", "dnsRefreshRate", "enableEnvoyAccessLogService", "enablePrometheusMerge",
            "enableTracing", "extensionProviders", "h2UpgradePolicy", "hboneIdleTimeout", "inboundClusterStatName",
            "inboundTrafficPolicy", "ingressClass", "ingressControllerMode", "ingressSelector", "ingressService", "meshMTLS",
            "outboundClusterStatName", "pathNormalization", "proxyHttpPort", "proxyInboundListenPort", "proxyListenPort",
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
    default_config: Any = None  # known, so that its refusal can say where it belongs
    default_http_retry_policy: HTTPRetry | None = None
    protocol_detection_timeout: DurationOrZero | None = None
    locality_lb_setting: LocalityLbSetting | None = None
