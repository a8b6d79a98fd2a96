"""The mesh at one moment: everything the generators read, immutable, replaced whole by the next."""

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from . import authentication, authorization, destination, envoyfilter, gateway, membership, mesh, service, sidecar, virtual
from .credential import Credentials
from .gatewayapi import policies, translation
from .groups import Groups
from .memory import Memory, Same
from .models import Models
from .networks import NOWHERE, Networks, Places, Site
from .origin import Origin
from .settings import Settings
from .view import ProxyView
from .whereabouts import CLUSTER_LABEL, NETWORK_LABEL
from .workload import Workload

T = TypeVar("T")


class _Fact(Generic[T]):
    """A part of the mesh that a snapshot is given. Whatever is made by reading it is made anew when it changes."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        facts = [key for key, one in vars(owner).items() if isinstance(one, _Fact)]
        self.bit = 1 << facts.index(name)

    @overload
    def __get__(self, snapshot: None, owner: type) -> "_Fact[T]": ...
    @overload
    def __get__(self, snapshot: "Snapshot", owner: type) -> T: ...
    def __get__(self, snapshot: "Snapshot | None", owner: type) -> "T | _Fact[T]":
        if snapshot is None:
            return self
        snapshot.memory.note(self.bit)
        found: T = snapshot.facts[self._name]
        return found


class Snapshot:
    """The facts about the mesh, all that the generators read, and a memory of what was made from them."""

    mesh = _Fact[mesh.Mesh]()
    services = _Fact[tuple[service.Service, ...]]()
    """Without their instances."""
    endpoints = _Fact[Mapping[tuple[str, str], service.Instances]]()
    """The instances of each service, by its namespace and host."""
    memberships = _Fact[membership.Memberships]()
    rules = _Fact[destination.Rules]()
    virtual_services = _Fact[tuple[virtual.VirtualService, ...]]()
    gateways = _Fact[tuple[gateway.Gateway, ...]]()
    authentication = _Fact[authentication.Authentication]()
    authorization = _Fact[authorization.Authorization]()
    sidecars = _Fact[sidecar.Sidecars]()
    envoy_filters = _Fact[envoyfilter.EnvoyFilters]()
    workloads = _Fact[tuple[Workload, ...]]()
    groups = _Fact[Groups]()
    places = _Fact[Places]()
    networks = _Fact[Networks]()
    """The gateways between networks, if there are several."""
    aliases = _Fact[Mapping[str, str]]()
    """Hosts that are only other names, with the hosts of the services that they stand for."""
    credentials = _Fact[Credentials]()
    pod_settings = _Fact[Mapping[tuple[str, str], Settings]]()
    """Of the pods that are annotated with a ProxyConfig, by namespace and address."""
    backend_tls = _Fact[Mapping[policies.Place, policies.BackendTls]]()
    """TLS towards services of which the rules say nothing."""
    shared_credentials = _Fact[frozenset[tuple[str, str, str]]]()
    """The credentials that proxies of other namespaces may have (`Translation.credentials`)."""
    gateway_api = _Fact[translation.Translation]()
    """What the Gateway API's objects have become, whole."""
    label_keys = _Fact[frozenset[str]]()
    """The labels of clients that any rule asks about; proxies that agree in these see the same mesh."""
    localities_count = _Fact[bool]()
    """Whether any rule makes it a difference where a client runs."""
    clusters_count = _Fact[bool]()
    """Whether any service stays within a cluster."""

    def __init__(self, version: int, facts: Mapping[str, Any], models: Models, former: "Snapshot | None" = None) -> None:
        """`former` is the mesh as it was: what was made from facts that are still the same objects is taken over.

        `models` are what the facts were put together from, for the next time.
        """
        self.version = version
        self.facts = facts
        self.models = models
        answer: weakref.WeakMethod[Callable[[Any], Any]] = weakref.WeakMethod(self._visible_told)
        self.memory: Memory = Memory(answer, former.memory, _changed(former.facts, facts)) if former else Memory(answer)

    def cached(self, key: Any, make: Callable[[], T]) -> T:
        """The value made for `key` from this snapshot, made once (`Memory.value`)."""
        return self.memory.value(key, make)

    def instances(self, one: service.Service) -> service.Instances:
        """What answers for a service, by its ports."""
        return self.endpoints.get((one.namespace, one.host), {})

    def visible(self, namespace: str, limits: sidecar.Sidecar | None = None) -> Mapping[str, service.Service]:
        """The services that a namespace sees, by host: its own before those of others, older before newer.

        `limits` leaves only what it imports, and the destinations of the rules that it imports.
        """
        key = ("visible", namespace, Same(limits))
        return self.cached(key, lambda: _visible(self._imported(namespace, limits), namespace))

    def visible_one(self, host: str, namespace: str, limits: sidecar.Sidecar | None) -> service.Service | None:
        """One of the services that a namespace sees. What is made of it does not depend on the others."""
        found: service.Service | None = self.memory.told((host, namespace, Same(limits)))
        return found

    def looks_up_hosts(self, namespace: str, limits: sidecar.Sidecar | None) -> bool:
        """Whether a namespace sees services whose hosts are looked up as requests name them; which ones, does not matter to who asks."""
        return bool(self.memory.told(("", namespace, Same(limits))))

    def _visible_told(self, question: tuple[str, str, Same]) -> service.Service | bool | None:
        host, namespace, limits = question
        if host:
            return self.visible(namespace, limits.one).get(host)
        return self.cached(("looks up hosts", namespace, limits), lambda: self._sees_dynamic(namespace, limits.one))

    def _sees_dynamic(self, namespace: str, limits: sidecar.Sidecar | None) -> bool:
        return any(one.resolution == service.DYNAMIC_DNS for one in self.visible(namespace, limits).values())

    def _imported(self, namespace: str, limits: sidecar.Sidecar | None) -> Iterable[service.Service]:
        if limits is None or limits.egress is None:
            return self.services
        wanted = {self.aliases.get(host, host) for rule in self.mesh_rules(namespace, limits).ordered for host in rule.destinations}
        return [one for one in self.services if limits.admits(one.namespace, one.host) or one.host in wanted]

    def service(self, host: str, namespace: str) -> service.Service | None:
        return self.visible(namespace).get(self.aliases.get(host, host))

    def workload(self, namespace: str, address: str) -> Workload | None:
        """The workload at an address."""
        return self.cached(("workloads",), lambda: {(one.namespace, one.ip): one for one in self.workloads}).get((namespace, address))

    def member(self, view: ProxyView) -> ProxyView:
        """A proxy with what its WorkloadGroup adds to it."""
        return self.cached(("member", Same(view)), lambda: self._member(view)) if view.group else view

    def _member(self, view: ProxyView) -> ProxyView:
        group = self.groups.get((view.namespace, view.group))
        return group.seen(view) if group else view

    def site_of(self, view: ProxyView) -> Site:
        """Where a proxy is: by its own word, else as the networks' configuration tells."""
        if not (self.networks or view.wanted_networks or self.clusters_count):
            return NOWHERE
        cluster, named = view.topology[CLUSTER_LABEL], view.topology[NETWORK_LABEL]
        network = named or self.places.of(view.ip, view.labels, cluster)
        cluster = cluster if self.clusters_count else ""
        return Site(network=network, cluster=cluster, wanted=view.wanted_networks, families=view.families)

    def settings_of(self, view: ProxyView) -> Settings:
        """What a proxy's settings come to: its own, those of its pod, and the mesh's."""
        return view.settings.over(self.pod_settings.get((view.namespace, view.ip))).over(self.mesh.settings)

    def written_by(self, origin: Origin) -> Sequence[virtual.VirtualService]:
        """The VirtualServices that a resource is, or that it has a part in."""
        return self.cached(("authors",), self._by_author).get(origin, ())

    def _by_author(self) -> dict[Origin, list[virtual.VirtualService]]:
        found: dict[Origin, list[virtual.VirtualService]] = {}
        for one in self.virtual_services:
            for origin in one.origins:
                found.setdefault(origin, []).append(one)
        return found

    def mesh_rules(self, namespace: str, limits: sidecar.Sidecar | None = None, port: int = 0) -> virtual.MeshRules:
        """The VirtualServices that sidecars of a namespace obey, of those that `limits` imports, on a port if one is given."""
        number = port if limits and limits.has_ports else 0
        key = ("mesh rules", namespace, Same(limits), number)
        return self.cached(key, lambda: virtual.MeshRules(namespace, _admitted(self.virtual_services, limits, number)))


