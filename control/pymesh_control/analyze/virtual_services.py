"""Routes that lead nowhere, or of which another rule takes the traffic away."""

from collections.abc import Iterator
from typing import Any

from pymesh.api import Resource, hosts

from ..model import delegation
from ..model.gateway import Gateway
from ..model.service import full_name
from ..model.support import spell, walk
from ..model.virtual import MESH, VirtualService
from ..model.visibility import Visibility
from .rule import Found, rule
from .subject import Path, Subject

DESTINATIONS = (
    "http[].route[].destination",
    "http[].mirror",
    "http[].mirrors[].destination",
    "tls[].route[].destination",
    "tcp[].route[].destination",
)
_SHARES = ("http", "tls", "tcp")


@rule(
    "IST0101", "error", "a route's destination is a host that no service has", also="KIA1101", on_load=True,
    why="Requests sent there are answered with 503 (NC), whatever else is right.",
    fix="Write the host as its service declares it, in full when the service is of another namespace, or add a ServiceEntry.",
)  # fmt: skip
def destination_host(subject: Subject) -> Iterator[Found]:
    for resource, path, destination in subject.each("VirtualService", *DESTINATIONS):
        host = full_name(destination.host, resource.namespace)
        if subject.snapshot.service(host, resource.namespace) is None:
            hint = subject.candidates(host)
            yield Found(resource, path, f"no service has the host {host}{hint}: requests sent there are answered with 503 (NC)")


@rule(
    "IST0101", "error", "a route's destination is a subset that no DestinationRule defines", also="KIA1107", on_load=True,
    why="A subset is only a name until a DestinationRule says which labels it stands for; until then requests get 503 (NC).",
    fix="Add the subset to the DestinationRule of the host, or leave it out of the route.",
)  # fmt: skip
def destination_subset(subject: Subject) -> Iterator[Found]:
    for resource, path, destination in subject.each("VirtualService", *DESTINATIONS):
        host = full_name(destination.host, resource.namespace)
        service = subject.snapshot.service(host, resource.namespace)
        if service is None or not destination.subset:
            continue
        found = subject.snapshot.rules.find(host, service.namespace, resource.namespace, {})
        if found is None or destination.subset not in found.subsets:
            text = f"no DestinationRule gives {host} a subset {destination.subset}: requests sent there are answered with 503 (NC)"
            yield Found(resource, path, text)


@rule(
    "IST0112", "error", "a destination names no port, and its service has several",
    why="Which port is meant is then decided by the port that the request came to, which at a gateway is no port of the service.",
    fix="Set destination.port.number.",
)  # fmt: skip
def destination_port_required(subject: Subject) -> Iterator[Found]:
    for resource, path, destination in subject.each("VirtualService", *DESTINATIONS):
        service = subject.snapshot.service(full_name(destination.host, resource.namespace), resource.namespace)
        if service and len(service.ports) > 1 and not _port(destination):
            ports = ", ".join(str(port.number) for port in service.ports)
            yield Found(resource, path, f"{service.host} has the ports {ports}, and none of them is chosen")


@rule(
    "IST0101", "error", "a destination names a port that its service does not have",
    why="There is no cluster for such a port: requests sent there are answered with 503 (NC).",
    fix="Name a port that the service declares; it is the service's number, not the one its instances listen on.",
)  # fmt: skip
def destination_port(subject: Subject) -> Iterator[Found]:
    for resource, path, destination in subject.each("VirtualService", *DESTINATIONS):
        service = subject.snapshot.service(full_name(destination.host, resource.namespace), resource.namespace)
        number = _port(destination)
        if service and number and service.port(number) is None:
            yield Found(resource, (*path, "port"), f"{service.host} has no port {number}")


@rule(
    "IST0101", "error", "a VirtualService is for a Gateway that is not there", also="KIA1102", on_load=True,
    why="Its routes are in no gateway's configuration: requests get 404 there.",
    fix="Write `namespace/name` of the Gateway; without a namespace it is looked for beside the VirtualService.",
)  # fmt: skip
def gateway_exists(subject: Subject) -> Iterator[Found]:
    for resource in subject.of("VirtualService"):
        for index, name in enumerate(resource.spec.gateways):
            full = hosts.expand_gateway(name, resource.namespace)
            if full != MESH and full not in subject.gateways:
                yield Found(resource, ("gateways", index), f"there is no Gateway {name}")


@rule(
    "IST0101", "error", "a route is delegated to a VirtualService that is not there", on_load=True,
    why="The route is left out: its requests go to the next route that matches, or get 404.",
    fix="Name a VirtualService without hosts, of the delegate's namespace, that is exported to this one.",
)  # fmt: skip
def delegate_exists(subject: Subject) -> Iterator[Found]:
    _, missing = delegation.resolved(list(subject.of("VirtualService")))
    for one in missing:
        text = f"there is no delegate {one.name} for namespace {one.root.namespace}: this route is left out"
        yield Found(one.root, ("http", one.index, "delegate"), text)


@rule(
    "PYM0101", "warning", "a delegate that no VirtualService takes in",
    why="A VirtualService without hosts routes nothing by itself.",
    fix="Name it in the `delegate` of a route, or give it hosts.",
)  # fmt: skip
def delegate_unused(subject: Subject) -> Iterator[Found]:
    used = {
        (one.namespace or resource.namespace, one.name or "") for resource, _, one in subject.each("VirtualService", "http[].delegate")
    }  # fmt: skip
    for resource in subject.of("VirtualService"):
        if not resource.spec.hosts and (resource.namespace, resource.name) not in used:
            yield Found(resource, (), "has no hosts, and no route delegates to it")


