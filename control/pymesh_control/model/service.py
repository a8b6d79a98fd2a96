"""A service: a host, its ports, and how clients find what answers. Made from ServiceEntries, and from what `kubernetes` reads."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pymesh import labels as labels_of
from pymesh.api import hosts

from . import distribution
from .origin import Origin
from .protocol import Protocol, of_port
from .sessions import Sessions, of_labels
from .visibility import Visibility, exported
from .workload import MUTUAL, TLS_MODE_LABEL, WORKLOAD_NAME_LABEL, Health, Workload

DYNAMIC_DNS = "DYNAMIC_DNS"
"""The resolution of services whose hosts are looked up as requests name them."""

AUTO_ALLOCATE_LABEL = "networking.istio.io/enable-autoallocate-ip"
AUTO_REGISTRATION_GROUP = "istio.io/autoRegistrationGroup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """One port of a service; `target` is where its instances listen unless they say otherwise."""

    number: int
    name: str
    protocol: Protocol
    target: int
    target_name: str = ""
    """The name that the containers of its pods give the port, in the place of `target`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A workload at the port that serves one port of a service."""

    workload: Workload
    port: int
    is_gateway: bool = False
    """Whether it stands for instances of another network, to which it passes mutual TLS on."""

    @property
    def speaks_mutual_tls(self) -> bool:
        return self.workload.tls_mode == MUTUAL


@dataclass(frozen=True, slots=True)
class Alias:
    """Another host by which a service is called, with the namespaces that may call it so."""

    host: str
    namespace: str
    visibility: Visibility
    ports: frozenset[int] = frozenset()
    """Those of its own that may speak HTTP: rules for it hold there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Where a service is reached from outside, and of which network it is a gateway, at which port, if it is labelled so.

    Addresses may be names; where they are those of nodes, `node_ports` tells by which ports of theirs the service's are reached.
    """

    addresses: tuple[str, ...] = ()
    node_ports: Mapping[int, int] = field(default_factory=dict)
    network: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One host of one namespace. `resolution` is ServiceEntry's."""

    host: str
    namespace: str
    name: str
    ports: tuple[Port, ...]
    resolution: str
    external: bool
    visibility: Visibility
    addresses: tuple[str, ...] = ()
    """Virtual IPs and CIDR blocks."""
    wants_address: bool = False
    """Whether it may be given addresses of the mesh's own where it has none."""
    recorded: tuple[str, ...] = ()
    """Those that its `status` says it was given before."""
    allocated: tuple[str, ...] = ()
    """Those addresses, for clients whose DNS tells them."""
    selector: Mapping[str, str] | None = None
    inline: tuple[Workload, ...] = ()
    """The instances that the ServiceEntry itself lists."""
    subject_alt_names: tuple[str, ...] = ()
    service_accounts: tuple[tuple[str, str], ...] = ()
    """The (namespace, service account) pairs that its instances run as, sorted."""
    origins: tuple[Origin, ...] = ()
    """The resources that declare it."""
    headless: bool = False
    """Whether clients choose one of its pods by address; of resolution NONE, then."""
    sessions: Sessions | None = None
    """How its clients' sessions stay with an instance."""
    locality: Any = None
    """The localityLbSetting that its own wish for traffic close by amounts to."""
    aliases: tuple[Alias, ...] = ()
    edge: Edge = Edge()
    of_node: bool = False
    """Whether clients are served by instances on their own node alone (`internalTrafficPolicy: Local`)."""
    leads_gateways: bool = True
    """Whether Gateways may name its ports, rather than those of the pods to which it leads."""

    def port(self, number: int) -> Port | None:
        return next((port for port in self.ports if port.number == number), None)

    @property
    def drains(self) -> bool:
        """Whether clients are told of instances that end, for the sessions that these still have."""
        return self.sessions is not None

    @property
    def is_of_cluster(self) -> bool:
        """Whether Kubernetes declares it."""
        return any(origin.kind == "Service" for origin in self.origins)

    @property
    def virtual_ips(self) -> tuple[str, ...]:
        return tuple(address for address in self.addresses if "/" not in address)


Instances = Mapping[int, tuple[Endpoint, ...]]
"""What answers for a service, by its ports."""


def accounts_of(instances: Instances) -> tuple[tuple[str, str], ...]:
    """The (namespace, service account) pairs that instances run as, sorted."""
    workloads = (endpoint.workload for endpoints in instances.values() for endpoint in endpoints)
    return tuple(sorted({(one.namespace, one.service_account) for one in workloads if one.service_account}))


def full_name(host: str, namespace: str) -> str:
    """The name of a host that a rule of `namespace` writes, in lower case, as names are compared."""
    return hosts.expand(host, namespace).lower()


