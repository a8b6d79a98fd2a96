"""Gateways: the servers that a gateway proxy opens, gathered from every Gateway that selects it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pymesh.api import hosts

from .origin import Origin
from .protocol import Protocol, declared
from .virtual import VirtualService
from .workload import selects


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of one Gateway."""

    gateway: str
    """`<namespace>/<name>` of the Gateway."""
    port: int
    port_name: str
    protocol: Protocol
    bind: str
    hosts: tuple[tuple[str, str], ...]
    """(namespace whose VirtualServices may bind, `*` for any; host pattern)."""
    origin: Origin
    exposed: int
    """The port that clients call; a Service may lead from it to `port`."""
    tls: Any = None
    name: str = ""
    """Under which requests count where the gateway ends TLS."""

    @property
    def terminates(self) -> bool:
        """Whether the gateway itself ends TLS here."""
        return self.tls is not None and self.protocol.is_tls and _mode(self.tls) not in ("PASSTHROUGH", "AUTO_PASSTHROUGH")

    @property
    def passes_by_name(self) -> bool:
        """Whether server names alone say where connections go, without a VirtualService."""
        return self.tls is not None and self.protocol.is_tls and _mode(self.tls) == "AUTO_PASSTHROUGH"

    @property
    def serves_http(self) -> bool:
        """Whether requests are routed here, rather than connections."""
        return self.protocol.is_http or (self.protocol is Protocol.HTTPS and self.terminates)

    @property
    def kind(self) -> str:
        """What a port is for."""
        if self.protocol.is_tls:
            return "TLS"
        return "HTTP" if self.protocol.is_http else "TCP"

    def shares_with(self, other: "Server") -> bool:
        """Whether both can be on one port: requests say by their host for which they are, TLS by its server name, plain TCP by nothing."""
        return self.kind == other.kind != "TCP"

    @property
    def server_names(self) -> tuple[str, ...]:
        """The SNI values it answers to; none when it answers to all."""
        names = tuple(dict.fromkeys(host for _, host in self.hosts))
        return () if "*" in names else names

    def names_of(self, service: VirtualService) -> list[str]:
        """The names under which a VirtualService is served here; none when it does not bind.

        Each is the narrower of one of its hosts and one of the server's.
        """
        if self.gateway not in service.gateways:
            return []
        allowed = [pattern for place, pattern in self.hosts if place in ("*", service.namespace)]
        found = (hosts.narrower(pattern, host) for host in service.hosts for pattern in allowed)
        return list(dict.fromkeys(name for name in found if name))


@dataclass(frozen=True, slots=True)
class Gateway:
    """One Gateway resource; an empty selector selects every gateway proxy, of the `namespace` if there is one."""

    selector: Mapping[str, str]
    servers: tuple[Server, ...]
    namespace: str = ""
    names_ports_of_services: bool = False
    """Whether its ports are those of a Service that leads to the proxies, where there is one."""

    def selects(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a proxy serves it."""
        return self.namespace in ("", namespace) and selects(self.selector, labels)


def from_resource(resource: Any) -> Gateway:
    origin = Origin(resource.kind, resource.namespace, resource.name)
    servers = tuple(_server(server, origin) for server in resource.spec.servers)
    return Gateway(dict(resource.spec.selector), servers, names_ports_of_services=True)


def merged(
    gateways: Iterable[Gateway], namespace: str, labels: Mapping[str, str], targets: Mapping[int, int]
) -> dict[tuple[str, int], list[Server]]:
    """The servers of a proxy by (bind, port). Left out are those that cannot share a bind with its first one, as the port can do one kind,
    and those with TLS that name a host which an older one has: whole, with their other hosts, as Istio has it.

    `targets` are the proxy's ports to which Services lead, by the Service's.
    """
    found: dict[tuple[str, int], list[Server]] = {}
    taken: set[tuple[str, int, tuple[str, str]]] = set()
    for gateway in gateways:
        if not gateway.selects(namespace, labels):
            continue
        for stated in gateway.servers:
            port = targets.get(stated.port, stated.port) if gateway.names_ports_of_services else stated.port
            server = stated if port == stated.port else replace(stated, port=port)
            bind = server.bind or "0.0.0.0"
            group = found.setdefault((bind, server.port), [])
            claimed = {(bind, server.port, host) for host in server.hosts} if server.tls else set()
            if not claimed & taken and (not group or group[0].shares_with(server)):
                group.append(server)
                taken |= claimed
    return found


def _server(server: Any, origin: Origin) -> Server:
    return Server(
        gateway=f"{origin.namespace}/{origin.name}",
        origin=origin,
        port=server.port.number,
        exposed=server.port.number,
        port_name=server.port.name or "",
        protocol=declared(server.port.protocol or "") or Protocol.TCP,
        bind=server.bind or "",
        hosts=tuple(_host(host, origin.namespace) for host in server.hosts),
        tls=server.tls,
        name=server.name or "",
    )


def _host(text: str, namespace: str) -> tuple[str, str]:
    place, slash, pattern = text.lower().rpartition("/")
    if not slash:
        return "*", pattern
    return (namespace if place == "." else place), pattern


def _mode(tls: Any) -> str:
    return str(tls.mode.value) if tls.mode else "PASSTHROUGH"
