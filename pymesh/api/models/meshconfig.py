"""MeshConfig: what holds for the whole mesh."""

import enum

from ..types import I32, Bool, Duration, DurationOrZero, Model
from .destinationrule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    LocalityLbSetting,
    OutlierDetection,
    TcpKeepalive,
    ZoneAwareLbSetting,
)
from .meshproviders import DefaultProviders, ExtensionProvider
from .proxysettings import ProxySettings
from .virtualservice import HTTPRetry


class AccessLogEncoding(enum.Enum):
    """The form of access log lines; TEXT when absent."""

    TEXT = "TEXT"
    JSON = "JSON"


class OutboundTrafficPolicyMode(enum.Enum):
    """What happens to traffic for hosts that no resource names."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"
    ALLOW_ANY_DYNAMIC_DNS = "ALLOW_ANY_DYNAMIC_DNS"


class OutboundTrafficPolicy(Model):
    """Without a policy everything is allowed; a policy without mode has protobuf's first, which is REGISTRY_ONLY."""

    mode: OutboundTrafficPolicyMode = OutboundTrafficPolicyMode.REGISTRY_ONLY
    tls: ClientTLSSettings | None = None


class InboundTrafficPolicyMode(enum.Enum):
    """Where sidecars send what was captured for their application."""

    PASSTHROUGH = "PASSTHROUGH"
    LOCALHOST = "LOCALHOST"


class InboundTrafficPolicy(Model):
    """PASSTHROUGH, to the address that was called, when absent."""

    mode: InboundTrafficPolicyMode | None = None


class IngressControllerMode(enum.Enum):
    """Which Ingress objects are acted on."""

    UNSPECIFIED = "UNSPECIFIED"
    OFF = "OFF"
    DEFAULT = "DEFAULT"
    STRICT = "STRICT"


class MeshH2UpgradePolicy(enum.Enum):
    """Whether HTTP/1.1 of clients goes on as HTTP/2."""

    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class ConfigSource(Model):
    """A server of configuration."""

    address: str | None = None
    tls_settings: ClientTLSSettings | None = None
    subscribed_resources: list[str] = []


class CertificateData(Model):
    """A root certificate, or where it is found, and whom it may vouch for."""

    ONEOFS = (("pem", "spiffe_bundle_url"),)
    pem: str | None = None
    spiffe_bundle_url: str | None = None
    cert_signers: list[str] = []
    trust_domains: list[str] = []


class DnsCertificate(Model):
    """Deprecated: a certificate that the control plane keeps for a name."""

    secret_name: str | None = None
    dns_names: list[str] = []


class LabelRequirement(Model):
    """A condition on one label: In, NotIn, Exists, DoesNotExist."""

    key: str | None = None
    operator: str | None = None
    values: list[str] = []


class LabelSelector(Model):
    """Kubernetes' selector: every label and every condition must agree."""

    match_labels: dict[str, str] = {}
    match_expressions: list[LabelRequirement] = []


class ServiceSetting(Model):
    """`clusterLocal`: clients use the instances of their own cluster only."""

    cluster_local: Bool | None = None


class ServiceSettings(Model):
    """Settings of services by host; a leading `*` covers what ends so."""

    settings: ServiceSetting | None = None
    hosts: list[str] = []


class ServiceScope(enum.Enum):
    """How far ambient's services are seen."""

    LOCAL = "LOCAL"
    GLOBAL = "GLOBAL"


class ServiceScopeConfig(Model):
    """A scope for the services that both selectors select."""

    namespace_selector: LabelSelector | None = None
    services_selector: LabelSelector | None = None
    scope: ServiceScope | None = None


class CertificateAuthority(Model):
    """An external certificate authority."""

    address: str | None = None
    tls_settings: ClientTLSSettings | None = None
    request_timeout: Duration | None = None
    istiod_side: Bool | None = None


class PathNormalizationType(enum.Enum):
    """How far paths are made alike before anything looks at them; DEFAULT is BASE."""

    DEFAULT = "DEFAULT"
    NONE = "NONE"
    BASE = "BASE"
    MERGE_SLASHES = "MERGE_SLASHES"
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"


