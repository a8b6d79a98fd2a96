"""Sidecars: which services a proxy knows of, where it takes its application's calls, and what it takes for the application."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pymesh.api import hosts

from .origin import Origin
from .protocol import Protocol, of_port
from .service import full_name
from .workload import selects

_EVERY, _NOWHERE = "*", "~"
_TERMINATING = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")


@dataclass(frozen=True, slots=True)
class Import:
    """One `namespace/host` of an egress listener; an `excluding` one takes out again what others let in."""

    namespace: str
    host: str
    excluding: bool = False
    own: bool = False
    """Whether the namespace is that of the proxy, whichever that is (`.`)."""

    def covers(self, namespace: str, host: str) -> bool:
        """Whether something of a namespace with a host is meant."""
        if self.namespace not in (_EVERY, namespace):
            return False
        return self.host == _EVERY or self.host == host or (hosts.is_wildcard(self.host) and hosts.subset_of(host, self.host))

    def meets(self, namespace: str, host: str) -> bool:
        """Whether something of a namespace with a host, which may be a wildcard, has to do with what is meant."""
        return self.namespace in (_EVERY, namespace) and (self.host == _EVERY or hosts.matches(host, self.host))


@dataclass(frozen=True, slots=True)
class Egress:
    """One egress listener; without a port it stands for all ports that no other has."""

    imports: tuple[Import, ...]
    port: int = 0
    protocol: Protocol | None = None
    bind: str = ""
    captured: bool | None = None
    """Whether connections are redirected to it; None: as the node says."""

    def admits(self, namespace: str, host: str) -> bool:
        """Whether something of a namespace with a host is imported."""
        return not self._excludes(namespace, host) and any(not one.excluding and one.covers(namespace, host) for one in self.imports)

    def meets(self, namespace: str, host: str) -> bool:
        """Whether anything of a namespace that a host stands for may be imported."""
        return not self._excludes(namespace, host) and any(not one.excluding and one.meets(namespace, host) for one in self.imports)

    def _excludes(self, namespace: str, host: str) -> bool:
        return any(one.excluding and one.covers(namespace, host) for one in self.imports)

    def carries(self, namespace: str, host: str, port: int) -> bool:
        """Whether a port of a service is reached through it, unless the listener of that port alone is in its way."""
        return self.port in (0, port) and self.admits(namespace, host)

    def within(self, namespace: str) -> "Egress":
        """The same for proxies of a namespace."""
        return replace(self, imports=tuple(replace(one, namespace=namespace) if one.own else one for one in self.imports))


EVERYTHING = Egress((Import(_EVERY, _EVERY),))
"""What there is without any Sidecar."""


@dataclass(frozen=True, slots=True)
class Ingress:
    """One ingress listener: what comes to `port` goes to `endpoint`, or to where it was going when that is empty."""

    port: int
    name: str
    protocol: Protocol
    endpoint: str = ""
    """`127.0.0.1:PORT` and the like, or `unix://PATH`."""
    pool: Any = None
    bind: str = ""
    """The address to listen on, where connections are not redirected; empty: the workload's own."""
    captured: bool | None = None
    """Whether connections are redirected to it; None: as the node says."""
    tls: Any = None
    """What ends TLS here: `protocol` is what is spoken inside then."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sidecar:
    """One Sidecar resource; `egress` is None where it says nothing, and then everything is in sight."""

    name: str
    namespace: str
    selector: Mapping[str, str] | None
    egress: tuple[Egress, ...] | None
    ingress: tuple[Ingress, ...]
    pool: Any = None
    """The inboundConnectionPool."""
    registry_only: bool | None = None
    """What becomes of calls to unknown hosts; None: as the mesh says."""
    proxy: Any = None
    """The Destination to which they go instead."""
    _elsewhere: dict[str, "Sidecar"] = field(default_factory=dict)

    @property
    def origin(self) -> Origin:
        return Origin("Sidecar", self.namespace, self.name)

    def listener(self, port: int) -> Egress | None:
        """The listener that stands for a port alone."""
        return next((one for one in self.egress or () if one.port == port), None)

    @property
    def listeners(self) -> tuple[Egress, ...]:
        """Its egress listeners, those of single ports first."""
        return tuple(sorted(self.egress or (EVERYTHING,), key=lambda one: not one.port))

    @property
    def has_ports(self) -> bool:
        """Whether any of them is for one port."""
        return any(one.port for one in self.egress or ())

    def at(self, port: int) -> tuple[Egress, ...]:
        """The listeners that speak for a port: its own alone, if it has one."""
        own = self.listener(port) if port else None
        return (own,) if own else tuple(one for one in self.listeners if not one.port)

    def admits(self, namespace: str, host: str, port: int = 0) -> bool:
        """Whether something is imported, on a port if one is given."""
        return any(one.admits(namespace, host) for one in (self.at(port) if port else self.listeners))

    def admits_rule(self, namespace: str, host: str, port: int, *, strictly: bool) -> bool:
        """Whether a rule of a namespace for a host is imported, on a port if one is given; a wildcard's even for one of its hosts, unless
        it is taken `strictly`."""
        listeners = self.at(port) if port else self.listeners
        return any(one.admits(namespace, host) if strictly else one.meets(namespace, host) for one in listeners)

    def within(self, namespace: str) -> "Sidecar":
        """The same for proxies of a namespace, which `.` means for them: the mesh's default lets each import its own."""
        if namespace == self.namespace or not any(one.own for listener in self.egress or () for one in listener.imports):
            return self
        if namespace not in self._elsewhere:
            self._elsewhere[namespace] = replace(self, egress=tuple(one.within(namespace) for one in self.egress or ()), _elsewhere={})
        return self._elsewhere[namespace]


