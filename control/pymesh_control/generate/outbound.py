"""LDS towards the mesh: what a sidecar listens on for its application's calls, with capture (REDIRECT) and without (NONE)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pymesh.address import is_ip
from pymesh.xds import names

from ..built import Built, pack
from ..holding import Part
from ..model.memory import Same
from ..model.origin import Origin
from ..model.protocol import ALONE, Protocol
from ..model.service import Port, Service
from ..model.sidecar import EVERYTHING, Egress
from ..model.view import ProxyView
from . import dynamic_dns, families, manager, reports, statnames, tcp
from .chains import PLAINTEXT_HTTP, chain, inspect_as_needed, listener
from .connections import Claims, Connections, connection_routes
from .provenance import stamp
from .scope import Scope
from .sidecar_routes import unknown_hosts

Addresses = tuple[str, ...]


@dataclass(slots=True)
class _Bound:
    """What shares its addresses and port: requests by an RDS name, and connections to services."""

    captured: bool
    """Whether connections are redirected to it."""
    stated: bool
    """Whether a Sidecar states its port."""
    protocol: Protocol | None = None
    """What is spoken there; AUTO where that has to be found out."""
    http: str = ""
    web: bool = False
    """Whether any of the services takes calls of gRPC-Web."""
    services: list[tuple[Service, Port, str]] = field(default_factory=list)
    """With the CIDR block that the connection must go to, where the address does not tell."""

    def add(self, service: Service, port: Port, block: str, route: str) -> None:
        """Let a service's port share it, unless one of them shares with none: then the older stays."""
        if self.protocol not in (None, port.protocol) and ALONE & {self.protocol, port.protocol}:
            return
        self.protocol = self.protocol or port.protocol
        if port.protocol.may_be_http:
            self.protocol = Protocol.AUTO
            self.http = self.http or route
            self.web = self.web or port.protocol is Protocol.GRPC_WEB
        if not port.protocol.is_http:
            self.services.append((service, port, block))


def outbound(scope: Scope, view: ProxyView) -> tuple[Part, dict[str, Built]]:
    """The outbound listeners of a proxy by name: those that it shares, and its own."""
    found: dict[str, Built] = {}
    common = Part()
    if view.outbound_ports is not None:
        for (host, number), local in view.outbound_ports.items():
            message = _single(scope, host, number, local)
            if message is not None:
                found[message.name] = pack(message)
    else:
        key = ("outbound", view.captures, view.transparent)
        common = scope.cached(key, lambda: Part(_shared(scope, captures=view.captures, transparent=view.transparent)))
        if excepted := (_of_itself(scope, view) | _taken(scope, view)) & common.keys():
            common = Part((name, built) for name, built in common.items() if name not in excepted)
    proxy_port = view.http_proxy_port or scope.snapshot.mesh.http_proxy_port
    if proxy_port:
        message = _http_proxy(scope, proxy_port)
        found[message.name] = pack(message)
    return common, found


def _of_itself(scope: Scope, view: ProxyView) -> set[str]:
    """The listeners for the proxy's own address as a pod of headless services, which calls itself without the mesh."""
    numbers = scope.cached(("headless",), lambda: frozenset(port.number for service, port in scope.ports() if service.headless))
    return {f"{view.ip}_{number}" for number in numbers} if view.captures else set()


def _taken(scope: Scope, view: ProxyView) -> set[str]:
    """The listeners for services that would have an address of the proxy's own, which it would refuse one of."""
    mesh = scope.snapshot.mesh
    return {f"{families.wildcards(scope.families)[0]}_{port}" for port in (mesh.outbound_port, mesh.inbound_port, *view.own_ports)}


def _shared(scope: Scope, *, captures: bool, transparent: bool) -> dict[str, Built]:
    bounds: dict[tuple[Addresses, int], _Bound] = {}
    for egress in scope.sidecar.listeners if scope.sidecar else (EVERYTHING,):
        _bind(scope, egress, bounds, captured=captures and egress.captured is not False)
    made = {f"{addresses[0]}_{number}": _kept(scope, addresses, number, bound) for (addresses, number), bound in bounds.items()}
    if captures:
        made[names.VIRTUAL_OUTBOUND] = pack(_virtual(scope, transparent=transparent))
    return made


def _bind(scope: Scope, egress: Egress, bounds: dict[tuple[Addresses, int], _Bound], *, captured: bool) -> None:
    """Add what is reached through an egress listener. Where one for a port listens already, nothing is added by that for all others."""
    held = frozenset() if egress.port else frozenset(bounds)
    for service, port in _carried(scope, egress):
        for addresses, block, route in _addresses(scope, service, port, egress, captured=captured):
            if (key := (addresses, port.number)) not in held:
                bounds.setdefault(key, _Bound(captured, bool(egress.port))).add(service, port, block, route)


