"""MeshConfig: what holds for the whole mesh."""

from collections.abc import Sequence

from pymesh import identity
from pymesh.address import is_ip

from ..models.destinationrule import LoadBalancerSettings, OutlierDetection
from ..models.meshconfig import LabelSelector, MeshConfig, OutboundTrafficPolicy, OutboundTrafficPolicyMode, ServiceSettings, TlsConfig
from ..models.meshproviders import ExtensionProvider
from ..models.virtualservice import HTTPRetry
from ..tls_names import is_curve
from . import clienttls, common, connectionpool, loadbalancer, outlier, proxysettings, words
from .finding import Finding, Findings, below, repeated, verdict
from .httproute import STATUS_CODES, retries_of

_LONGEST_CONNECT = 3600.0  # seconds
_PORTS = ("proxy_listen_port", "proxy_inbound_listen_port", "proxy_http_port")
_EXPORTS = ("default_service_export_to", "default_virtual_service_export_to", "default_destination_rule_export_to")
_RETRIES = ("default_http_retry_policy", "default_inbound_http_retry_policy")
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def check(mesh: MeshConfig, namespace: str) -> Findings:
    """Everything wrong with the mesh configuration."""
    yield from _connections(mesh)
    yield from _identities(mesh)
    for name in _EXPORTS:
        findings = common.export_to(getattr(mesh, name), "", none_allowed=True)
        yield from (finding._replace(path=(name, *finding.path[1:])) for finding in findings)
    for name in _RETRIES:
        policy = getattr(mesh, name)
        yield from below(name, retries_of(policy)) if policy else ()
    if mesh.default_inbound_http_retry_policy:
        yield from below("default_inbound_http_retry_policy", _inbound_retries(mesh.default_inbound_http_retry_policy))
    if mesh.locality_lb_setting is not None:  # outlier detection is each rule's affair
        yield from loadbalancer.check(LoadBalancerSettings(locality_lb_setting=mesh.locality_lb_setting), OutlierDetection())
    yield from _baseline(mesh)
    yield from below("outbound_traffic_policy", _outbound(mesh.outbound_traffic_policy, namespace))
    for index, selector in enumerate(mesh.discovery_selectors):
        yield from below(("discovery_selectors", index), _selector(selector))
    for index, settings in enumerate(mesh.service_settings):
        yield from below(("service_settings", index), _service_settings(settings))
    yield from _providers(mesh.extension_providers)
    yield from below("default_config", proxysettings.check(mesh.default_config)) if mesh.default_config else ()


def _inbound_retries(policy: HTTPRetry) -> Findings:
    """A sidecar has one application behind it: there is no other host to try, and no time of its own for a try."""
    if not policy.attempts and policy.backoff is not None:
        yield Finding(("backoff",), "has no meaning without attempts")
    for name in ("per_try_timeout", "retry_remote_localities", "retry_ignore_previous_hosts"):
        if getattr(policy, name) is not None:
            yield Finding((name,), "is not looked at where requests come in, in Istio as here", "warning")


def _connections(mesh: MeshConfig) -> Findings:
    for name in _PORTS:
        number = getattr(mesh, name)
        if number:  # protobuf's 0 is an absent field
            yield from verdict(name, words.port(number))
    if mesh.connect_timeout is not None and mesh.connect_timeout > _LONGEST_CONNECT:
        yield Finding(("connect_timeout",), "must be at most 1h")
    yield from below("mesh_mTLS", _tls(mesh.mesh_mTLS)) if mesh.mesh_mTLS else ()
    if mesh.tls_defaults:
        yield from below("tls_defaults", _tls(mesh.tls_defaults))
        yield from below("tls_defaults", _curves(mesh.tls_defaults.ecdh_curves))


def _identities(mesh: MeshConfig) -> Findings:
    if mesh.trust_domain is not None:
        yield from verdict("trust_domain", _trust_domain(mesh.trust_domain))
    for index, alias in enumerate(mesh.trust_domain_aliases):
        yield from verdict(("trust_domain_aliases", index), _trust_domain(alias))
    if mesh.root_namespace is not None:
        yield from verdict("root_namespace", words.dns_label(mesh.root_namespace))