@rule(
    "IST0109", "error", "two VirtualServices rule one host for the sidecars", also="KIA1106",
    why="Sidecars do not merge them: one has the host (exported to fewer, then older), and the routes of the other do nothing.",
    fix="Put the routes into one VirtualService, or give each its own exportTo.",
)  # fmt: skip
def mesh_host_conflict(subject: Subject) -> Iterator[Found]:
    held: dict[str, list[tuple[Visibility, Resource, int]]] = {}
    for resource, service in subject.virtual_services:
        for index, host in enumerate(service.hosts if MESH in service.gateways else ()):
            held.setdefault(host, []).append((service.visibility, resource, index))
    for host, claims in held.items():
        for place, (seen, resource, index) in enumerate(claims):
            others = (*claims[: min(place, _RIVALS)], *claims[place + 1 : place + 1 + _RIVALS])
            rival = next((one for other, one, _ in others if _meet(other, seen)), None)
            if rival:
                yield Found(resource, ("hosts", index), f"VirtualService {rival.namespace}/{rival.name} rules the host {host}, too")


_RIVALS = 8
"""Claims before and behind one that are compared; with more, a conflict among the nearest of them has been told."""


@rule(
    "IST0132", "warning", "a Gateway serves none of the hosts of a VirtualService that is for it",
    why="A gateway serves a VirtualService only under names that its own servers list: for others it answers 404.",
    fix="Add a host to a server of the Gateway, or take the Gateway out here.",
)  # fmt: skip
def gateway_hosts(subject: Subject) -> Iterator[Found]:
    for resource, service in subject.virtual_services:
        for index, name in enumerate(resource.spec.gateways if service.hosts else ()):
            full = hosts.expand_gateway(name, resource.namespace)
            _, gateway = subject.gateways.get(full, (None, None))
            if full != MESH and not (gateway and any(_serves(gateway, service, host) for host in service.hosts)):
                yield Found(resource, ("gateways", index), f"Gateway {name} has no server for any of the hosts {', '.join(service.hosts)}")


@rule(
    "PYM0102", "warning", "a match is for a gateway that the VirtualService is not for",
    why="Such a match never holds: the routes are sent to the VirtualService's own gateways only.",
    fix="Add the gateway to the VirtualService's `gateways`.",
)  # fmt: skip
def match_gateway(subject: Subject) -> Iterator[Found]:
    fields = tuple(f"{kind}[].match[].gateways[]" for kind in _SHARES)
    for resource, path, name in subject.each("VirtualService", *fields):
        own = {hosts.expand_gateway(one, resource.namespace) for one in resource.spec.gateways or (MESH,)}
        if resource.spec.hosts and hosts.expand_gateway(name, resource.namespace) not in own:
            yield Found(resource, path, f"{spell(path)}: {name} is none of this VirtualService's gateways")


@rule(
    "KIA1104", "info", "a weight where there is only one destination",
    why="One destination gets everything, whatever its weight says.",
    fix="Leave the weight out, or add the destination that was meant to get the rest.",
)  # fmt: skip
def lone_weight(subject: Subject) -> Iterator[Found]:
    for resource, path, shares in _routes(subject):
        if len(shares) == 1 and shares[0].weight is not None and shares[0].weight != 100:
            yield Found(resource, (*path, 0, "weight"), f"weight {shares[0].weight} has no effect beside no other destination")


@rule(
    "KIA1105", "warning", "a route names one destination twice",
    why="Its shares add up, which is seldom what was meant: usually the subset of one of them is missing or misspelt.",
    fix="Give the destinations different subsets, or join their weights.",
)  # fmt: skip
def repeated_destination(subject: Subject) -> Iterator[Found]:
    for resource, path, shares in _routes(subject):
        seen: set[tuple[str, str | None, int]] = set()
        for index, share in enumerate(shares):
            to = share.destination
            key = (full_name(to.host, resource.namespace), to.subset, _port(to))
            if key in seen:
                text = f"{to.host}{f' ({to.subset})' if to.subset else ''} is a destination of this route already"
                yield Found(resource, (*path, index, "destination"), text)
            seen.add(key)


RULES = (
    destination_host, destination_subset, destination_port_required, destination_port, gateway_exists, delegate_exists, delegate_unused,
    mesh_host_conflict, gateway_hosts, match_gateway, lone_weight, repeated_destination,
)  # fmt: skip


def _port(destination: Any) -> int:
    return (destination.port.number or 0) if destination.port else 0


def _routes(subject: Subject) -> Iterator[tuple[Resource, Path, Any]]:
    for resource in subject.of("VirtualService"):
        for kind in _SHARES:
            for path, route in walk(resource.spec, f"{kind}[]"):
                yield resource, (*path, "route"), route.route


def _meet(one: Visibility, other: Visibility) -> bool:
    """Whether some namespace sees both."""
    if one.everywhere or other.everywhere:
        return bool(one.everywhere or one.namespaces) and bool(other.everywhere or other.namespaces)
    return bool(one.namespaces & other.namespaces)


def _serves(gateway: Gateway, service: VirtualService, host: str) -> bool:
    return any(
        place in ("*", service.namespace) and hosts.matches(pattern, host) for server in gateway.servers for place, pattern in server.hosts
    )
