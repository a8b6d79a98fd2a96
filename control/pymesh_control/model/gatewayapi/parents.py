"""What routes attach to: listeners of Gateways, and in the mesh the services whose clients obey them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymesh.api import hosts
from pymesh.api.models.gatewayapi.references import GROUP

from ..service import Port, Service
from ..support import Path
from .backends import Backends
from .conditions import ACCEPTED, Condition, bad
from .edge import Edge
from .listeners import Listener

_MESH = {("", "Service"), ("networking.istio.io", "ServiceEntry")}
_HOLDERS = {"Gateway": "KubernetesGateway", "ListenerSet": "ListenerSet"}
"""What has listeners, by the name that references have for its kind."""

_REASONS = ("NoMatchingParent", "NoMatchingListenerHostname", "NotAllowedByListeners")
"""The further a route comes with some listener, the more its reason tells."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A route at a listener, with the host names under which it is served there."""

    listener: Listener
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MeshAttachment:
    """A route at a service, for its clients; `port` limits it to one of the service's ports."""

    service: Service
    port: int | None


@dataclass(frozen=True, slots=True)
class Attached:
    """One parentRef of a route and what it leads to: nothing, when there is a fault."""

    reference: Any
    path: Path
    listeners: tuple[Attachment, ...] = ()
    services: tuple[MeshAttachment, ...] = ()
    fault: Condition | None = None

    @property
    def name(self) -> str:
        """The parent as people name it: kind, namespace and name, then the part of it."""
        parts = (self.reference.section_name, self.reference.port)
        part = "".join(f" {word} {value}" for word, value in zip(("listener", "port"), parts, strict=True) if value)
        place = f"{self.reference.namespace}/" if self.reference.namespace else ""
        return f"{self.reference.kind} {place}{self.reference.name}{part}"


class Parents:
    """Everything that routes can attach to: listeners at the edge, and services."""

    def __init__(self, edge: Edge, backends: Backends) -> None:
        self._edge, self._backends = edge, backends

    def of(self, route: Any) -> Iterator[Attached]:
        """Each parent that a route names, but those that are somebody else's."""
        for index, reference in enumerate(route.spec.parent_refs):
            path = ("parentRefs", index)
            kind = (reference.group, reference.kind)
            place = (_HOLDERS.get(reference.kind, ""), reference.namespace or route.namespace, reference.name)
            if kind in _MESH:
                yield self._in_mesh(route, reference, path)
            elif reference.group != GROUP or not place[0]:
                text = f"no parent of kind {reference.kind} ({reference.group or 'core'}) is served here"
                yield Attached(reference, path, fault=bad(ACCEPTED, "NoMatchingParent", text, path))
            elif place not in self._edge.others:
                yield self._at_gateway(route, reference, self._edge.listeners.get(place), path)

    def _at_gateway(self, route: Any, reference: Any, listeners: Sequence[Listener] | None, path: Path) -> Attached:
        if listeners is None:
            text = f"no {reference.kind} {reference.namespace or route.namespace}/{reference.name} is served here"
            return Attached(reference, path, fault=bad(ACCEPTED, "NoMatchingParent", text, path))
        refused = [(listener, _refusal(route, reference, listener)) for listener in listeners]
        found = tuple(Attachment(one, _hosts_at(route, one, self._edge.beside(one))) for one, reason in refused if reason is None)
        if found:
            return Attached(reference, path, listeners=found)
        reason, text = max((one for _, one in refused if one), key=lambda one: _REASONS.index(one[0]))
        return Attached(reference, path, fault=bad(ACCEPTED, reason, text, path))

    def _in_mesh(self, route: Any, reference: Any, path: Path) -> Attached:
        place = reference.namespace or route.namespace
        if reference.kind == "Service":
            one = self._backends.service(reference.name, place)
            services = [one] if one else []
        else:
            services = self._backends.entry(reference.name, place)
        if not services:
            text = f"there is no {reference.kind} {place}/{reference.name}"
            return Attached(reference, path, fault=bad(ACCEPTED, "NoMatchingParent", text, path))
        ports = [port for one in services for port in one.ports if _is_meant(reference, port)]
        if not ports:
            text = f"{reference.kind} {place}/{reference.name} has no port {reference.section_name or reference.port}"
            return Attached(reference, path, fault=bad(ACCEPTED, "NoMatchingParent", text, path))
        number = ports[0].number if reference.section_name or reference.port else None
        return Attached(reference, path, services=tuple(MeshAttachment(one, number) for one in services))


def _is_meant(reference: Any, port: Port) -> bool:
    """Whether a reference to a service means a port, by number, by name (`sectionName`), or all of them."""
    return reference.port in (None, port.number) and reference.section_name in (None, "", port.name)


def _refusal(route: Any, reference: Any, listener: Listener) -> tuple[str, str] | None:
    """Why a route cannot attach to a listener: a reason and a sentence; None when it can."""
    if reference.port not in (None, listener.spec.port):
        return _REASONS[0], f"the {reference.kind} has no listener on port {reference.port}"
    if reference.section_name not in (None, "", listener.spec.name):
        return _REASONS[0], f'the {reference.kind} has no listener "{reference.section_name}"'
    if not _names_at(route, listener):
        return _REASONS[1], f'no host name of the route is one of the listener "{listener.spec.name}" ({listener.hostname})'
    if not listener.admits(route.namespace):
        return _REASONS[2], f'the listener "{listener.spec.name}" takes no routes of namespace {route.namespace} (allowedRoutes.namespaces)'
    if route.kind not in listener.kinds:
        return _REASONS[2], f'the listener "{listener.spec.name}" takes no {route.kind} ({", ".join(listener.kinds) or "nothing"})'
    return None


def _names_at(route: Any, listener: Listener) -> list[str]:
    """The names of a route that a listener has too; a TCPRoute has none, and is at home everywhere."""
    wanted = getattr(route.spec, "hostnames", None) or [listener.hostname]
    found = (hosts.narrower(listener.hostname, name.lower()) for name in wanted)
    return list(dict.fromkeys(name for name in found if name))


def _hosts_at(route: Any, listener: Listener, served: Iterable[Listener]) -> tuple[str, ...]:
    return tuple(name for name in _names_at(route, listener) if listener.isolates(name, served))
