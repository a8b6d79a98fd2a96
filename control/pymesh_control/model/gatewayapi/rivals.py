"""Routes of different kinds that want the same requests or connections: only those of one kind have them."""

from collections.abc import Iterable, Iterator
from typing import Any

from pymesh.api import hosts

from ..origin import Origin
from ..service import Port
from ..support import Path
from .conditions import ACCEPTED, Condition, bad
from .parents import Attached, MeshAttachment

_ORDER = ("GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute")
"""The more specific a kind is, the earlier it comes: on a port of a service the first has it (GEP-1294)."""

_OF_REQUESTS = ("GRPCRoute", "HTTPRoute")


class Rivals:
    """All routes with what they lead to, from the oldest on."""

    def __init__(self, routes: Iterable[tuple[Any, Attached]]) -> None:
        self._at_listeners: dict[str, list[tuple[Any, tuple[str, ...]]]] = {}
        self._on_ports: dict[tuple[str, str, int, str], str] = {}
        self._older: dict[tuple[Origin, Path], Origin] = {}
        """What keeps a route, at one of its parentRefs, from a listener."""
        for route, attached in routes:
            for within in attached.services:
                for port in _ports(route, within):
                    place = _place(route, within, port)
                    self._on_ports[place] = min(route.kind, self._on_ports.get(place, route.kind), key=_ORDER.index)
            if attached.listeners and route.kind in _OF_REQUESTS:
                self._contend(route, attached)

    def _contend(self, route: Any, attached: Attached) -> None:
        """Give a route the names that it has at its listeners, unless an older one of the other kind has one of them anywhere."""
        for at in attached.listeners:
            for other, names in self._at_listeners.get(at.listener.key, ()):
                if other.kind != route.kind and _meet(at.hosts, names):
                    self._older[_origin(route), attached.path] = _origin(other)
                    return
        for at in attached.listeners:
            self._at_listeners.setdefault(at.listener.key, []).append((route, at.hosts))

    def refusal(self, route: Any, attached: Attached) -> Condition | None:
        """Why a route cannot have what one of its parentRefs leads to; None where it has some of it at least."""
        older = self._older.get((_origin(route), attached.path))
        if older is not None:
            text = f"{older} is older, of another kind, and has a host name at the listener that this one has, too"
            return bad(ACCEPTED, "Conflicted", text, attached.path)
        if attached.services and not any(True for within in attached.services for _ in self.left(route, within)):
            return bad(ACCEPTED, "Conflicted", "routes of a more specific kind have the ports of the service", attached.path)
        return None

    def left(self, route: Any, within: MeshAttachment) -> Iterator[MeshAttachment]:
        """What more specific kinds leave to a route of a service: all of it, or single ports."""
        ports = _ports(route, within)
        kept = [one for one in ports if self._on_ports[_place(route, within, one)] == route.kind]
        if len(kept) == len(ports):
            yield within
        else:
            yield from (MeshAttachment(within.service, one.number) for one in kept)


def _ports(route: Any, within: MeshAttachment) -> list[Port]:
    """The ports of a service that a route speaks of: one for requests, only of those that can carry them."""
    ports = [one for one in within.service.ports if within.port in (None, one.number)]
    return [one for one in ports if one.protocol.may_be_http] if route.kind in _OF_REQUESTS else ports


def _place(route: Any, within: MeshAttachment, port: Port) -> tuple[str, str, int, str]:
    return (within.service.namespace, within.service.host, port.number, route.namespace)


def _meet(some: Iterable[str], others: Iterable[str]) -> bool:
    return any(hosts.narrower(one, other) for one in some for other in others)


def _origin(route: Any) -> Origin:
    return Origin(route.kind, route.namespace, route.name)
