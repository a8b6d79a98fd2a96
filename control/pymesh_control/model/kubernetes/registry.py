"""A cluster's objects put together: which services there are, what answers for them, and by which other names they are called."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pymesh.api import Resource

from ..distribution import Wishes
from ..membership import Workloads
from ..networks import Places
from ..service import Alias, Endpoint, Instances, Port, Service, port_of
from ..workload import Health, Workload
from . import slices
from .pods import Pods
from .services import from_resource, host_of, is_alias, request_ports, visibility_of
from .topology import Topology

KINDS = ("Endpoints", "EndpointSlice", "Node", "Pod", "Service")


@dataclass(frozen=True, slots=True)
class Cluster:
    """What Kubernetes' objects add to the mesh."""

    services: tuple[Service, ...]
    instances: Mapping[tuple[str, str], Instances]
    """By the service's namespace and host."""
    workloads: tuple[Workload, ...]
    """The pods."""
    aliases: Mapping[Alias, str]
    """Services of type ExternalName, with the hosts that they stand for."""


def read(
    by_kind: Mapping[str, Sequence[Resource]],
    others: Sequence[Workload],
    places: Places,
    exports: Sequence[str] = (),
    wishes: Wishes = MappingProxyType({}),
) -> Cluster:
    """The services and pods of a cluster; `others` are workloads outside of it, which its Services select too.

    `exports` is the exportTo of Services that have none, `wishes` the traffic distribution.
    """
    topology = Topology(by_kind.get("Node", ()))
    pods = Pods(by_kind.get("Pod", ()), topology, places)
    instances = _Instances(by_kind, pods, topology, Workloads(others), places)
    resources = by_kind.get("Service", ())
    given = [
        instances.given(from_resource(one, topology, exports, wishes.get(one.namespace, "")), one)
        for one in resources
        if not is_alias(one)
    ]
    by_host = {(service.namespace, service.host): found for service, found in given}
    aliases = {
        Alias(host_of(one), one.namespace, visibility_of(one, exports), request_ports(one)): one.spec.spec.external_name.lower().rstrip(".")
        for one in resources
        if is_alias(one) and one.spec.spec.external_name
    }
    return Cluster(tuple(service for service, _ in given), by_host, pods.workloads, aliases)


def inputs(by_kind: Mapping[str, Sequence[Resource]], others: Sequence[Workload]) -> list[object]:
    """All that `read` looks at, but for the networks and what is said for those that say nothing."""
    return [others, *(resource for kind in KINDS for resource in by_kind.get(kind, ()))]


class _Instances:
    """What answers for a Service: what its EndpointSlices list, else its Endpoints, else the pods that it selects."""

    def __init__(
        self, by_kind: Mapping[str, Sequence[Resource]], pods: Pods, topology: Topology, others: Workloads, places: Places
    ) -> None:
        self._sources = slices.Sources(pods, topology, places)
        self._others = others
        self._selectable = Workloads(pods.workloads)
        self._slices: dict[tuple[str, str], list[slices.Slice]] = {}
        self._endpoints = {(one.namespace, one.name): slices.from_endpoints(one) for one in by_kind.get("Endpoints", ())}
        for one in by_kind.get("EndpointSlice", ()):
            key = (one.namespace, one.labels.get(slices.SERVICE_LABEL, ""))
            self._slices.setdefault(key, []).append(slices.from_slice(one))

    def given(self, service: Service, resource: Resource) -> tuple[Service, Instances]:
        """The service, and its instances."""
        spec = resource.spec.spec
        listed = self._listed(service, spec.ip_families)
        unready = bool(spec.publish_not_ready_addresses)
        selected = () if service.selector is None else self._others.selected(service.namespace, service.selector)
        found = {
            port.number: _useful(service, (*listed[port.number], *(Endpoint(one, port_of(port, one)) for one in selected)), unready=unready)
            for port in service.ports
        }
        inline = () if service.selector else tuple({one.workload.ip: one.workload for held in found.values() for one in held}.values())
        return replace(service, inline=inline), found

    def _listed(self, service: Service, families: Sequence[str]) -> Mapping[int, tuple[Endpoint, ...]]:
        key = (service.namespace, service.name)
        listed = self._slices.get(key) or self._endpoints.get(key)
        if listed is not None:
            chosen = slices.of_family(listed, _family(service, families))
            return slices.endpoints(chosen, service.ports, self._sources, drains=service.drains)
        chosen_pods = () if service.selector is None else self._selectable.selected(service.namespace, service.selector)
        return {port.number: tuple(_of_pods(port, chosen_pods)) for port in service.ports}


def _family(service: Service, families: Sequence[str]) -> str:
    if families:
        return families[0]
    return "IPv6" if any(":" in address for address in service.addresses[:1]) else "IPv4"


def _of_pods(port: Port, pods: Iterable[Workload]) -> Iterable[Endpoint]:
    """The pods that have the port: a target that is a name is that of a container's port."""
    for pod in pods:
        target = pod.container_ports.get(port.target_name) if port.target_name else port.target
        if target:
            yield Endpoint(pod, target)


def _useful(service: Service, endpoints: Iterable[Endpoint], *, unready: bool) -> tuple[Endpoint, ...]:
    """Without those that end, unless sessions may stay with them; `unready` says that clients want those that are not ready too."""
    kept = (one for one in endpoints if one.workload.health is not Health.DRAINING or service.drains)
    return tuple(_ready(one) if unready else one for one in kept)


def _ready(endpoint: Endpoint) -> Endpoint:
    workload = endpoint.workload
    return Endpoint(replace(workload, health=Health.HEALTHY), endpoint.port) if workload.health is Health.UNHEALTHY else endpoint
