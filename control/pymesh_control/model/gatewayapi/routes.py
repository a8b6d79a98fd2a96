"""Routes where they attach, as VirtualServices: one for each listener and host name, one for the clients of each service."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pymesh.api.models import virtualservice as models
from pymesh.api.types import PortSelector

from ..origin import Origin
from ..service import Service
from ..virtual import MESH, VirtualService
from ..visibility import Visibility
from .listeners import Listener
from .matching import ANY
from .parents import Attachment, MeshAttachment
from .precedence import of_call, of_match

_Route = TypeVar("_Route", models.HTTPRoute, models.TLSRoute, models.TCPRoute)


@dataclass(slots=True)
class _Gathered:
    """What several routes say of one place, with who says it."""

    http: list[tuple[models.HTTPRoute, Origin]] = field(default_factory=list)
    tls: list[tuple[models.TLSRoute, Origin]] = field(default_factory=list)
    tcp: list[tuple[models.TCPRoute, Origin]] = field(default_factory=list)

    def virtual_service(self, name: str, namespace: str, hosts: tuple[str, ...], gateway: str, visibility: Visibility) -> VirtualService:
        """All of it, in the order in which requests are matched."""
        self.http.sort(key=_rank)  # stable: of equal ones the oldest, which came first
        spec = models.VirtualService.model_construct(
            http=[one for one, _ in self.http], tls=[one for one, _ in self.tls], tcp=[one for one, _ in self.tcp]
        )  # fmt: skip
        authors = {kind: tuple(origin for _, origin in getattr(self, kind)) for kind in ("http", "tls", "tcp")}
        return VirtualService(
            name=name,
            namespace=namespace,
            hosts=hosts,
            gateways=frozenset({gateway}),
            visibility=visibility,
            spec=spec,
            authors=authors,
            follows_gateway_api=True,
        )


def _rank(written: tuple[models.HTTPRoute, Origin]) -> tuple[int, ...]:
    route, origin = written
    return of_call(route) if origin.kind == "GRPCRoute" else of_match(route)


class AtListeners:
    """The routes at the listeners of Gateways."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[Listener, _Gathered]] = {}

    def add(self, route: Any, rules: Sequence[models.HTTPRoute], shares: Sequence[Any], attachment: Attachment) -> None:
        """A route of whatever kind: `rules` of requests, or `shares` of connections."""
        origin, listener = _origin(route), attachment.listener
        for host in attachment.hosts:
            _, held = self._found.setdefault((listener.key, host), (listener, _Gathered()))
            held.http += [(one, origin) for one in rules]
            if not shares:
                continue
            if listener.spec.protocol == "TLS" and not _ends_tls(listener):
                match = models.TLSMatchAttributes(sni_hosts=[host])
                held.tls.append((models.TLSRoute(match=[match], route=list(shares)), origin))
            else:
                held.tcp.append((models.TCPRoute(route=list(shares)), origin))

    def keep(self, listener: Listener) -> None:
        """Leave requests of a listener that no route takes to nobody, where a listener with a wider name would have them."""
        self._found.setdefault((listener.key, listener.hostname), (listener, _Gathered()))

    def made(self) -> Iterator[VirtualService]:
        """A VirtualService for each listener and name."""
        for (key, host), (listener, held) in self._found.items():
            namespace, _, name = key.partition("/")
            everywhere = Visibility(namespace, everywhere=True)
            yield held.virtual_service(f"{namespace}~{name}~{host}", namespace, (host,), listener.key, everywhere)


class InMesh:
    """The routes for the clients of services: those of its own namespace are for everybody, those of another for that one's clients.

    A namespace's own routes take the place of the service's on the ports of which they speak, for requests or for connections.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[Service, _Gathered]] = {}

    def add(self, route: Any, rules: Sequence[models.HTTPRoute], shares: Sequence[Any], attachment: MeshAttachment) -> None:
        """A route of whatever kind."""
        origin, service, port = _origin(route), attachment.service, attachment.port
        _, held = self._found.setdefault((service.namespace, service.host, route.namespace), (service, _Gathered()))
        held.http += [(_on_port(one, port), origin) for one in rules]
        if not shares:
            return
        if route.kind == "TLSRoute":
            match = models.TLSMatchAttributes(sni_hosts=[name.lower() for name in route.spec.hostnames] or [service.host], port=port)
            held.tls.append((models.TLSRoute(match=[match], route=list(shares)), origin))
        else:
            conditions = [models.L4MatchAttributes(port=port)] if port else []
            held.tcp.append((models.TCPRoute(match=conditions, route=list(shares)), origin))

    def made(self) -> Iterator[VirtualService]:
        """A VirtualService for each service and namespace of routes."""
        for (place, host, namespace), (service, held) in self._found.items():
            own = namespace == place
            if not own and (place, host, place) in self._found:
                held = _completed(service, held, self._found[place, host, place][1])
            visibility = Visibility(namespace, everywhere=own, namespaces=frozenset() if own else frozenset({namespace}))
            whole = _Gathered([*held.http, *_elsewhere(service, _ports(held.http))], held.tls, held.tcp) if held.http else held
            yield whole.virtual_service(f"{namespace}~{MESH}~{host}", namespace, (host,), MESH, visibility)


def _completed(service: Service, own: _Gathered, of_service: _Gathered) -> _Gathered:
    """What a namespace's own routes say, and of further ports what those of the service's namespace do."""
    requests, connections = _ports(own.http), _ports([*own.tls, *own.tcp])
    return _Gathered(
        http=[*own.http, *_beyond(service, of_service.http, requests)],
        tls=[*own.tls, *_beyond(service, of_service.tls, connections)],
        tcp=[*own.tcp, *_beyond(service, of_service.tcp, connections)],
    )


def _beyond(service: Service, routes: Iterable[tuple[_Route, Origin]], covered: set[int | None]) -> Iterator[tuple[_Route, Origin]]:
    """What routes say of other ports than those that are covered; None among these stands for all ports."""
    for route, origin in () if None in covered else routes:
        (port,) = _ports([(route, origin)])
        everywhere = port is None and covered
        for each in [one.number for one in service.ports] if everywhere else [port]:
            if each not in covered:
                yield _on_port(route, each), origin


def _ports(routes: Iterable[tuple[Any, Origin]]) -> set[int | None]:
    """The ports of which routes speak, each of one; None for all."""
    return {route.match[0].port if route.match else None for route, _ in routes}


def _elsewhere(service: Service, covered: set[int | None]) -> Iterator[tuple[models.HTTPRoute, Origin]]:
    """Routes for the ports that no rule speaks of: they lead where they would without any."""
    origin = service.origins[0] if service.origins else Origin("Service", service.namespace, service.name)
    for port in () if None in covered else service.ports:
        if port.number not in covered:
            match = models.HTTPMatchRequest(uri=ANY, port=port.number)
            destination = models.Destination(host=service.host, port=PortSelector(number=port.number))
            share = models.HTTPRouteDestination(destination=destination)
            yield models.HTTPRoute(name="default", match=[match], route=[share]), origin


def _on_port(route: _Route, port: int | None) -> _Route:
    if port is None:
        return route
    matches: list[Any] = list(route.match) or [models.L4MatchAttributes()]
    return route.model_copy(update={"match": [one.model_copy(update={"port": port}) for one in matches]})


def _ends_tls(listener: Listener) -> bool:
    return bool(listener.spec.tls and listener.spec.tls.mode.value == "Terminate")


def _origin(route: Any) -> Origin:
    return Origin(route.kind, route.namespace, route.name)
