"""Routes where they attach, as VirtualServices: one for each listener and host name, one for the clients of each service."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymesh.api.models import virtualservice as models
from pymesh.api.types import PortSelector

from ..origin import Origin
from ..service import Service
from ..virtual import MESH, VirtualService
from ..visibility import Visibility
from .listeners import Listener
from .matching import ANY
from .parents import Attachment, MeshAttachment
from .precedence import of_match


@dataclass(slots=True)
class _Gathered:
    """What several routes say of one place, with who says it; `covers` are the ports that they speak of, None for all."""

    http: list[tuple[models.HTTPRoute, Origin]] = field(default_factory=list)
    tls: list[tuple[models.TLSRoute, Origin]] = field(default_factory=list)
    tcp: list[tuple[models.TCPRoute, Origin]] = field(default_factory=list)
    covers: set[int | None] = field(default_factory=set)

    def virtual_service(self, name: str, namespace: str, hosts: tuple[str, ...], gateway: str, visibility: Visibility) -> VirtualService:
        """All of it, in the order in which requests are matched."""
        self.http.sort(key=lambda pair: of_match(pair[0]))  # stable: of equal ones the oldest, which came first
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
    """The routes for the clients of services: of those of its own namespace everybody is one, of another's that namespace's clients."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], tuple[Service, _Gathered]] = {}

    def add(self, route: Any, rules: Sequence[models.HTTPRoute], shares: Sequence[Any], attachment: MeshAttachment) -> None:
        """A route of whatever kind."""
        origin, service, port = _origin(route), attachment.service, attachment.port
        _, held = self._found.setdefault((service.namespace, service.host, route.namespace), (service, _Gathered()))
        if rules:
            held.covers.add(port)
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
            held.http += list(_elsewhere(service, held.covers)) if held.http else []
            own = namespace == place
            visibility = Visibility(namespace, everywhere=own, namespaces=frozenset() if own else frozenset({namespace}))
            yield held.virtual_service(f"{namespace}~{MESH}~{host}", namespace, (host,), MESH, visibility)


def _elsewhere(service: Service, covers: Iterable[int | None]) -> Iterator[tuple[models.HTTPRoute, Origin]]:
    """Routes for the ports that no rule speaks of: they lead where they would without any."""
    covered = set(covers)
    origin = service.origins[0] if service.origins else Origin("Service", service.namespace, service.name)
    for port in () if None in covered else service.ports:
        if port.number not in covered:
            match = models.HTTPMatchRequest(uri=ANY, port=port.number)
            destination = models.Destination(host=service.host, port=PortSelector(number=port.number))
            share = models.HTTPRouteDestination(destination=destination)
            yield models.HTTPRoute(name="default", match=[match], route=[share]), origin


def _on_port(route: models.HTTPRoute, port: int | None) -> models.HTTPRoute:
    if port is None:
        return route
    return route.model_copy(update={"match": [one.model_copy(update={"port": port}) for one in route.match]})


def _ends_tls(listener: Listener) -> bool:
    return bool(listener.spec.tls and listener.spec.tls.mode.value == "Terminate")


def _origin(route: Any) -> Origin:
    return Origin(route.kind, route.namespace, route.name)