def _baseline(mesh: MeshConfig) -> Findings:
    policy = mesh.default_traffic_policy
    if policy and policy.connection_pool:
        yield from below(("default_traffic_policy", "connection_pool"), connectionpool.check(policy.connection_pool))
    if policy and policy.outlier_detection:
        yield from below(("default_traffic_policy", "outlier_detection"), outlier.check(policy.outlier_detection))


def _outbound(policy: OutboundTrafficPolicy | None, namespace: str) -> Findings:
    if policy is None or policy.tls is None:
        return
    yield from below("tls", clienttls.check(policy.tls, namespace))
    if policy.mode is not OutboundTrafficPolicyMode.ALLOW_ANY_DYNAMIC_DNS:
        yield Finding(("tls",), "has no effect unless the mode is ALLOW_ANY_DYNAMIC_DNS", "warning")


def _tls(config: TlsConfig) -> Findings:
    for name in ("cipher_suites", "ecdh_curves"):
        for index, value in enumerate(getattr(config, name)):
            if not value:
                yield Finding((name, index), "is empty")


def _curves(curves: Sequence[str]) -> Findings:
    for index, curve in enumerate(curves):
        if curve and not is_curve(curve):
            yield Finding(("ecdh_curves", index), f'"{curve}" is no curve that Envoy is known to have', "warning")
    for finding in repeated("ecdh_curves", curves):
        yield finding._replace(severity="warning")


def _selector(selector: LabelSelector) -> Findings:
    """Kubernetes' own rules for a selector."""
    yield from below("match_labels", common.labels(selector.match_labels))
    for index, one in enumerate(selector.match_expressions):
        place = ("match_expressions", index)
        if not one.key:
            yield Finding((*place, "key"), "a condition needs the key of a label")
        if one.operator not in _OPERATORS:
            yield Finding((*place, "operator"), f'"{one.operator}" is not one of {", ".join(_OPERATORS)}')
        elif bool(one.values) != one.operator.endswith("In"):
            wanted = "needs at least one value" if one.operator.endswith("In") else f"{one.operator} takes no values"
            yield Finding((*place, "values"), wanted)


def _service_settings(settings: ServiceSettings) -> Findings:
    if not settings.hosts:
        yield Finding(("hosts",), "needs at least one host")
    for index, host in enumerate(settings.hosts):
        yield from verdict(("hosts", index), None if host == "*" else words.wildcard_domain(host))


def _providers(providers: Sequence[ExtensionProvider]) -> Findings:
    """Warnings, as in Istio: a provider that nobody asks for does no harm."""
    for finding in _broken(providers):
        yield finding._replace(severity="warning")


def _broken(providers: Sequence[ExtensionProvider]) -> Findings:
    seen: set[str] = set()
    for index, provider in enumerate(providers):
        place = ("extension_providers", index)
        if not provider.name:
            yield Finding(place, "a provider needs a name")
        elif provider.name in seen:
            yield Finding((*place, "name"), f'there is a provider "{provider.name}" already')
        seen.add(provider.name or "")
        kinds = provider.model_fields_set - {"name"}
        if not kinds:
            yield Finding(place, "needs one kind of provider, such as envoyFileAccessLog")
        for kind in kinds:
            yield from below((*place, kind), _address(getattr(provider, kind)))
            yield from below((*place, kind), _authority(getattr(provider, kind)))


def _address(provider: object) -> Findings:
    """A provider's service is a host, or `NAMESPACE/HOST`."""
    if not hasattr(provider, "service"):
        return
    service = provider.service or ""
    _, _, host = service.rpartition("/")
    if not is_ip(service):
        yield from verdict("service", words.fqdn(host) if host else "needs the host of a service")
    yield from verdict("port", words.port(getattr(provider, "port", None) or 0))


def _authority(provider: object) -> Findings:
    """What is asked of a service that decides on requests."""
    prefix, status = getattr(provider, "path_prefix", None), getattr(provider, "status_on_error", None)
    if prefix and not prefix.startswith("/"):
        yield Finding(("path_prefix",), f'"{prefix}" must begin with a slash')
    if status and status not in STATUS_CODES:
        yield Finding(("status_on_error",), f'"{status}" is no status code')


def _trust_domain(text: str) -> str | None:
    try:
        identity.check_trust_domain(text)
    except identity.InvalidSpiffeId as invalid:
        return str(invalid)
    return None
