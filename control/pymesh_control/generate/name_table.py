"""NDS: the hosts that a sidecar's DNS proxy answers for, and where their short names and their pods' names come from."""

from collections.abc import Iterator
from typing import Any

from pymesh.address import is_ip
from pymesh.xds import nds

from ..built import Built, pack
from ..model.service import Service
from ..model.view import ProxyView
from ..model.whereabouts import NETWORK_LABEL
from ..model.workload import Health, Workload
from .scope import Scope


def name_table(scope: Scope, view: ProxyView) -> dict[str, Built]:
    """The one table of a sidecar; gateways answer no DNS queries, and have none."""
    if view.is_router:
        return {}
    network = view.topology[NETWORK_LABEL]
    return {"": scope.cached(("name table", network), lambda: pack(_table(scope, network)))}


def _table(scope: Scope, network: str) -> Any:
    message = nds.NameTable()
    services = scope.services.values()
    for service in services:
        if addresses := _addresses(scope, service, network):
            message.table[service.host].CopyFrom(_info(service, addresses, service.name))
    for host, told in (named for service in services for named in _pods(scope, service, network)):
        if host not in message.table:
            message.table[host].CopyFrom(told)
    return message


def _addresses(scope: Scope, service: Service, network: str) -> tuple[str, ...]:
    if service.addresses:
        return scope.reachable(service.virtual_ips)
    return tuple(dict.fromkeys(one.ip for one in _instances(scope, service, network)))


def _pods(scope: Scope, service: Service, network: str) -> Iterator[tuple[str, Any]]:
    """The names that Kubernetes gives pods under a headless service: `<hostname>.<subdomain>.<namespace>.svc.<domain>`."""
    domain = service.host.partition(".")[2]
    for one in _instances(scope, service, network):
        if one.host_name:
            yield f"{one.host_name}.{domain}", _info(service, (one.ip,), one.host_name)


def _instances(scope: Scope, service: Service, network: str) -> Iterator[Workload]:
    """What clients of a service without a virtual IP may call: its ready instances in a network within their reach."""
    if service.resolution == "NONE" and not service.addresses and service.ports:
        for one in (endpoint.workload for endpoint in scope.instances(service, service.ports[0])):
            near = not network or one.network in ("", network)
            if near and one.health is Health.HEALTHY and is_ip(one.ip):
                yield one


def _info(service: Service, addresses: tuple[str, ...], short: str) -> Any:
    if not service.is_of_cluster:
        return nds.NameTable.NameInfo(ips=addresses, registry=nds.EXTERNAL)
    return nds.NameTable.NameInfo(ips=addresses, registry=nds.KUBERNETES, shortname=short, namespace=service.namespace)