class PathNormalization(Model):
    """BASE when absent."""

    normalization: PathNormalizationType | None = None


class MeshTlsVersion(enum.Enum):
    """TLS_AUTO means 1.2."""

    TLS_AUTO = "TLS_AUTO"
    TLSV1_2 = "TLSV1_2"
    TLSV1_3 = "TLSV1_3"


class TlsConfig(Model):
    """TLS of the mesh; each list stands in the place of the usual one."""

    min_protocol_version: MeshTlsVersion | None = None
    ecdh_curves: list[str] = []
    cipher_suites: list[str] = []


class DefaultTrafficPolicy(Model):
    """The parts of a traffic policy that rules without one of their own have."""

    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None


class EntryVisibility(enum.Enum):
    """Who sees a ServiceEntry in ambient."""

    VISIBILITY_UNSPECIFIED = "VISIBILITY_UNSPECIFIED"
    NONE = "NONE"
    NAMESPACE = "NAMESPACE"
    PUBLIC = "PUBLIC"


class EntryMatch(Model):
    """The namespaces of a visibility."""

    namespace_selector: LabelSelector | None = None


class EntryPolicy(Model):
    """A visibility and the namespaces that have it."""

    visibility: EntryVisibility | None = None
    matching_rules: list[EntryMatch] = []


class ServiceEntryVisibility(Model):
    """Who sees ServiceEntries."""

    default_visibility: EntryVisibility | None = None
    apply_to_sidecars: Bool | None = None
    policies: list[EntryPolicy] = []


class MeshConfig(Model):
    """The key `mesh` of the ConfigMap `istio`; `protocol_detection_timeout` 0 means no limit."""

    proxy_listen_port: I32 | None = None
    proxy_inbound_listen_port: I32 | None = None
    proxy_http_port: I32 | None = None
    connect_timeout: Duration | None = None
    hbone_idle_timeout: Duration | None = None
    protocol_detection_timeout: DurationOrZero | None = None
    tcp_keepalive: TcpKeepalive | None = None
    ingress_class: str | None = None
    ingress_service: str | None = None
    ingress_controller_mode: IngressControllerMode | None = None
    ingress_selector: str | None = None
    enable_tracing: Bool | None = None
    access_log_file: str | None = None
    access_log_format: str | None = None
    access_log_encoding: AccessLogEncoding | None = None
    enable_envoy_access_log_service: Bool | None = None
    disable_envoy_listener_log: Bool | None = None
    default_config: ProxySettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None
    inbound_traffic_policy: InboundTrafficPolicy | None = None
    config_sources: list[ConfigSource] = []
    enable_auto_mtls: Bool | None = None
    trust_domain: str | None = None
    trust_domain_aliases: list[str] = []
    ca_certificates: list[CertificateData] = []
    default_service_export_to: list[str] = []
    default_virtual_service_export_to: list[str] = []
    default_destination_rule_export_to: list[str] = []
    root_namespace: str | None = None
    locality_lb_setting: LocalityLbSetting | None = None
    zone_aware_lb_setting: ZoneAwareLbSetting | None = None
    dns_refresh_rate: Duration | None = None
    h2_upgrade_policy: MeshH2UpgradePolicy | None = None
    inbound_cluster_stat_name: str | None = None
    outbound_cluster_stat_name: str | None = None
    certificates: list[DnsCertificate] = []
    service_settings: list[ServiceSettings] = []
    service_scope_configs: list[ServiceScopeConfig] = []
    enable_prometheus_merge: Bool | None = None
    verify_certificate_at_client: Bool | None = None
    ca: CertificateAuthority | None = None
    extension_providers: list[ExtensionProvider] = []
    default_providers: DefaultProviders | None = None
    discovery_selectors: list[LabelSelector] = []
    path_normalization: PathNormalization | None = None
    default_http_retry_policy: HTTPRetry | None = None
    default_inbound_http_retry_policy: HTTPRetry | None = None
    mesh_mTLS: TlsConfig | None = None  # noqa: N815  (the field's name)
    tls_defaults: TlsConfig | None = None
    default_traffic_policy: DefaultTrafficPolicy | None = None
    service_entry_visibility: ServiceEntryVisibility | None = None
