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
from .conditions import ACCEPTED, RESOLVED, Condition, ParentStatus, Status, settled
from .connections import shares_of
from .edge import Edge
from .grants import Grants
from .parents import Attached, Parents
from .policies import BackendPolicies, BackendTls, Place
from .precedence import of_age
from .rivals import Rivals
from .routes import AtListeners, InMesh
from .rules import Rules

_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")
_OTHERS = ("BackendTLSPolicy", "GatewayClass", "KubernetesGateway", "ListenerSet", "ReferenceGrant", "Namespace")
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
    edge = Edge(by_kind, backends, Certificates(credentials, grants))
    routes = _Routes(backends)
    routes.add(Parents(edge, backends), sorted((one for kind in _ROUTES for one in by_kind.get(kind, ())), key=of_age))
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


class _Routes:
    """The routes, where they attach."""

    def __init__(self, backends: Backends) -> None:
        self.at_listeners, self.in_mesh = AtListeners(), InMesh()
        self.attached: dict[str, int] = {}
        self.statuses: list[Status] = []
        self._backends = backends

    def add(self, parents: Parents, routes: Iterable[Any]) -> None:
        """Attach routes to their parents, from the oldest on."""
        attached = [(route, list(parents.of(route))) for route in routes]
        rivals = Rivals((route, one) for route, found in attached for one in found)
        for route, found in attached:
            told = tuple(ParentStatus(one.name, settled(self._attach(route, one, rivals), ACCEPTED, RESOLVED)) for one in found)
            self.statuses.append(Status(kind=route.kind, namespace=route.namespace, name=route.name, parents=told))

    def _attach(self, route: Any, attached: Attached, rivals: Rivals) -> list[Condition]:
        fault = attached.fault or rivals.refusal(route, attached)
        if fault is not None:
            return [fault]
        rules, shares, faults = self._made(route, grants=not attached.services)
        for at in attached.listeners:
            self.attached[at.listener.key] = self.attached.get(at.listener.key, 0) + 1
            if at.listener.is_served:
                self.at_listeners.add(route, rules, shares, at)
        for within in attached.services:
            for left in rivals.left(route, within):
                self.in_mesh.add(route, rules, shares, left)
        return faults

    def _made(self, route: Any, *, grants: bool) -> tuple[Sequence[Any], Sequence[Any], list[Condition]]:
        """The rules of requests or the shares of connections, and what is wrong with their backends."""
        if route.kind in _OF_REQUESTS:
            rules = Rules(route, self._backends, grants=grants)
            made = list(rules.made())
            return made, (), list(dict.fromkeys(rules.faults))
        shares, faults = shares_of(route, self._backends, grants=grants)
        return (), shares, faults
