"""Kubernetes Services as services of the mesh, without their instances."""

from collections.abc import Sequence
from typing import Any

from pymesh.api import Resource, hosts
from pymesh.api.models.destinationrule import LocalityLbSetting

from ..locality import HOSTNAME_LABEL, LEVELS, NETWORK_LABEL
from ..origin import Origin
from ..protocol import of_service_port
from ..service import Edge, Port, Service
from ..visibility import Visibility, exported

GATEWAY_PORT_LABEL = "networking.istio.io/gatewayPort"
EXPORT_TO = "networking.istio.io/exportTo"
TRAFFIC_DISTRIBUTION = "networking.istio.io/traffic-distribution"
_PERSISTENT_SESSIONS = ("istio.io/persistent-session", "istio.io/persistent-session-header")

_REGION, _ZONE, _SUB_ZONE = LEVELS
_SAME_ZONE = (NETWORK_LABEL, _REGION, _ZONE)
_DISTRIBUTIONS = {
    "preferclose": _SAME_ZONE,
    "prefersamezone": _SAME_ZONE,
    "prefersamenode": (*_SAME_ZONE, _SUB_ZONE, HOSTNAME_LABEL),
}
"""The labels that clients and instances should share, the most important first."""


def host_of(resource: Resource) -> str:
    return hosts.expand(resource.name, resource.namespace)


def is_alias(resource: Resource) -> bool:
    return bool(resource.spec.spec.type == "ExternalName")


def from_resource(resource: Resource, exports: Sequence[str] = ()) -> Service:
    """The service that a Service declares, headless ones with resolution NONE and all others as STATIC."""
    spec = resource.spec.spec
    headless = spec.cluster_ip == "None"
    addresses = () if headless else tuple(dict.fromkeys(one for one in (spec.cluster_ip, *spec.cluster_ips) if one))
    return Service(
        host=host_of(resource),
        namespace=resource.namespace,
        name=resource.name,
        ports=tuple(_port(port) for port in spec.ports if port.protocol in (None, "TCP")),
        resolution="NONE" if headless else "STATIC",
        external=False,
        visibility=visibility_of(resource, exports),
        addresses=addresses,
        selector=dict(spec.selector) or None,
        headless=headless,
        drains=any(resource.labels.get(label) for label in _PERSISTENT_SESSIONS),
        edge=_edge(resource),
        locality=_locality(spec.traffic_distribution or resource.annotations.get(TRAFFIC_DISTRIBUTION, "")),
        origins=(Origin("Service", resource.namespace, resource.name),),
    )


def visibility_of(resource: Resource, default: Sequence[str]) -> Visibility:
    """Whom the annotation exportTo, else the mesh's default, lets see it."""
    stated = [name for part in resource.annotations.get(EXPORT_TO, "").split(",") if (name := part.strip())]
    return exported(stated or default, resource.namespace)


def _edge(resource: Resource) -> Edge:
    port = resource.labels.get(GATEWAY_PORT_LABEL, "")
    ingress = resource.spec.status.load_balancer.ingress
    return Edge(
        addresses=tuple(dict.fromkeys((*resource.spec.spec.external_ips, *(one.ip for one in ingress if one.ip)))),
        network=resource.labels.get(NETWORK_LABEL, ""),
        port=int(port) if port.isdecimal() else 0,
    )


def _locality(distribution: str) -> LocalityLbSetting | None:
    labels = _DISTRIBUTIONS.get(distribution.lower())
    return LocalityLbSetting(failover_priority=list(labels)) if labels else None


def _port(port: Any) -> Port:
    target = port.target_port
    return Port(
        number=port.port,
        name=port.name or "",
        protocol=of_service_port(port.port, port.name or "", port.app_protocol),
        target=target if isinstance(target, int) else port.port,
        target_name=target if isinstance(target, str) else "",
    )
