"""All objects of the Gateway API, as gateways and routes, with what is told of each."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..credential import Credentials
from ..gateway import Gateway
from ..service import Service
from ..virtual import VirtualService
from .backends import Backends
from .certificates import Certificates
from .conditions import ACCEPTED, CONFLICTED, PROGRAMMED, RESOLVED, Condition, ListenerStatus, ParentStatus, Status, bad, settled
from .connections import shares_of
from .gateways import Classes, proxies_of, unserved
from .grants import Grants
from .listeners import Listener, listeners_of
from .parents import Attached, Parents
from .places import Places
from .policies import BackendPolicies, BackendTls, Place
from .precedence import of_age
from .routes import AtListeners, InMesh
from .rules import Rules

_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")
_OTHERS = ("BackendTLSPolicy", "GatewayClass", "KubernetesGateway", "ReferenceGrant", "Namespace")
_OF_REQUESTS = ("HTTPRoute", "GRPCRoute")


@dataclass(frozen=True, slots=True)
class Translation:
    """What the mesh is made of besides Istio's own resources."""

    gateways: tuple[Gateway, ...] = ()
    virtual_services: tuple[VirtualService, ...] = ()
    credentials: frozenset[tuple[str, str, str]] = frozenset()
    """The credentials that may leave their namespace: (namespace of the proxies, empty for every one; namespace, name)."""
    backend_tls: Mapping[Place, BackendTls] = field(default_factory=dict)
    """TLS towards services of which no DestinationRule says anything."""
    statuses: tuple[Status, ...] = ()


def inputs(by_kind: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    """The resources that a translation is made from."""
    return (one for kind in (*_ROUTES, *_OTHERS) for one in by_kind.get(kind, ()))


def translate(
    by_kind: Mapping[str, Sequence[Any]], services: Iterable[Service], aliases: Mapping[str, str], credentials: Credentials
) -> Translation:
    """Turn resources into what proxies can be told. A pure function: order within a kind does not matter."""
    grants = Grants(by_kind.get("ReferenceGrant", ()))
    backends = Backends(services, aliases, grants)
    edge = _Edge(by_kind, backends, Certificates(credentials, grants))
    routes = _Routes(Parents(edge.listeners, edge.others, backends), backends)
    for route in sorted((one for kind in _ROUTES for one in by_kind.get(kind, ())), key=of_age):
        routes.add(route)
    for one in edge.served():
        if one.is_http and one.is_within_another(edge.beside(one)):
            routes.at_listeners.keep(one)
    policies = BackendPolicies(backends, credentials)
    for policy in sorted(by_kind.get("BackendTLSPolicy", ()), key=of_age):
        policies.add(policy)
    return Translation(
        gateways=tuple(edge.gateways),
        virtual_services=(*routes.at_listeners.made(), *routes.in_mesh.made()),
        credentials=frozenset({*edge.credentials, *(("", *one) for one in policies.shared)}),
        backend_tls=policies.found,
        statuses=(*edge.statuses(routes.attached), *routes.statuses, *policies.statuses),
    )


class _Edge:
    """The Gateways that are served here."""

    def __init__(self, by_kind: Mapping[str, Sequence[Any]], backends: Backends, certificates: Certificates) -> None:
        self.gateways: list[Gateway] = []
        self.listeners: dict[tuple[str, str], list[Listener]] = {}
        self.others: list[tuple[str, str]] = []
        self.credentials: set[tuple[str, str, str]] = set()
        self._resources: list[tuple[Any, list[Condition]]] = []
        classes, places = Classes(by_kind.get("GatewayClass", ())), Places(by_kind.get("Namespace", ()))
        for one in sorted(by_kind.get("KubernetesGateway", ()), key=of_age):
            key = (one.namespace, one.name)
            if classes.serves(one.spec.gateway_class_name):
                self.listeners[key] = listeners_of(one, certificates, places)
                self._take(one, self.listeners[key], backends)
            elif classes.leaves(one.spec.gateway_class_name):
                self.others.append(key)
            else:
                self._resources.append((one, [unserved(one)]))

    def _take(self, resource: Any, listeners: list[Listener], backends: Backends) -> None:
        made, faults = proxies_of(resource, listeners, backends)
        self.gateways += made
        self._resources.append((resource, faults))
        named = {credential for one in listeners if one.is_served for credential in one.secured.credentials}
        self.credentials |= {(one.namespace, *credential) for one in made for credential in named}

    def served(self) -> Iterator[Listener]:
        return (one for found in self.listeners.values() for one in found if one.is_served)

    def beside(self, listener: Listener) -> list[Listener]:
        """The served listeners of a listener's Gateway."""
        found = self.listeners[listener.gateway.namespace, listener.gateway.name]
        return [one for one in found if one.is_served]

    def statuses(self, attached: Mapping[str, int]) -> Iterator[Status]:
        """Of each Gateway; `attached` counts routes by the key of a listener."""
        for resource, faults in self._resources:
            listeners = self.listeners.get((resource.namespace, resource.name), [])
            broken = [one for one in listeners if not one.is_served]
            if broken:
                names = ", ".join(one.spec.name for one in broken)
                faults = [*faults, bad(ACCEPTED, "ListenersNotValid", f"not served: {names}", follows=True)]
            types = (ACCEPTED, PROGRAMMED) if listeners else (ACCEPTED,)
            yield Status(
                kind=resource.kind,
                namespace=resource.namespace,
                name=resource.name,
                conditions=settled(faults, *types),
                listeners=tuple(_listener_status(one, attached.get(one.key, 0)) for one in listeners),
            )


def _listener_status(listener: Listener, attached: int) -> ListenerStatus:
    faults = list(listener.faults)
    if not listener.is_served:
        faults.append(bad(PROGRAMMED, "Invalid", "no proxy opens it", follows=True))
    conditions = settled(faults, ACCEPTED, CONFLICTED, RESOLVED, PROGRAMMED)
    return ListenerStatus(listener.spec.name, listener.kinds, attached, conditions)


class _Routes:
    """The routes, from the oldest on."""

    def __init__(self, parents: Parents, backends: Backends) -> None:
        self.at_listeners, self.in_mesh = AtListeners(), InMesh()
        self.attached: dict[str, int] = {}
        self.statuses: list[Status] = []
        self._parents, self._backends = parents, backends

    def add(self, route: Any) -> None:
        """Attach a route to its parents."""
        told = []
        for one in self._parents.of(route):
            faults = self._attach(route, one)
            told.append(ParentStatus(one.name, settled([one.fault] if one.fault else faults, ACCEPTED, RESOLVED)))
        self.statuses.append(Status(kind=route.kind, namespace=route.namespace, name=route.name, parents=tuple(told)))

    def _attach(self, route: Any, attached: Attached) -> list[Condition]:
        rules, shares, faults = self._made(route, grants=not attached.services)
        for at in attached.listeners:
            self.attached[at.listener.key] = self.attached.get(at.listener.key, 0) + 1
            if at.listener.is_served:
                self.at_listeners.add(route, rules, shares, at)
        for within in attached.services:
            self.in_mesh.add(route, rules, shares, within)
        return faults

    def _made(self, route: Any, *, grants: bool) -> tuple[Sequence[Any], Sequence[Any], list[Condition]]:
        """The rules of requests or the shares of connections, and what is wrong with their backends."""
        if route.kind in _OF_REQUESTS:
            rules = Rules(route, self._backends, grants=grants)
            made = list(rules.made())
            return made, (), list(dict.fromkeys(rules.faults))
        shares, faults = shares_of(route, self._backends, grants=grants)
        return (), shares, faults