def from_entry(resource: Any, wished: str = "") -> list[Service]:
    """The services that a ServiceEntry declares, one a host, without endpoints; `wished` is the traffic distribution of its namespace."""
    spec = resource.spec
    ports = tuple(_port(port) for port in spec.ports)
    first = Service(
        host="",
        namespace=resource.namespace,
        name="",
        ports=tuple(port for port in ports if port.protocol is not Protocol.UDP),
        resolution=spec.resolution.value if spec.resolution else "NONE",
        external=spec.location is None or spec.location.value == "MESH_EXTERNAL",
        visibility=exported(spec.export_to, resource.namespace),
        addresses=tuple(_address(address) for address in spec.addresses),
        wants_address=resource.labels.get(AUTO_ALLOCATE_LABEL, "").lower() != "false",
        selector=dict(spec.workload_selector.labels) if spec.workload_selector else None,
        inline=tuple(_inline(entry, resource) for entry in spec.endpoints),
        subject_alt_names=tuple(spec.subject_alt_names),
        locality=distribution.setting(None, distribution.wish(resource), wished),
        sessions=of_labels(resource.labels),
        origins=(Origin("ServiceEntry", resource.namespace, resource.name),),
    )
    given = resource.status.addresses if resource.status else []
    return [
        replace(first, host=host, name=_short_name(host), recorded=tuple(one.value for one in given if _is_for(one, host)))
        for host in map(str.lower, spec.hosts)
    ]


def _is_for(address: Any, host: str) -> bool:
    return not address.host or bool(address.host.lower() == host)


def workload_name(entry: Any) -> str:
    """The name under which metrics know the workload of a WorkloadEntry: that of its group if it has registered for one."""
    return str(entry.annotations.get(AUTO_REGISTRATION_GROUP) or entry.labels.get(WORKLOAD_NAME_LABEL) or entry.name)


def from_workload_entry(entry: Any, name: str, namespace: str, more: Mapping[str, str]) -> Workload:
    """The workload that a WorkloadEntry (or an inline endpoint) describes, and more labels that it has.

    One with a service account is taken for one with a sidecar, unless a label says otherwise.
    """
    labels = {**entry.labels, **more}
    tls_mode = MUTUAL if entry.service_account else "disabled"
    return Workload(
        name=name,
        namespace=namespace,
        ip=entry.address or "",
        labels=labels,
        service_account=entry.service_account or "",
        ports=dict(entry.ports),
        locality=entry.locality or labels_of.locality(labels),
        network=entry.network or "",
        tls_mode=labels.get(TLS_MODE_LABEL, tls_mode),
        weight=entry.weight or 1,
    )


def instances_of(service: Service, selected: Sequence[Workload]) -> Instances:
    """A service's instances: those it lists, and those that its selector selects; else what DNS finds under its own name."""
    chosen = (*service.inline, *(workload for workload in selected if workload.health is not Health.DRAINING))
    if service.resolution == "STATIC":
        chosen = tuple(workload for workload in chosen if is_address(workload.ip) or (workload.network and not workload.ip))
    elif service.resolution.startswith("DNS"):
        chosen = _resolvable(service, chosen)
    return {port.number: tuple(Endpoint(workload, port_of(port, workload)) for workload in chosen) for port in service.ports}


def _resolvable(service: Service, chosen: tuple[Workload, ...]) -> tuple[Workload, ...]:
    """The instances that DNS can be asked for: DNS_ROUND_ROBIN has one, and a service that neither lists nor selects any is its own."""
    named = tuple(workload for workload in chosen if not workload.ip.startswith("unix://"))
    if not named and service.selector is None and not hosts.is_wildcard(service.host):
        named = (Workload(name=service.name, namespace=service.namespace, ip=service.host),)
    return named[:1] if service.resolution == "DNS_ROUND_ROBIN" else named


def is_address(text: str) -> bool:
    """Whether it can be connected to without asking DNS: an IP address or a Unix socket."""
    if text.startswith("unix://"):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def port_of(port: Port, workload: Workload) -> int:
    """Where a workload serves a service's port: what it says itself, else the service's target port."""
    return workload.ports.get(port.name, port.target)


def merged(first: Service, other: Service) -> Service:
    """Two ServiceEntries of one namespace and host as one service: the first one's settings, the ports and instances of both."""
    numbers = {port.number for port in first.ports}
    return replace(
        first,
        ports=first.ports + tuple(port for port in other.ports if port.number not in numbers),
        addresses=first.addresses + tuple(address for address in other.addresses if address not in first.addresses),
        wants_address=first.wants_address and other.wants_address,
        recorded=first.recorded or other.recorded,
        inline=first.inline + other.inline,
        selector=first.selector if first.selector is not None else other.selector,
        subject_alt_names=first.subject_alt_names + other.subject_alt_names,
        origins=first.origins + other.origins,
    )


def decorated(service: Service, other: Service) -> Service:
    """A service of the cluster for which a ServiceEntry speaks too: it may only say by which further names it is known."""
    names = (name for name in other.subject_alt_names if name not in service.subject_alt_names)
    return replace(service, subject_alt_names=(*service.subject_alt_names, *names), origins=service.origins + other.origins)


def _port(port: Any) -> Port:
    protocol = of_port(port.number, port.name or "", port.protocol or "")
    return Port(number=port.number, name=port.name or "", protocol=protocol, target=port.target_port or port.number)


def _inline(entry: Any, resource: Any) -> Workload:
    return from_workload_entry(entry, resource.name, resource.namespace, {})


def _short_name(host: str) -> str:
    """`reviews` for a host of the cluster's domain, else the host itself."""
    name, _, rest = host.partition(".")
    return name if rest.endswith(f".svc.{hosts.DEFAULT_DOMAIN}") else host


def _address(text: str) -> str:
    """A virtual IP, or a CIDR block; a block of one address is that address."""
    network = ipaddress.ip_network(text, strict=False)
    return str(network.network_address) if network.num_addresses == 1 else str(network)
