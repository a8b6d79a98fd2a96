"""The mesh as one kind of client sees it. Proxies of equal scope share every outbound resource that is made for one of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any, TypeVar

from pymesh.api import hosts
from pymesh.xds import names
from pymesh.xds import node as nodes

from ..model.destination import Policy, Rule
from ..model.gatewayapi.policies import BackendTls
from ..model.memory import Same
from ..model.networks import NOWHERE, Site
from ..model.service import Endpoint, Port, Service, full_name
from ..model.settings import NOTHING, Settings
from ..model.sidecar import Sidecar
from ..model.snapshot import Snapshot
from ..model.view import GRPC, ProxyView
from ..model.virtual import MeshRules
from ..model.whereabouts import HOSTNAME_LABEL

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a client's view of the mesh depends on; `labels` are only those that rules ask about."""

    snapshot: Snapshot
    namespace: str
    labels: tuple[tuple[str, str], ...]
    type: str
    flavor: str
    locality: str = ""
    """Where the client runs, if any rule makes that count."""
    sidecar: Sidecar | None = None
    """What limits the client's view."""
    captures: bool = True
    """Whether connections come to the client as they were meant for others."""
    resolves: bool = False
    """Whether the client's DNS tells the addresses that the mesh has given services which have none of their own."""
    knows_names_only: bool = False
    """Whether undeclared hosts are asked for at the HTTP proxy port alone: the client's other ports are for single services."""
    families: frozenset[int] = frozenset({4})
    """The IP versions of the client's own addresses."""
    settings: Settings = NOTHING
    site: Site = NOWHERE
    place: object = field(default_factory=object, compare=False)
    """What stands for all of that in keys: the same object for equal scopes."""

    def cached(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """The value made for `key` in this scope, made once per snapshot."""
        return self.snapshot.cached((self.place, *key), make)

    @property
    def services(self) -> Mapping[str, Service]:
        """The services in sight, by host."""
        return self.cached(("services",), self._all_reached) if self.resolves else self._seen()

    def service(self, host: str) -> Service | None:
        """The service of a host, if it is in sight. Who asks here is not concerned by others, as who looks into `services` is."""
        found = self.snapshot.visible_one(host, self.namespace, self.sidecar)
        return self._reached(found) if self.resolves and found else found

    def _seen(self) -> Mapping[str, Service]:
        return self.snapshot.visible(self.namespace, self.sidecar)

    def _all_reached(self) -> Mapping[str, Service]:
        return {host: self._reached(one) for host, one in self._seen().items()}

    def _reached(self, service: Service) -> Service:
        """The service under the addresses that the client's DNS tells."""
        if service.addresses or not service.allocated:
            return service
        key = ("reached", Same(service), self.families)
        return self.snapshot.cached(key, lambda: replace(service, addresses=self.reachable(service.allocated)))

    def reachable(self, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the client's own IP versions, if there are any."""
        return tuple(one for one in addresses if ip_address(one).version in self.families) or addresses

    @property
    def routes(self) -> MeshRules:
        """The VirtualServices that the client obeys."""
        return self.routes_at(0)

    def routes_at(self, port: int) -> MeshRules:
        """Those of them that it obeys on a port."""
        return self.snapshot.mesh_rules(self.namespace, self.sidecar, port)

    def rule(self, service: Service) -> Rule | None:
        """The DestinationRule that governs calls to a service."""
        return self.cached(("rule", service.namespace, service.host), lambda: (self._find_rule(service),))[0]  # None would not be kept

    def policy(self, rule: Rule | None, port: int, subset: str = "") -> Policy:
        """What a rule says of a port or subset of it, and the mesh where it says nothing."""
        stated = rule.policy_for(port, subset) if rule else Policy()
        mesh = self.snapshot.mesh
        if mesh.connection_pool is None and mesh.outlier_detection is None:
            return stated
        pool, outliers = stated.connection_pool or mesh.connection_pool, stated.outlier_detection or mesh.outlier_detection
        return replace(stated, connection_pool=pool, outlier_detection=outliers)

    def _find_rule(self, service: Service) -> Rule | None:
        return self.snapshot.rules.find(service.host, service.namespace, self.namespace, dict(self.labels))

    def backend_tls(self, service: Service, port: Port) -> BackendTls | None:
        """The BackendTLSPolicy for a port, for where no rule says anything of TLS."""
        held = self.snapshot.backend_tls
        places = ((service.namespace, service.host, number) for number in (port.number, 0))
        return next((held[place] for place in places if place in held), None) if held else None

    def ports(self) -> Iterable[tuple[Service, Port]]:
        """Every port of every service in sight."""
        for service in self.services.values():
            for port in service.ports:
                yield service, port

    def instances(self, service: Service, port: Port) -> tuple[Endpoint, ...]:
        """What answers for one port of a service."""
        return self.snapshot.instances(service).get(port.number, ())

    def takes_requests(self, service: Service, port: Port) -> bool:
        """Whether the application may call a port by the service's names; those of a destination of rules alone are not known."""
        return self.sidecar is None or self.sidecar.admits(service.namespace, service.host, port.number)

    def resolution(self, service: Service) -> str:
        """How the client finds a service's instances; by the address that was called only if it sees that, which gateways never do."""
        is_router = self.type == nodes.ROUTER
        chosen = is_router or (service.headless and not (self.captures and self.flavor != GRPC))
        return "STATIC" if service.resolution == "NONE" and chosen else service.resolution

    def node_for(self, service: Service) -> str | None:
        """The node of which the instances of a service have to be; None for any."""
        return dict(self.labels).get(HOSTNAME_LABEL, "") if service.of_node else None

    def stands_for(self, host: str) -> str:
        """The host that answers for one that may be an alias."""
        return self.snapshot.aliases.get(host, host)

    @property
    def registry_only(self) -> bool:
        """Whether calls to hosts that nothing declares are blocked."""
        own = self.sidecar.registry_only if self.sidecar else None
        return self.snapshot.mesh.registry_only if own is None else own

    @property
    def unknown(self) -> str:
        """The cluster for connections to hosts that nothing declares."""
        if self.sidecar is not None and self.sidecar.proxy is not None:
            proxy = self.sidecar.proxy
            host = self.stands_for(full_name(proxy.host, self.sidecar.namespace))
            port = self.destination_port(host, proxy.port.number if proxy.port else None, 0)
            return names.outbound_cluster(host, port, proxy.subset or "")
        return names.BLACKHOLE_CLUSTER if self.registry_only else names.PASSTHROUGH_CLUSTER

    @property
    def resolves_unknown(self) -> bool:
        """Whether requests to such hosts go to the addresses that the proxy finds; a Sidecar with a policy of its own never says so.

        Where connections have no destination of their own, ALLOW_ANY can mean nothing else.
        """
        if self.knows_names_only:
            return self.unknown == names.PASSTHROUGH_CLUSTER
        own = self.sidecar.registry_only if self.sidecar else None
        return own is None and self.snapshot.mesh.looks_up_unknown and self.type != nodes.ROUTER

    @property
    def unknown_requests(self) -> str:
        """The cluster for requests to hosts that nothing declares."""
        return names.ALLOW_ANY_DYNAMIC_DNS_CLUSTER if self.resolves_unknown else self.unknown

    @property
    def looks_up_hosts(self) -> bool:
        """Whether any request can go to a host that the proxy has to look up first."""
        return self.resolves_unknown or self.snapshot.looks_up_hosts(self.namespace, self.sidecar)

    def destination_port(self, host: str, stated: int | None, called: int) -> int:
        """The port of a route's destination: the one stated, else the only one of the service, else the one that the client called."""
        if stated is not None:
            return stated
        service = self.service(host)
        return service.ports[0].number if service and len(service.ports) == 1 else called


def scope_of(snapshot: Snapshot, view: ProxyView) -> Scope:
    return Scope(snapshot, *snapshot.cached(("sight", Same(view)), lambda: _sight(snapshot, view)))


def _sight(snapshot: Snapshot, view: ProxyView) -> tuple[Any, ...]:
    """All of a client's scope but the snapshot."""
    view = snapshot.member(view)
    known = {**view.topology, **view.labels}
    labels = tuple(sorted((key, value) for key, value in known.items() if key in snapshot.label_keys))
    locality = place_of(snapshot, view) if snapshot.localities_count else ""
    sidecar, settings = sidecar_of(snapshot, view), snapshot.settings_of(view)
    seen = (view.namespace, labels, view.type, view.flavor, locality)
    how = (view.captures, view.resolves, view.outbound_ports is not None, view.families, settings, snapshot.site_of(view))
    place = snapshot.cached(("scope", *seen, Same(sidecar), *how), object)
    return (*seen, sidecar, *how, place)


def place_of(snapshot: Snapshot, view: ProxyView) -> str:
    """Where a proxy runs: by its own word, else as its pod's node tells."""
    workload = None if view.locality else snapshot.workload(view.namespace, view.ip)
    return workload.locality if workload else view.locality


def sidecar_of(snapshot: Snapshot, view: ProxyView) -> Sidecar | None:
    """The Sidecar that a proxy obeys; gateways obey none."""
    return None if view.is_router else snapshot.sidecars.of(view.namespace, view.labels)


def port_number(text: str) -> int:
    """The port that a resource name spells, or 0: names come from clients, and only one spelling of each port counts."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else 0
    return number if str(number) == text and number <= 65535 else 0


def alternative_names(host: str, namespace: str) -> tuple[str, ...]:
    """The short names by which clients of a namespace may call a host of the cluster's domain."""
    suffix = f".svc.{hosts.DEFAULT_DOMAIN}"
    name, dot, place = host.removesuffix(suffix).partition(".")
    if not host.endswith(suffix) or not dot or "." in place:
        return ()
    own = (name,) if place == namespace else ()
    return (*own, f"{name}.{place}", f"{name}.{place}.svc")


def aliases(service: Service, namespace: str) -> Iterable[str]:
    """What clients may call it that know it by another name."""
    for alias in service.aliases:
        if alias.visibility.reaches(namespace):
            yield from called(alias.host, namespace)


def called(host: str, namespace: str) -> tuple[str, ...]:
    """All names of a host for clients of a namespace."""
    return host, host + ".", *alternative_names(host, namespace)
