"""Services and workloads."""

from typing import Any

from pymesh.xds import names

from ..model.service import Service
from ..model.snapshot import Snapshot
from ..model.view import ProxyView


def registryz(snapshot: Snapshot) -> dict[str, Any]:
    """Everything that clients could be sent to."""
    return {"services": snapshot.services, "workloads": snapshot.workloads}


def endpointz(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Every port of every service with the instances behind it."""
    return [
        {
            "service": f"{service.host}:{port.number}",
            "namespace": service.namespace,
            "port": port.name,
            "resolution": service.resolution,
            "cluster": names.outbound_cluster(service.host, port.number),
            "endpoints": _endpoints(snapshot, service, port.number),
        }
        for service in snapshot.services
        for port in service.ports
    ]


def instancesz(snapshot: Snapshot, view: ProxyView) -> dict[str, Any]:
    """The services that a proxy's workload is an instance of, by which its sidecar knows what to serve."""
    view = snapshot.member(view)
    found = snapshot.memberships.of(view.namespace, view.labels, view.ip)
    return {"proxy": view.node_id, "services": [{"host": one.host, "namespace": one.namespace, "ports": one.ports} for one in found]}


def _endpoints(snapshot: Snapshot, service: Service, number: int) -> list[dict[str, Any]]:
    return [
        {
            "address": one.workload.ip,
            "port": one.port,
            "workload": f"{one.workload.namespace}/{one.workload.name}",
            "labels": one.workload.labels,
            "service_account": one.workload.service_account,
            "locality": one.workload.locality,
            "weight": one.workload.weight,
            "health": one.workload.health,
            "tls_mode": one.workload.tls_mode,
            "registered_by": one.workload.node_id or None,
        }
        for one in snapshot.instances(service).get(number, ())
    ]
