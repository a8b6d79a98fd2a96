"""MeshConfig with Istio's defaults in the place of what is left out."""

from dataclasses import dataclass, field, replace
from typing import Any

from pymesh.api import Resource
from pymesh.api.tls_names import known_ciphers

from . import filelog, settings
from .clusterlocal import ClusterLocal
from .filelog import FileLog
from .settings import NOTHING, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """A retry policy; the defaults are Istio's for routes that have none of their own."""

    attempts: int = 2
    retry_on: str = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    per_try_timeout: float | None = None
    backoff: float | None = None
    avoid_previous_hosts: bool | None = None
    """None: unless requests are balanced by a hash."""
    leaves_locality: bool = False
    """Whether retries may go to other localities than the first try's (`retryRemoteLocalities`)."""


PROMETHEUS = "prometheus"
"""Istio's own provider of metrics."""

INBOUND_RETRY = RetrySettings(retry_on="reset-before-request", avoid_previous_hosts=False)
"""Towards the application: only what it certainly has not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS where nothing closer says otherwise: the lowest version, TLSV1_2 or TLSV1_3, and lists that stand for the usual ones."""

    lowest: str = "TLSV1_2"
    ciphers: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exports:
    """The exportTo of resources that have none, by what they are; empty means every namespace."""

    services: tuple[str, ...] = ()
    virtual_services: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    def given(self, resource: Resource) -> Resource:
        """The resource with its exportTo filled in."""
        by_kind = {"ServiceEntry": self.services, "VirtualService": self.virtual_services, "DestinationRule": self.rules}
        default = by_kind.get(resource.kind)
        if not default or resource.spec.export_to:
            return resource
        return replace(resource, spec=resource.spec.model_copy(update={"export_to": list(default)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """The settings of the whole mesh. Times are seconds."""

    trust_domain: str = "cluster.local"
    trust_domain_aliases: tuple[str, ...] = ()
    root_namespace: str = "istio-system"
    outbound_port: int = 15001
    inbound_port: int = 15006
    http_proxy_port: int = 0
    """Where sidecars route by host for applications that know of proxies; 0 is nowhere."""
    registry_only: bool = False
    """Whether traffic to hosts that no service declares is blocked."""
    looks_up_unknown: bool = False
    """Whether requests to such hosts go to the addresses that proxies find for them (ALLOW_ANY_DYNAMIC_DNS)."""
    unknown_tls: Any = field(default=None, hash=False)
    """The TLS of these requests."""
    serves_loopback: bool = False
    """Whether applications listen on loopback only (`inboundTrafficPolicy` LOCALHOST)."""
    auto_mtls: bool = True
    mutual_tls: TlsSettings = TlsSettings()
    other_tls: TlsSettings = TlsSettings()
    connect_timeout: float = 10.0
    protocol_detection_timeout: float = 0.0
    dns_refresh_rate: float = 60.0
    upgrades_http: bool = False
    """Whether HTTP/1.1 goes on as HTTP/2 between proxies (`h2UpgradePolicy`)."""
    path_normalization: str = "BASE"
    counts: bool = True
    """Whether proxies keep Istio's metrics for Prometheus."""
    logs: tuple[FileLog, ...] = ()
    logs_refusals: bool = True
    """Whether listeners log the connections that no chain took."""
    inbound_stats: str = ""
    outbound_stats: str = ""
    """Patterns for the names under which clusters are counted."""
    retry: RetrySettings = RetrySettings()
    inbound_retry: RetrySettings = INBOUND_RETRY
    exports: Exports = Exports()
    settings: Settings = NOTHING
    """The ProxyConfig of proxies that have none of their own."""
    cluster_local: ClusterLocal = field(default_factory=lambda: ClusterLocal(()), hash=False)
    keepalive: Any = field(default=None, hash=False)
    locality: Any = field(default=None, hash=False)
    """The localityLbSetting of rules that have none."""
    zone_aware: Any = field(default=None, hash=False)
    """The zoneAwareLbSetting, which stands over `locality`."""
    connection_pool: Any = field(default=None, hash=False)
    outlier_detection: Any = field(default=None, hash=False)
    """The parts of policies that have none of their own (`defaultTrafficPolicy`)."""

    @property
    def trust_domains(self) -> tuple[str, ...]:
        return (self.trust_domain, *self.trust_domain_aliases)


def from_config(spec: Any) -> Mesh:
    """The Mesh of a parsed MeshConfig."""
    default = Mesh()
    outbound, inbound, paths = spec.outbound_traffic_policy, spec.inbound_traffic_policy, spec.path_normalization
    dynamic = bool(outbound and outbound.mode.value == "ALLOW_ANY_DYNAMIC_DNS")
    baseline = spec.default_traffic_policy
    return Mesh(
        trust_domain=spec.trust_domain or default.trust_domain,
        trust_domain_aliases=tuple(sorted(set(spec.trust_domain_aliases))),
        root_namespace=spec.root_namespace or default.root_namespace,
        outbound_port=spec.proxy_listen_port or default.outbound_port,
        inbound_port=spec.proxy_inbound_listen_port or default.inbound_port,
        http_proxy_port=spec.proxy_http_port or 0,
        registry_only=bool(outbound and outbound.mode.value == "REGISTRY_ONLY"),
        looks_up_unknown=dynamic,
        unknown_tls=outbound.tls if dynamic else None,
        serves_loopback=bool(inbound and inbound.mode and inbound.mode.value == "LOCALHOST"),
        auto_mtls=spec.enable_auto_mtls is not False,
        mutual_tls=_tls(spec.mesh_mTLS),
        other_tls=_tls(spec.tls_defaults),
        connect_timeout=spec.connect_timeout or default.connect_timeout,
        protocol_detection_timeout=spec.protocol_detection_timeout or 0.0,
        dns_refresh_rate=spec.dns_refresh_rate or default.dns_refresh_rate,
        upgrades_http=bool(spec.h2_upgrade_policy and spec.h2_upgrade_policy.value == "UPGRADE"),
        path_normalization=_given(paths and paths.normalization, "DEFAULT", default.path_normalization),
        counts=_counts(spec),
        logs=filelog.from_config(spec),
        logs_refusals=not spec.disable_envoy_listener_log,
        inbound_stats=spec.inbound_cluster_stat_name or "",
        outbound_stats=spec.outbound_cluster_stat_name or "",
        retry=_retry(spec.default_http_retry_policy, default.retry),
        inbound_retry=_inbound_retry(spec.default_inbound_http_retry_policy),
        exports=_exports(spec),
        settings=settings.from_config(spec.default_config),
        cluster_local=ClusterLocal(spec.service_settings),
        keepalive=spec.tcp_keepalive,
        locality=spec.locality_lb_setting,
        zone_aware=spec.zone_aware_lb_setting,
        connection_pool=baseline and baseline.connection_pool,
        outlier_detection=baseline and baseline.outlier_detection,
    )


def _counts(spec: Any) -> bool:
    """Prometheus, under the name that every mesh of Istio's knows or another, is counted for, unless only others are asked for."""
    wanted = set(spec.default_providers.metrics) if spec.default_providers else set()
    return not wanted or bool(wanted & {PROMETHEUS, *(one.name for one in spec.extension_providers if one.prometheus is not None)})


def _exports(spec: Any) -> Exports:
    return Exports(
        services=tuple(spec.default_service_export_to),
        virtual_services=tuple(spec.default_virtual_service_export_to),
        rules=tuple(spec.default_destination_rule_export_to),
    )


def _tls(config: Any) -> TlsSettings:
    if config is None:
        return TlsSettings()
    lowest = _given(config.min_protocol_version, "TLS_AUTO", TlsSettings().lowest)
    return TlsSettings(lowest=lowest, ciphers=tuple(known_ciphers(config.cipher_suites)), curves=tuple(config.ecdh_curves))


def _given(choice: Any, unsaid: str, default: str) -> str:
    """The word of an enum, in which `unsaid` means the default."""
    return default if choice is None or choice.value == unsaid else str(choice.value)


def _retry(policy: Any, default: RetrySettings) -> RetrySettings:
    if policy is None:
        return default
    return RetrySettings(
        attempts=policy.attempts or 0,
        retry_on=policy.retry_on or default.retry_on,
        per_try_timeout=policy.per_try_timeout,
        backoff=policy.backoff,
        avoid_previous_hosts=policy.retry_ignore_previous_hosts,
        leaves_locality=bool(policy.retry_remote_localities),
    )


def _inbound_retry(policy: Any) -> RetrySettings:
    """Only how often, when and at which pace can be said: there is one endpoint."""
    if policy is None:
        return INBOUND_RETRY
    retry_on = policy.retry_on or INBOUND_RETRY.retry_on
    return RetrySettings(attempts=policy.attempts or 0, retry_on=retry_on, backoff=policy.backoff, avoid_previous_hosts=False)
