"""Which ports a sidecar serves for its application, and under which rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..model.authentication import Mode
from ..model.destination import Policy
from ..model.memory import Same
from ..model.origin import Origin
from ..model.protocol import Protocol, of_port
from ..model.service import Port, Service
from ..model.sidecar import Sidecar
from ..model.snapshot import Snapshot
from ..model.view import ProxyView


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundServer:
    """One port of the application: where the sidecar listens for it, where it listens itself, and the service it belongs to."""

    bind: int
    app: int
    protocol: Protocol
    service: Service | None
    service_port: int
    endpoint: str = ""
    """Where a Sidecar's ingress listener sends it: `127.0.0.1:PORT` and the like, or `unix://PATH`."""
    pool: Any = None
    """The connectionPool of a Sidecar, which stands over a DestinationRule's."""
    limits: Sidecar | None = None
    """The Sidecar whose ingress listener it is."""
    address: str = ""
    """Where to listen, if not at the workload's own address; of no concern where connections are captured."""
    captured: bool = True
    """Whether connections are redirected here, rather than made to a listener of its own."""
    tls: Any = None
    """The TLS that an ingress listener ends, where mutual TLS of the mesh is off."""

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The resources because of which it is served."""
        return (*(self.service.origins if self.service else ()), *((self.limits.origin,) if self.limits else ()))


def served(snapshot: Snapshot, view: ProxyView) -> list[InboundServer]:
    """The same list as long as nothing about it changes, whatever happens to instances elsewhere."""
    return snapshot.cached(("served", Same(view)), lambda: servers(snapshot, view))


def servers(snapshot: Snapshot, view: ProxyView) -> list[InboundServer]:
    """The served ports, sorted; of two services that share a target port the older one says what is spoken there. Those at which the
    sidecar itself listens are not the application's."""
    found: dict[int, InboundServer] = {}
    limits = snapshot.sidecars.of(view.namespace, view.labels)
    taken = {snapshot.mesh.outbound_port, snapshot.mesh.inbound_port, *view.own_ports}
    for server in _all(snapshot, view, limits):
        if not (server.captured and server.bind in taken):
            found.setdefault(server.bind, server)
    return [found[port] for port in sorted(found)]


def _all(snapshot: Snapshot, view: ProxyView, limits: Sidecar | None) -> Iterator[InboundServer]:
    """A Sidecar's ingress listeners stand in the place of everything else.

    Without capture there is nothing that nobody asks for, as the application itself listens on its ports.
    """
    if limits is not None and limits.ingress:
        yield from _stated(snapshot, view, limits)
        return
    pool = limits.pool if limits else None
    selected = _selected(snapshot, view) if view.captures else ()
    for server in selected if view.inbound_ports is None else _declared(snapshot, view):
        yield replace(server, pool=pool, captured=view.captures)


def _stated(snapshot: Snapshot, view: ProxyView, limits: Sidecar) -> Iterator[InboundServer]:
    """The ingress listeners, each with the service that it serves, if any does."""
    services = _own(snapshot, view)
    for listener in limits.ingress:
        known = next(((one, port) for one in services for port in one.ports if listener.port in (port.target, port.number)), None)
        yield InboundServer(
            bind=listener.port,
            app=listener.port,
            protocol=listener.protocol,
            service=known[0] if known else None,
            service_port=known[1].number if known else listener.port,
            endpoint=listener.endpoint,
            pool=listener.pool or limits.pool,
            limits=limits,
            address=listener.bind,
            captured=view.captures if listener.captured is None else listener.captured,
            tls=listener.tls,
        )


def mode(snapshot: Snapshot, view: ProxyView, port: int) -> Mode:
    """Whether connections to a port must be, may be or cannot be mutual TLS."""
    return snapshot.authentication.mode(view.namespace, view.labels, port)


def mode_origins(snapshot: Snapshot, view: ProxyView, port: int) -> tuple[Origin, ...]:
    """The PeerAuthentication that says so, if one does."""
    rule = snapshot.authentication.deciding(view.namespace, view.labels, port)
    return (rule.origin,) if rule else ()


def server_policy(snapshot: Snapshot, view: ProxyView, server: InboundServer) -> Policy:
    """The connection pool of a Sidecar, else that which the service's DestinationRule sets, which holds on this side too, else the mesh's.

    Rules for selected workloads are for these as clients.
    """
    if server.pool is not None:
        return Policy(connection_pool=server.pool)
    found = server.service and snapshot.rules.find(server.service.host, server.service.namespace, view.namespace, {})
    stated = found.policy_for(server.service_port).connection_pool if found else None
    return Policy(connection_pool=stated or snapshot.mesh.connection_pool)


def _declared(snapshot: Snapshot, view: ProxyView) -> Iterator[InboundServer]:
    """What the node's INBOUND_PORTS say. A port that no service names is served too, its protocol told by its name."""
    services = _own(snapshot, view)
    for name, bound in (view.inbound_ports or {}).items():
        known = next(((one, port) for one in services for port in one.ports if port.name == name), None)
        yield InboundServer(
            bind=bound.bind,
            app=bound.app,
            protocol=known[1].protocol if known else of_port(bound.app, name),
            service=known[0] if known else None,
            service_port=known[1].number if known else bound.app,
        )


def _selected(snapshot: Snapshot, view: ProxyView) -> Iterator[InboundServer]:
    """The target ports of every service that this workload is an instance of."""
    for service in _own(snapshot, view):
        for port in service.ports:
            for target in _targets(snapshot, view, service, port):
                yield InboundServer(bind=target, app=target, protocol=port.protocol, service=service, service_port=port.number)


def _own(snapshot: Snapshot, view: ProxyView) -> list[Service]:
    return list(snapshot.memberships.of(view.namespace, view.labels, view.ip))


def _targets(snapshot: Snapshot, view: ProxyView, service: Service, port: Port) -> Sequence[int]:
    """Where a proxy's instance of a service serves one of its ports."""
    ports = {one.port for one in snapshot.instances(service).get(port.number, ()) if one.workload.ip == view.ip}
    return sorted(ports) or (port.target,)


def targets(snapshot: Snapshot, view: ProxyView) -> dict[int, int]:
    """The ports to which Services of the cluster lead that select a proxy, by the Service's port; of several Services the oldest counts."""
    found: dict[int, int] = {}
    for service in _own(snapshot, view):
        if service.is_of_cluster and service.selector and service.leads_gateways:
            for port in service.ports:
                target = _targets(snapshot, view, service, port)[0] if port.target_name else port.target
                found.setdefault(port.number, target)
    return found