def _changed(former: Mapping[str, Any], facts: Mapping[str, Any]) -> int:
    """The facts that are other objects than before, as bits."""
    known = ((name, one.bit) for name, one in vars(Snapshot).items() if isinstance(one, _Fact))
    return sum(bit for name, bit in known if facts[name] is not former[name])


def _admitted(rules: Sequence[virtual.VirtualService], limits: sidecar.Sidecar | None, port: int) -> Sequence[virtual.VirtualService]:
    if limits is None:
        return rules
    return [
        rule
        for rule in rules
        if any(limits.admits_rule(rule.namespace, host, port, strictly=rule.follows_gateway_api) for host in rule.hosts)
    ]


def _visible(services: Iterable[service.Service], namespace: str) -> Mapping[str, service.Service]:
    seen = [one for one in services if one.visibility.reaches(namespace)]
    found: dict[str, service.Service] = {}
    for one in seen:
        held = found.get(one.host)
        if held is None or _rank(one, namespace) < _rank(held, namespace):
            found[one.host] = one
    return {one.host: one for one in seen if found[one.host] is one}


def _rank(one: service.Service, namespace: str) -> tuple[int, bool]:
    """Of several services with one host a namespace means its own, else the cluster's, else one that is exported to it by its name."""
    return 0 if one.namespace == namespace else 1 if one.is_of_cluster else 2, one.visibility.everywhere
