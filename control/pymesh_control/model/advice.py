"""Warnings: rules that are legal and honoured, and yet point at something that is not there."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pymesh.api import Problem, Resource, hosts

from . import delegation
from .credential import AUTHORITY_SUFFIX
from .destination import from_resource
from .gateway import Server
from .gateway import from_resource as from_gateway
from .protocol import Protocol, of_port
from .service import full_name, is_address
from .support import INERT, Path, problem_at, walk
from .virtual import MESH
from .workload import Workload, selects

if TYPE_CHECKING:
    from .snapshot import Snapshot

_ROUTES = (
    "http[].route[].destination",
    "http[].mirror",
    "http[].mirrors[].destination",
    "tls[].route[].destination",
    "tcp[].route[].destination",
)


def warnings(resources: Iterable[Resource], snapshot: "Snapshot") -> list[Problem]:
    """What a person should look at, with the mesh as it is in `snapshot`."""
    accepted = list(resources)
    named = [workload for workload in snapshot.workloads if not is_address(workload.ip)]
    gateways = {f"{one.namespace}/{one.name}" for one in accepted if one.kind == "Gateway"}
    found: list[Problem] = []
    for resource in accepted:
        if resource.kind in INERT:
            found.append(_warning(resource, (), f"has no effect here: {INERT[resource.kind]}"))
        if resource.kind == "VirtualService":
            found += _of_destinations(resource, snapshot)
            found += _of_gateways(resource, gateways)
        elif resource.kind == "DestinationRule":
            found += _of_subsets(resource, snapshot)
        elif resource.kind == "ServiceEntry":
            found += _of_ports(resource)
            found += _of_instances(resource, named)
        elif resource.kind == "Gateway":
            found += _of_credentials(resource, snapshot)
    return [*found, *_of_delegates(accepted), *_of_servers(accepted), *_of_settings(accepted)]


def _warning(resource: Resource, path: Path, message: str) -> Problem:
    return problem_at(resource, path, message, "warning")


def _of_destinations(resource: Resource, snapshot: "Snapshot") -> Iterator[Problem]:
    for field in _ROUTES:
        for path, destination in walk(resource.spec, field):
            host = full_name(destination.host, resource.namespace)
            service = snapshot.service(host, resource.namespace)
            if service is None:
                yield _warning(resource, path, f"no service has the host {host}: requests sent there are answered with 503 (NC)")
            elif destination.subset:
                rule = snapshot.rules.find(host, service.namespace, resource.namespace, {})
                if rule is None or destination.subset not in rule.subsets:
                    text = f"no DestinationRule gives {host} a subset {destination.subset}: requests sent there are answered with 503 (NC)"
                    yield _warning(resource, path, text)


def _of_credentials(resource: Resource, snapshot: "Snapshot") -> Iterator[Problem]:
    for field in ("credentialName", "caCertCredentialName", "credentialNames[]"):
        for path, name in walk(resource.spec, f"servers[].tls.{field}"):
            names = {name, name.removesuffix(AUTHORITY_SUFFIX)}
            if not any((resource.namespace, one) in snapshot.credentials for one in names):
                yield _warning(resource, path, f"there is no credential {name} in namespace {resource.namespace}: the server waits for it")


def _of_delegates(resources: Iterable[Resource]) -> Iterator[Problem]:
    _, missing = delegation.resolved([one for one in resources if one.kind == "VirtualService"])
    for one in missing:
        text = f"there is no delegate {one.name} for namespace {one.root.namespace}: this route is left out"
        yield _warning(one.root, ("http", one.index, "delegate"), text)


def _of_gateways(resource: Resource, gateways: set[str]) -> Iterator[Problem]:
    for index, name in enumerate(resource.spec.gateways):
        if hosts.expand_gateway(name, resource.namespace) not in gateways | {MESH}:
            yield _warning(resource, ("gateways", index), f"there is no Gateway {name}")


def _of_subsets(resource: Resource, snapshot: "Snapshot") -> Iterator[Problem]:
    rule = from_resource(resource)
    service = snapshot.service(rule.host, resource.namespace)
    if service is None or service.resolution != "STATIC":
        return
    instances: Sequence[dict[str, str]] = [dict(e.workload.labels) for some in service.endpoints.values() for e in some]
    for index, subset in enumerate(rule.subsets.values()):
        if not any(selects(subset.labels, labels) for labels in instances):
            yield _warning(resource, ("subsets", index), f"subset {subset.name} selects none of the instances of {rule.host}")


def _of_ports(resource: Resource) -> Iterator[Problem]:
    for path, port in walk(resource.spec, "ports[]"):
        protocol = of_port(port.number, port.name, port.protocol or "")
        if protocol is Protocol.UDP:
            yield _warning(resource, path, f"port {port.number}: UDP is not carried by the mesh")


def _of_servers(resources: Iterable[Resource]) -> Iterator[Problem]:
    """Servers that lose their port to another kind of server of a Gateway for the same proxies."""
    held: dict[object, Server] = {}
    for resource in resources:
        if resource.kind != "Gateway":
            continue
        gateway = from_gateway(resource)
        for index, server in enumerate(gateway.servers):
            first = held.setdefault((frozenset(gateway.selector.items()), server.bind, server.port), server)
            if first.kind != server.kind:
                text = f"port {server.port} already speaks {first.kind} for Gateway {first.gateway}: this server is left out"
                yield _warning(resource, ("servers", index, "port"), text)


def _of_settings(resources: Iterable[Resource]) -> Iterator[Problem]:
    meshes = [one for one in resources if one.kind == "ConfigMap"]
    for resource in meshes[1:]:
        yield _warning(resource, (), "the mesh is configured already: this one is not used")


def _of_instances(resource: Resource, named: Iterable[Workload]) -> Iterator[Problem]:
    """Selected workloads that a STATIC service cannot use, as they have no address but a name."""
    if resource.spec.resolution is None or resource.spec.resolution.value != "STATIC" or not resource.spec.workload_selector:
        return
    for workload in named:
        if workload.namespace == resource.namespace and selects(resource.spec.workload_selector.labels, workload.labels):
            text = f"workload {workload.name} has no IP address but {workload.ip!r}: it is left out, as resolution STATIC asks no DNS"
            yield _warning(resource, ("resolution",), text)
