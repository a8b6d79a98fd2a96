"""The names under which proxies count clusters: the cluster's own, or what the mesh's patterns make of service and port."""

from pymesh.xds import names

from ..model.service import Port, Service
from .scope import Scope

_END = ";"
"""Istio ends such names so that what counts in front of its statistics can tell where they end."""


def of_outbound(scope: Scope, service: Service, port: Port, subset: str, cluster: str) -> str:
    """The name of a cluster towards the mesh."""
    pattern = scope.snapshot.mesh.outbound_stats
    return (_filled(pattern, service, port, subset, 0) if pattern else cluster) + _END


def of_target(scope: Scope, cluster: str) -> str:
    """The name under which connections to an outbound cluster are counted."""
    parts = names.parse_cluster(cluster)
    service = scope.service(parts.host) if parts else None
    port = service.port(parts.port) if parts and service else None
    if parts is None or service is None or port is None or not scope.snapshot.mesh.outbound_stats:
        return cluster
    return _filled(scope.snapshot.mesh.outbound_stats, service, port, parts.subset, 0)


def of_inbound(pattern: str, service: Service | None, number: int, target: int, cluster: str) -> str:
    """The name of the application's cluster for one of its service's ports; one that no service names keeps its own."""
    port = service.port(number) if service else None
    return _filled(pattern, service, port, "", target) if pattern and service and port else cluster


def of_inbound_cluster(pattern: str, service: Service | None, number: int, target: int, cluster: str) -> str:
    """The same as the cluster's statistics carry it."""
    return of_inbound(pattern, service, number, target, cluster) + _END


def _filled(pattern: str, service: Service, port: Port, subset: str, target: int) -> str:
    short = f"{service.name}.{service.namespace}" if service.is_of_cluster else service.host
    variables = {
        "%SERVICE%": short,
        "%SERVICE_FQDN%": service.host,
        "%SERVICE_NAME%": service.name,
        "%SUBSET_NAME%": subset,
        "%TARGET_PORT%": str(target),
        "%SERVICE_PORT%": str(port.number),
        "%SERVICE_PORT_NAME%": port.name,
    }
    for variable, value in variables.items():
        pattern = pattern.replace(variable, value)
    return pattern
