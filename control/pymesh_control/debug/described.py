"""One service as those who own it ask about it: what declares it, what governs calls to it, and who can reach it."""

from collections import Counter
from typing import Any

from pymesh.api import hosts
from pymesh.api.shape import did_you_mean

from ..model.destination import Rule
from ..model.service import Port, Service, full_name
from ..model.snapshot import Snapshot
from ..model.workload import selects

_MAX_EJECTION_PERCENT = 10
"""Envoy's, where a DestinationRule says nothing."""


class UnknownService(Exception):
    """Nothing declares the service asked for; the message says so."""


def servicez(snapshot: Snapshot, name: str, namespace: str) -> dict[str, Any]:
    """A service by its host, or by its short name, for which a namespace is needed only if several have such a service.

    The rules are those that clients of its own namespace obey.

    Raises UnknownService.
    """
    service = _find(snapshot, name, namespace)
    rule = snapshot.rules.find(service.host, service.namespace, service.namespace, {})
    routes = snapshot.mesh_rules(service.namespace).find(service.host)
    ports = [_port(snapshot, service, port) for port in service.ports]
    instances = max((port["instances"] for port in ports), default=0)
    return {
        "host": service.host,
        "namespace": service.namespace,
        "origins": [str(one) for one in service.origins],
        "resolution": service.resolution,
        "external": service.external,
        "addresses": service.addresses,
        "allocated": service.allocated,
        "ports": ports,
        "instances": instances,
        "destination_rules": [str(one) for one in rule.origins] if rule else [],
        "tls": rule.policy.tls.mode.value if rule and rule.policy and rule.policy.tls and rule.policy.tls.mode else None,
        "outlier_detection": _outliers(rule, instances) if rule else None,
        "subsets": _subsets(snapshot, service, rule) if rule else [],
        "virtual_service": ", ".join(map(str, routes.origins)) if routes else None,
        "exposed_by": _exposures(snapshot, service),
    }


def _find(snapshot: Snapshot, name: str, namespace: str) -> Service:
    wanted = (name.lower(), full_name(name, namespace), f"{name.lower()}.svc.{hosts.DEFAULT_DOMAIN}")
    for service in snapshot.services:
        if service.host in wanted and namespace in ("", service.namespace):
            return service
    alike = [] if namespace else [one for one in snapshot.services if one.host == full_name(name, one.namespace)]
    if len(alike) == 1:
        return alike[0]
    raise UnknownService(_unknown(snapshot, name, namespace, alike))


def _unknown(snapshot: Snapshot, name: str, namespace: str, alike: list[Service]) -> str:
    if alike:
        return f"several namespaces have a service {name!r}: {', '.join(sorted(one.namespace for one in alike))}"
    place = f" in namespace {namespace}" if namespace else ""
    inside = [one for one in snapshot.services if namespace in ("", one.namespace)]
    known = {one.host for one in inside} | {one.host.partition(".")[0] for one in inside}
    return f"no service {name!r} is declared{place}{did_you_mean(name, sorted(known))}"


def _port(snapshot: Snapshot, service: Service, port: Port) -> dict[str, Any]:
    instances = snapshot.instances(service).get(port.number, ())
    modes = Counter(
        snapshot.authentication.mode(one.workload.namespace, one.workload.labels, one.port).value
        for one in instances
        if not service.external
    )
    return {
        "number": port.number,
        "name": port.name,
        "protocol": port.protocol.value,
        "target": port.target,
        "instances": len(instances),
        "mutual_tls": dict(modes),
    }


def _outliers(rule: Rule, instances: int) -> dict[str, int] | None:
    """How many instances may be thrown out at a time: few services have ten, of which Envoy's own limit allows one."""
    settings = rule.policy.outlier_detection if rule.policy else None
    if settings is None:
        return None
    percent = settings.max_ejection_percent or _MAX_EJECTION_PERCENT
    return {"max_ejection_percent": percent, "ejected_at_most": instances * percent // 100}


def _subsets(snapshot: Snapshot, service: Service, rule: Rule) -> list[dict[str, Any]]:
    workloads = {id(one.workload): one.workload for found in snapshot.instances(service).values() for one in found}.values()
    return [
        {"name": one.name, "labels": one.labels, "instances": sum(selects(one.labels, workload.labels) for workload in workloads)}
        for one in rule.subsets.values()
    ]


def _exposures(snapshot: Snapshot, service: Service) -> list[dict[str, Any]]:
    """The names under which rules of gateways send requests to the service."""
    return [
        {
            "gateway": f"{server.origin.namespace}/{server.origin.name}",
            "port": server.port,
            "hosts": names,
            "virtual_service": ", ".join(map(str, rule.origins)),
        }
        for rule in snapshot.virtual_services
        if service.host in rule.destinations
        for gateway in snapshot.gateways
        for server in gateway.servers
        if rule.visibility.reaches(server.origin.namespace) and (names := server.names_of(rule))
    ]
