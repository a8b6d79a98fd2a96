"""Kubernetes Services as services of the mesh, without their instances."""

import json
from collections.abc import Sequence
from typing import Any

from pymesh.api import Resource, hosts

from .. import distribution, sessions
from ..origin import Origin
from ..protocol import of_service_port
from ..service import Edge, Port, Service
from ..visibility import Visibility, exported
from ..whereabouts import NETWORK_LABEL
from .topology import Topology

GATEWAY_PORT_LABEL = "networking.istio.io/gatewayPort"
NODE_SELECTOR = "traffic.istio.io/nodeSelector"
PORTS_STAND = "experimental.istio.io/disable-gateway-port-translation"
EXPORT_TO = "networking.istio.io/exportTo"


def host_of(resource: Resource) -> str:
    return hosts.expand(resource.name, resource.namespace)


def is_alias(resource: Resource) -> bool:
    return bool(resource.spec.spec.type == "ExternalName")


def from_resource(resource: Resource, nodes: Topology, exports: Sequence[str] = (), wished: str = "") -> Service:
    """The service that a Service declares, headless ones with resolution NONE and all others as STATIC.

    `wished` is the traffic distribution of its namespace.
    """
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
        sessions=sessions.of_labels(resource.labels),
        edge=_edge(resource, nodes),
        of_node=spec.internal_traffic_policy == "Local",
        leads_gateways=PORTS_STAND not in resource.labels,
        locality=distribution.setting(spec.traffic_distribution, distribution.wish(resource), wished),
        origins=(Origin("Service", resource.namespace, resource.name),),
    )


def visibility_of(resource: Resource, default: Sequence[str]) -> Visibility:
    """Whom the annotation exportTo, else the mesh's default, lets see it."""
    stated = [name for part in resource.annotations.get(EXPORT_TO, "").split(",") if (name := part.strip())]
    return exported(stated or default, resource.namespace)


def request_ports(resource: Resource) -> frozenset[int]:
    """The ports of a Service at which requests may be spoken."""
    ports = (_port(one) for one in resource.spec.spec.ports if one.protocol in (None, "TCP"))
    return frozenset(port.number for port in ports if port.protocol.may_be_http)


def _edge(resource: Resource, nodes: Topology) -> Edge:
    port = resource.labels.get(GATEWAY_PORT_LABEL, "")
    at_nodes = is_at_nodes(resource)
    return Edge(
        addresses=nodes.external(selected_nodes(resource)) if at_nodes else _balanced(resource),
        node_ports={one.port: one.node_port for one in resource.spec.spec.ports if one.node_port} if at_nodes else {},
        network=resource.labels.get(NETWORK_LABEL, ""),
        port=int(port) if port.isdecimal() else 0,
    )


def _balanced(resource: Resource) -> tuple[str, ...]:
    """The addresses and names under which load balancers and others take connections for a Service."""
    given = (one.ip or one.hostname for one in resource.spec.status.load_balancer.ingress)
    return tuple(dict.fromkeys((*resource.spec.spec.external_ips, *filter(None, given))))


def is_at_nodes(resource: Resource) -> bool:
    """Whether a Service is reached from outside at ports of nodes, which Istio does where an annotation says at which ones."""
    return resource.spec.spec.type == "NodePort" and NODE_SELECTOR in resource.annotations


def selected_nodes(resource: Resource) -> dict[str, str] | None:
    """The labels of these nodes; None for an annotation that is no JSON object of labels."""
    try:
        found = json.loads(resource.annotations[NODE_SELECTOR])
    except ValueError:
        return None
    return found if isinstance(found, dict) and all(isinstance(one, str) for one in found.values()) else None


def _port(port: Any) -> Port:
    target = port.target_port
    return Port(
        number=port.port,
        name=port.name or "",
        protocol=of_service_port(port.port, port.name or "", port.app_protocol),
        target=target if isinstance(target, int) else port.port,
        target_name=target if isinstance(target, str) else "",
    )