class Sidecars:
    """All Sidecars, and which of them a proxy obeys."""

    def __init__(self, sidecars: Iterable[Sidecar], root_namespace: str) -> None:
        self._root = root_namespace
        self._by_namespace: dict[str, list[Sidecar]] = {}
        for one in sidecars:
            self._by_namespace.setdefault(one.namespace, []).append(one)

    def of(self, namespace: str, labels: Mapping[str, str]) -> Sidecar | None:
        """The first that selects the workload, else the namespace's own, else the mesh's; oldest first."""
        here = self._by_namespace.get(namespace, [])
        selecting = (one for one in here if one.selector is not None and selects(one.selector, labels))
        general = (one for one in (*here, *self._by_namespace.get(self._root, ())) if one.selector is None)
        found = next(selecting, None) or next(general, None)
        return found and found.within(namespace)


def from_resource(resource: Any) -> Sidecar:
    spec = resource.spec
    policy = spec.outbound_traffic_policy
    return Sidecar(
        name=resource.name,
        namespace=resource.namespace,
        selector=dict(spec.workload_selector.labels) if spec.workload_selector else None,
        egress=tuple(_egress(one, resource.namespace) for one in spec.egress) or None,
        ingress=tuple(_ingress(one) for one in spec.ingress),
        pool=spec.inbound_connection_pool,
        registry_only=None if policy is None else not (policy.mode and policy.mode.value == "ALLOW_ANY"),
        proxy=policy.egress_proxy if policy else None,
    )


def _egress(listener: Any, namespace: str) -> Egress:
    port = listener.port
    return Egress(
        imports=tuple(_import(text, namespace) for text in listener.hosts),
        port=port.number or 0 if port else 0,
        protocol=of_port(port.number or 0, port.name or "", port.protocol or "") if port and port.protocol else None,
        bind=listener.bind or "",
        captured=_captured(listener),
    )


def _captured(listener: Any) -> bool | None:
    mode = listener.capture_mode.value if listener.capture_mode else "DEFAULT"
    return {"IPTABLES": True, "NONE": False}.get(mode)


def _import(text: str, own: str) -> Import:
    place, _, host = text.partition("/")
    excluding = place.startswith(_NOWHERE) and (place, host) != (_NOWHERE, _EVERY)
    namespace = (place.removeprefix(_NOWHERE) or _EVERY) if excluding else place
    named = host if host == _EVERY else full_name(host, own)
    return Import(own if namespace == "." else namespace, named, excluding, own=namespace == ".")


def _endpoint(text: str) -> str:
    """Where the application listens. A port without an address tells nothing, as in Istio: connections go where they were meant to go."""
    return "" if text.startswith(":") else text


def _ingress(listener: Any) -> Ingress:
    port = listener.port
    protocol = of_port(port.number, port.name or "", port.protocol or "")
    tls = listener.tls if listener.tls and listener.tls.mode and listener.tls.mode.value in _TERMINATING else None
    return Ingress(
        port=port.number,
        name=port.name or "",
        protocol=protocol.inside_tls if tls else protocol,
        endpoint=_endpoint(listener.default_endpoint or ""),
        pool=listener.connection_pool,
        bind=listener.bind or "",
        captured=_captured(listener),
        tls=tls,
    )
