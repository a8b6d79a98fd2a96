"""DestinationRule: subsets, and traffic policies by host, port and subset."""

from pymesh.address import is_ip

from ..models.destinationrule import DestinationRule, PortTrafficPolicy, Subset, TrafficPolicy, TunnelSettings
from . import common, words
from .clienttls import check as check_tls
from .connectionpool import check as check_pool
from .finding import Finding, Findings, below, verdict
from .loadbalancer import check as check_balancer
from .outlier import check as check_outliers


def check(spec: DestinationRule, namespace: str) -> Findings:
    """Everything wrong with one DestinationRule."""
    yield from verdict("host", words.wildcard_domain(spec.host))
    yield from below("traffic_policy", _policy(spec.traffic_policy, namespace)) if spec.traffic_policy else ()
    for index, subset in enumerate(spec.subsets):
        yield from below(("subsets", index), _subset(subset, namespace))
        if any(subset.name == other.name for other in spec.subsets[:index]):
            yield Finding(("subsets", index, "name"), f'the subset "{subset.name}" is defined twice')
    yield from common.export_to(spec.export_to, namespace)
    yield from below("workload_selector", common.policy_selector(spec.workload_selector))
    if spec.workload_selector and any(scope not in (".", namespace) for scope in spec.export_to):
        yield Finding(("export_to",), "a rule with a workloadSelector holds in its own namespace only")


def _subset(subset: Subset, namespace: str) -> Findings:
    yield from verdict("name", words.dns_label(subset.name))
    yield from below("labels", common.labels(subset.labels))
    yield from below("traffic_policy", _policy(subset.traffic_policy, namespace)) if subset.traffic_policy else ()


def _policy(policy: TrafficPolicy, namespace: str) -> Findings:
    if not any(getattr(policy, name) for name in policy.model_fields_set):
        yield Finding((), "a traffic policy must have at least one field")
    yield from _settings(policy, namespace)
    for index, port in enumerate(policy.port_level_settings):
        yield from below(("port_level_settings", index), _port_policy(port, namespace))
    if policy.tunnel:
        yield from below("tunnel", _tunnel(policy.tunnel))
        if policy.proxy_protocol:
            yield Finding(("proxy_protocol",), '"tunnel" and "proxyProtocol" cannot be set together')
    if policy.retry_budget and not 0 <= (policy.retry_budget.percent or 0) <= 100:
        yield Finding(("retry_budget", "percent"), f"the percentage {policy.retry_budget.percent:g} must be between 0 and 100")


def _settings(policy: TrafficPolicy | PortTrafficPolicy, namespace: str) -> Findings:
    yield from below("load_balancer", check_balancer(policy.load_balancer, policy.outlier_detection)) if policy.load_balancer else ()
    yield from below("connection_pool", check_pool(policy.connection_pool)) if policy.connection_pool else ()
    yield from below("outlier_detection", check_outliers(policy.outlier_detection)) if policy.outlier_detection else ()
    yield from below("tls", check_tls(policy.tls, namespace)) if policy.tls else ()


def _port_policy(policy: PortTrafficPolicy, namespace: str) -> Findings:
    if policy.port is None:
        yield Finding((), 'a port-level policy needs "port"')
    else:
        yield from verdict(("port", "number"), words.port(policy.port.number or 0), "warning")  # Istio does not look at it
    if not policy.model_fields_set - {"port"}:
        yield Finding((), "a port-level policy must have at least one field beside the port")
    yield from _settings(policy, namespace)


def _tunnel(tunnel: TunnelSettings) -> Findings:
    if (tunnel.protocol or "CONNECT") not in ("CONNECT", "POST"):
        yield Finding(("protocol",), f'"{tunnel.protocol}" must be CONNECT or POST')
    if not is_ip(tunnel.target_host):
        yield from verdict("target_host", words.fqdn(tunnel.target_host))
    yield from verdict("target_port", words.port(tunnel.target_port))
