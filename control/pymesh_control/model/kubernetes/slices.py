"""The instances of a Service that EndpointSlices, or the elder Endpoints, list."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pymesh.api import Resource

from ..networks import Places
from ..service import Endpoint, Port
from ..workload import Health, Workload
from .pods import Pods
from .topology import Topology

SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Instance:
    """One address, and what is said of it; `pod`, `node` and `zone` are empty where nothing is."""

    address: str
    health: Health
    pod: str = ""
    node: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """Instances of one namespace that listen on the same ports, which are by name of the Service's port."""

    namespace: str
    instances: tuple[Instance, ...]
    ports: Mapping[str, int]
    family: str = ""
    """`IPv4` or `IPv6`, where it is told."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Who knows more of an address than the slice: the pods, the nodes, and the networks."""

    pods: Pods
    topology: Topology
    places: Places


def from_slice(resource: Resource) -> Slice:
    """An EndpointSlice."""
    spec = resource.spec
    instances = tuple(one for endpoint in spec.endpoints for one in _instances(endpoint))
    return Slice(resource.namespace, instances, _ports(spec.ports), spec.address_type)


def from_endpoints(resource: Resource) -> list[Slice]:
    """The subsets of an Endpoints."""
    return [
        Slice(
            resource.namespace,
            (*_addresses(subset.addresses, Health.HEALTHY), *_addresses(subset.not_ready_addresses, Health.UNHEALTHY)),
            _ports(subset.ports),
        )
        for subset in resource.spec.subsets
    ]


def of_family(slices: Iterable[Slice], wanted: str) -> list[Slice]:
    """The slices of one family, as a service of both lists each instance in each: the wanted one, if there is any of it."""
    found = list(slices)
    families = {one.family for one in found}
    chosen = wanted if wanted in families else min(families, default="")
    return [one for one in found if one.family == chosen]


def endpoints(
    slices: Iterable[Slice], ports: Iterable[Port], sources: Sources, *, drains: bool
) -> dict[int, tuple[Endpoint, ...]]:
    """The endpoints by service port, each address and port once; `drains` says that those that end count, too."""
    found: dict[int, dict[tuple[str, int], Endpoint]] = {port.number: {} for port in ports}
    numbers = {port.name: port.number for port in ports}
    for one in slices:
        workloads = [
            _workload(instance, one.namespace, sources)
            for instance in one.instances
            if drains or instance.health is not Health.DRAINING
        ]
        for name, target in one.ports.items():
            held = found.get(numbers.get(name, -1), {})
            for workload in workloads:
                held.setdefault((workload.ip, target), Endpoint(workload, target))
    return {number: tuple(held.values()) for number, held in found.items()}


def _workload(instance: Instance, namespace: str, sources: Sources) -> Workload:
    """The pod with the health that the slice tells, as that knows of the service's wishes; else what the slice alone says."""
    place = sources.topology.of(instance.node, instance.zone)
    pod = sources.pods.find(namespace, instance.pod, instance.address, instance.node)
    if pod is not None:
        return replace(pod, ip=instance.address, health=instance.health, locality=pod.locality or place)
    return Workload(
        name=instance.pod or instance.address,
        namespace=namespace,
        ip=instance.address,
        locality=place,
        network=sources.places.of(instance.address, {}),
        health=instance.health,
        pod=instance.pod,
        node=instance.node,
    )


def _instances(endpoint: Any) -> Iterator[Instance]:
    health = _health(endpoint.conditions)
    if health is not None:
        for address in endpoint.addresses:
            yield Instance(address, health, _pod(endpoint.target_ref), endpoint.node_name or "", endpoint.zone or "")


def _health(conditions: Any) -> Health | None:
    """None for an instance that ends and serves no more."""
    if conditions.ready is not False:
        return Health.HEALTHY
    if conditions.terminating:
        return None if conditions.serving is False else Health.DRAINING
    return Health.UNHEALTHY


def _addresses(addresses: Iterable[Any], health: Health) -> Iterator[Instance]:
    return (Instance(one.ip, health, _pod(one.target_ref), one.node_name or "") for one in addresses)


def _pod(reference: Any) -> str:
    return str(reference.name or "") if reference and reference.kind == "Pod" else ""


def _ports(ports: Iterable[Any]) -> dict[str, int]:
    return {port.name or "": port.port for port in ports if port.port and port.protocol in (None, "TCP")}
