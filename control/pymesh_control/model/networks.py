"""Networks: in which one a workload is, and by which gateways those of others get to it (Istio's split horizon)."""

import ipaddress
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pymesh.address import is_ip

from .service import Instances, Service
from .whereabouts import NETWORK_LABEL
from .workload import Workload

Block = ipaddress.IPv4Network | ipaddress.IPv6Network

CLUSTER = "Kubernetes"
"""The one registry that files stand for, under Istio's default name of a cluster."""

_GATEWAY_PORT = 15443


@dataclass(frozen=True, slots=True)
class Places:
    """In which network an address is, where its workload does not say so itself."""

    own: str = ""
    """The network that the root namespace is labelled with."""
    registries: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Networks by the clusters all of whose workloads are in them."""
    blocks: tuple[tuple[Block, str], ...] = ()

    def of(self, address: str, labels: Mapping[str, str], cluster: str = CLUSTER) -> str:
        """By label, by the root namespace, by registry, by address, in Istio's order; empty when nothing tells."""
        return labels.get(NETWORK_LABEL) or self.own or self.registries.get(cluster, "") or self._by_address(address)

    def holds(self, registry: str, network: str) -> bool:
        """Whether all that a registry knows is of a network."""
        return self.registries.get(registry) == network

    def _by_address(self, text: str) -> str:
        if not self.blocks:
            return ""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return ""
        return next((name for block, name in self.blocks if address in block), "")


def places_of(spec: Any, own: str) -> Places:
    """What a MeshNetworks (or None) and the root namespace's label tell."""
    networks = spec.networks if spec is not None else {}
    ranges = [(name, one) for name, network in networks.items() for one in network.endpoints]
    return Places(
        own,
        {one.from_registry: name for name, one in reversed(ranges) if one.from_registry},
        tuple((ipaddress.ip_network(one.from_cidr, strict=False), name) for name, one in ranges if one.from_cidr),
    )


def placed(workload: Workload, places: Places) -> Workload:
    """The workload in the network that it does not name itself."""
    network = workload.network or places.of(workload.ip, workload.labels, workload.cluster_id)
    return workload if network == workload.network else replace(workload, network=network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a client is, as far as that makes a difference; empty where it makes none."""

    network: str = ""
    cluster: str = ""
    wanted: frozenset[str] | None = None
    """The networks that it wants to hear of (REQUESTED_NETWORK_VIEW), None for all."""
    families: frozenset[int] = frozenset()
    """The IP versions at which it can reach gateways."""


NOWHERE = Site()


@dataclass(frozen=True, slots=True, order=True)
class NetworkGateway:
    """Where others get into a network, by address or by name; `cluster` is empty where it is not known to be one cluster's."""

    address: str
    port: int
    network: str
    cluster: str = ""


class Networks:
    """The gateways of all networks; without any, everything is reached directly.

    Those with a name stand for one at each of the name's addresses, and until these are known for none.
    """

    def __init__(self, gateways: Iterable[NetworkGateway], addresses: Mapping[str, tuple[str, ...]]) -> None:
        self.stated = frozenset(gateways)
        named = {one for one in self.stated if not is_ip(one.address)}
        looked_up = (replace(one, address=address) for one in named for address in addresses.get(one.address, ()))
        self.gateways = tuple(sorted({*self.stated - named, *looked_up}))
        self._of_network: dict[str, tuple[NetworkGateway, ...]] = {}
        self._of_cluster: dict[tuple[str, str], tuple[NetworkGateway, ...]] = {}
        for one in self.gateways:
            self._of_network[one.network] = (*self._of_network.get(one.network, ()), one)
            key = (one.network, one.cluster)
            self._of_cluster[key] = (*self._of_cluster.get(key, ()), one)
        self.scale = math.lcm(*map(len, (*self._of_network.values(), *self._of_cluster.values())))
        """What weights are multiplied by, so that the share of each gateway is a whole number."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Networks) and (self.gateways, self.stated) == (other.gateways, other.stated)

    def __hash__(self) -> int:
        return hash(self.gateways)

    def __bool__(self) -> bool:
        return bool(self.gateways)

    @property
    def names(self) -> frozenset[str]:
        """What has to be looked up."""
        return frozenset(one.address for one in self.stated if not is_ip(one.address))

    def towards(self, network: str, cluster: str) -> tuple[NetworkGateway, ...]:
        """The gateways to a workload: those of its cluster, else all of its network."""
        return self._of_cluster.get((network, cluster)) or self._of_network.get(network, ())


def gateways_of(
    spec: Any, places: Places, services: Sequence[Service], endpoints: Mapping[tuple[str, str], Instances]
) -> Iterable[NetworkGateway]:
    """The gateways that a MeshNetworks and the labels of services name."""
    by_host = {one.host: one for one in services} if spec is not None else {}
    for name, network in (spec.networks if spec is not None else {}).items():
        for one in network.gateways:
            if one.address:
                yield NetworkGateway(one.address, one.port, name)
            elif places.holds(CLUSTER, name):
                yield from _of_service(by_host.get(one.registry_service_name), one.port, name, endpoints)
    for service in services:
        if service.edge.network:
            yield from _labelled(service)


def _labelled(service: Service) -> Iterable[NetworkGateway]:
    """The gateway that a Service with the label of a network is, if it has the port."""
    port = service.edge.port or _GATEWAY_PORT
    return _of_service(service, port, service.edge.network, {}) if service.port(port) else ()


def _of_service(
    service: Service | None, number: int, network: str, endpoints: Mapping[tuple[str, str], Instances]
) -> Iterable[NetworkGateway]:
    """Where a service is reached from outside; one that no cluster keeps is reached at its instances."""
    if service is None:
        return
    for address in service.edge.addresses:
        yield NetworkGateway(address, service.edge.node_ports.get(number, number), network, CLUSTER)
    if not service.is_of_cluster:
        for one in endpoints.get((service.namespace, service.host), {}).get(number, ()):
            yield NetworkGateway(one.workload.ip, one.port, network, CLUSTER)