def _carried(scope: Scope, egress: Egress) -> Iterator[tuple[Service, Port]]:
    """The ports of services that are reached through an egress listener, which may say itself what is spoken there. What is exported to
    few comes before what is for all, as in Istio: it has a listener that both want."""
    for service, port in sorted(scope.ports(), key=lambda found: found[0].visibility.everywhere):
        if egress.carries(service.namespace, service.host, port.number):
            yield service, replace(port, protocol=egress.protocol) if egress.protocol else port


def _kept(scope: Scope, addresses: Addresses, number: int, bound: _Bound) -> Built:
    """The listener, made anew only when what shares it has changed."""
    sharing = tuple((Same(service), port, block) for service, port, block in bound.services)
    key = ("listener", addresses, number, bound.http, bound.web, sharing, bound.captured)
    return scope.cached(key, lambda: pack(_listener(scope, addresses, number, bound)))


def _addresses(scope: Scope, service: Service, port: Port, egress: Egress, *, captured: bool) -> Iterator[tuple[Addresses, str, str]]:
    """(addresses to listen on, CIDR block to match, RDS name) of a service's port."""
    number = str(port.number)
    if egress.bind:
        yield (egress.bind,), "", number
    elif not captured:
        yield families.loopbacks(scope.families), "", number
    elif _goes_by_instances(service) and not port.protocol.is_http:
        found = (one.workload.ip for one in scope.instances(service, port))
        for address in dict.fromkeys(one for one in found if is_ip(one)):
            yield (address,), "", f"{service.host}:{port.number}"
    elif port.protocol.is_http or not service.addresses:
        yield families.wildcards(scope.families), "", number
    else:
        for address in service.addresses:
            if "/" in address:
                yield families.wildcards(scope.families), address, number
            else:
                yield (address,), "", f"{service.host}:{port.number}"


def _goes_by_instances(service: Service) -> bool:
    """Whether clients call its instances by their own addresses, and no other address is its."""
    return service.headless or (service.resolution == "NONE" and service.selector is not None and not service.addresses)


def _listener(scope: Scope, addresses: Addresses, number: int, bound: _Bound) -> Any:
    name = f"{addresses[0]}_{number}"
    matched, rest = _connection_chains(scope, bound, addresses[0])
    message = listener(name, addresses, number, scope.snapshot.mesh, outbound=True)
    if bound.http:
        http = _http(scope, name, bound.http, web=bound.web)
        matched.append(chain([http], application_protocols=PLAINTEXT_HTTP, transport="raw_buffer"))
    _take(message, matched, rest or _unknown(scope))
    inspect_as_needed(message, scope.snapshot.mesh)
    if not bound.captured:
        message.ClearField("bind_to_port")
    return stamp(message, _limits(scope)) if bound.stated else message


def _take(message: Any, matched: list[Any], rest: Any | None) -> None:
    """Give a listener its chains. What has no condition is the default beside others: plaintext that is no HTTP finds no way back from
    the chain for requests."""
    if not matched:
        message.filter_chains.append(rest)
        return
    message.filter_chains.extend(matched)
    if rest is not None:
        message.default_filter_chain.CopyFrom(rest)


def _connection_chains(scope: Scope, bound: _Bound, address: str) -> tuple[list[Any], Any | None]:
    """The chains with a condition, and the first of those without, to which everything else goes."""
    matched, rest, claims = [], None, Claims()
    for service, port, block in bound.services:
        for wanted in connection_routes(scope, service, port, block, wildcard=families.is_shared(address)):
            route = claims.admit(wanted)
            if route is None:
                continue
            if route.is_conditional:
                matched.append(_connection_chain(scope, route))
            else:
                rest = _connection_chain(scope, route)
    return matched, rest


def _connection_chain(scope: Scope, route: Connections) -> Any:
    stats, mesh = route.stats or statnames.of_target(scope, route.targets[0][0]), scope.snapshot.mesh
    idle, before = scope.settings.idle_timeout, dynamic_dns.lookup(scope, route.targets)
    how: dict[str, Any] = {"by_source": route.by_source, "idle": idle, "before": before}
    filters = tcp.filters(mesh, scope.flavor, route.targets, route.pool, route.tunnel, stats, **how)
    return chain(filters, server_names=route.server_names, blocks=route.blocks, sources=route.sources, origins=route.origins)


def _unknown(scope: Scope) -> Any:
    return chain(_undeclared(scope), name="PassthroughFilterChain")


def _undeclared(scope: Scope) -> list[Any]:
    """What becomes of connections that nothing declares; an Envoy reports them where they go nowhere."""
    logs = [reports.of_connections(scope.settings.reports_to)] if _reports(scope) else []
    return _to(scope, scope.unknown, logs)


def _http(scope: Scope, name: str, route: Any, *, web: bool = False) -> Any:
    logs = [reports.of_requests(scope.settings.reports_to)] if _reports(scope) else []
    lookups = dynamic_dns.http_filters(scope)
    return manager.outbound(scope.snapshot.mesh, scope.flavor, scope.settings, name, route, logs, lookups, web=web)


def _reports(scope: Scope) -> bool:
    return bool(scope.settings.reports_to) and scope.unknown == names.BLACKHOLE_CLUSTER


def _to(scope: Scope, cluster: str, logs: Iterable[Any] = ()) -> list[Any]:
    return tcp.filters(scope.snapshot.mesh, scope.flavor, [(cluster, 1)], idle=scope.settings.idle_timeout, logs=logs)


def _virtual(scope: Scope, *, transparent: bool) -> Any:
    """Where captured connections arrive: handed to the listener of their destination, else sent on or refused."""
    mesh = scope.snapshot.mesh
    message = listener(names.VIRTUAL_OUTBOUND, families.wildcards(scope.families), mesh.outbound_port, mesh, outbound=True)
    message.ClearField("bind_to_port")
    message.use_original_dst.value = True
    if transparent:
        message.transparent.value = True
    message.filter_chains.append(chain(_to(scope, names.BLACKHOLE_CLUSTER), name="virtualOutbound-blackhole", port=mesh.outbound_port))
    rest = chain(_undeclared(scope), name="virtualOutbound-catchall-tcp")
    if scope.resolves_unknown:
        _take(message, [_unknown_requests(scope, f"{families.wildcards(scope.families)[0]}_{mesh.outbound_port}")], rest)
        inspect_as_needed(message, mesh)
    else:
        message.filter_chains.append(rest)
    return stamp(message, _limits(scope))


def _unknown_requests(scope: Scope, prefix: str) -> Any:
    """Plaintext requests say themselves for whom they are."""
    filters = [_http(scope, prefix, unknown_hosts(scope))]
    return chain(filters, name="virtualOutbound-catchall-http", application_protocols=PLAINTEXT_HTTP, transport="raw_buffer")


def _limits(scope: Scope) -> tuple[Origin, ...]:
    """The Sidecar that says what is in sight, and what becomes of the rest."""
    return (scope.sidecar.origin,) if scope.sidecar else ()


def _single(scope: Scope, host: str, number: int, local: int) -> Any | None:
    """The listener for one service on a loopback port of its own; None while nothing declares the service."""
    service = scope.service(host)
    port = service.port(number) if service else None
    if service is None or port is None:
        return None
    addresses = families.loopbacks(scope.families)
    name = f"{addresses[0]}_{local}"
    message = listener(name, addresses, local, scope.snapshot.mesh, outbound=True)
    message.ClearField("bind_to_port")
    matched, rest = _single_chains(scope, service, port, name)
    _take(message, matched, rest)
    inspect_as_needed(message, scope.snapshot.mesh)
    return stamp(message, service.origins)


def _single_chains(scope: Scope, service: Service, port: Port, name: str) -> tuple[list[Any], Any | None]:
    """The chains, and beside one for requests that which takes everything else."""
    http = _http(scope, name, f"{service.host}:{port.number}", web=port.protocol is Protocol.GRPC_WEB)
    if port.protocol.is_http:
        return [chain([http])], None
    claims = Claims()
    routes = filter(None, map(claims.admit, connection_routes(scope, service, port, "", wildcard=False)))
    made = [(_connection_chain(scope, route), route.is_conditional) for route in routes]
    if not port.protocol.may_be_http:
        return [one for one, _ in made], None
    requests = chain([http], application_protocols=PLAINTEXT_HTTP, transport="raw_buffer")
    return [requests, *(one for one, conditional in made if conditional)], next((one for one, conditional in made if not conditional), None)


def _http_proxy(scope: Scope, port: int) -> Any:
    addresses = families.loopbacks(scope.families)
    name = f"{addresses[0]}_{port}"
    message = listener(name, addresses, port, scope.snapshot.mesh, outbound=True)
    message.ClearField("bind_to_port")
    message.filter_chains.append(chain([_http(scope, name, names.HTTP_PROXY_ROUTE)]))
    return message
