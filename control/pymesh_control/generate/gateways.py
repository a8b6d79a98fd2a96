"""LDS and RDS for gateways: the servers of every Gateway that selects the proxy, and the VirtualServices bound to them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from pymesh.xds import proto

from ..built import Built, pack
from ..model import gateway
from ..model.gateway import Server
from ..model.protocol import Protocol
from ..model.view import ProxyView
from ..model.virtual import VirtualService, reach
from . import dynamic_dns, families, inbound, limits, manager, passing, secure, statnames, tcp
from .chains import chain, inspectors, listener, proxy_header
from .connections import Claims, Connections, tcp_routes, tls_routes
from .match import is_catch_all
from .provenance import stamp
from .routes import Place, virtual_host, virtual_routes
from .scope import Scope

_ROUTE = proto.route_components
_ANY = "0.0.0.0"
Group = Sequence[Server]


def listeners(scope: Scope, view: ProxyView) -> dict[str, Built]:
    """A gateway's listeners by name; a port whose chains all wait for a VirtualService has none yet."""
    found = {}
    for (bind, port), group in _groups(scope, view).items():
        chains = list(_chains(scope, group, bind, port))
        if chains:
            message = _listener(scope, group, bind, port)
            message.filter_chains.extend(chains)
            found[message.name] = pack(message)
    return found


def route_configurations(scope: Scope, view: ProxyView) -> dict[str, Built]:
    """A gateway's route configurations by name."""
    return {name: pack(message) for name, message in _route_configurations(scope, view)}


def passes_by_name(scope: Scope, view: ProxyView) -> bool:
    """Whether any server of the gateway is AUTO_PASSTHROUGH."""
    return any(server.passes_by_name for group in _groups(scope, view).values() for server in group)


def _groups(scope: Scope, view: ProxyView) -> dict[tuple[str, int], list[Server]]:
    return gateway.merged(scope.snapshot.gateways, view.namespace, view.labels, inbound.targets(scope.snapshot, view))


def _listener(scope: Scope, group: Group, bind: str, port: int) -> Any:
    addresses = (bind,) if group[0].bind else families.wildcards(scope.families)
    message = listener(f"{addresses[0]}_{port}", addresses, port, scope.snapshot.mesh, outbound=True)
    message.ClearField("bind_to_port")
    limits.buffer(message, scope.settings)
    if scope.settings.reads_proxy_header:
        message.listener_filters.append(proxy_header())
    if group[0].protocol.is_tls:  # who says nothing is closed on after Envoy's 15 seconds: strangers connect here
        message.listener_filters.append(inspectors()[0])
    return stamp(message, [group[0].origin])  # the oldest alone: others may come and go without a new listener


def _chains(scope: Scope, group: Group, bind: str, port: int) -> Iterator[Any]:
    if group[0].protocol.is_http:
        web = any(server.protocol is Protocol.GRPC_WEB for server in group)
        yield chain([_manager(scope, f"outbound_{bind}_{port};", _http_name(bind, port), web=web)])
        return
    claims = Claims()  # of servers with the same host on one port the oldest has it
    for server in group:
        for wanted in _connections(scope, server):
            route = claims.admit(wanted)
            if route:
                yield _chain(scope, server, route)


def _chain(scope: Scope, server: Server, route: Connections) -> Any:
    mesh = scope.snapshot.mesh
    if server.serves_http:
        stats = server.name or f"outbound_{server.bind or _ANY}_{server.port};"
        filters = [_manager(scope, stats, _https_name(server))]
    else:
        stats = route.stats or statnames.of_target(scope, route.targets[0][0])
        idle, before = scope.settings.idle_timeout, dynamic_dns.lookup(scope, route.targets)
        how: dict[str, Any] = {"by_source": route.by_source, "idle": idle, "before": before}
        filters = tcp.filters(mesh, scope.flavor, route.targets, route.pool, route.tunnel, stats, **how)
    secured = secure.gateway_socket(server.tls, mesh, http=server.serves_http) if server.terminates else None
    made = chain(
        filters,
        server_names=route.server_names,
        blocks=route.blocks,
        sources=route.sources,
        application_protocols=route.application_protocols,
        secured=secured,
        origins=dict.fromkeys((server.origin, *route.origins)),
    )
    return _terminating(made) if secured else made


def _manager(scope: Scope, stats: str, route: str, *, web: bool = False) -> Any:
    mesh = scope.snapshot.mesh
    return manager.gateway(mesh, scope.flavor, scope.settings, stats, route, dynamic_dns.http_filters(scope), web=web)


def _terminating(made: Any) -> Any:
    """Let the TLS handshake take 15 seconds and no longer: strangers connect here."""
    made.transport_socket_connect_timeout.CopyFrom(proto.duration(15))
    return made


def _connections(scope: Scope, server: Server) -> Iterator[Connections]:
    """What a server takes: everything for its names where requests are routed, else what rules for connections say."""
    if server.serves_http:
        yield Connections((), server.server_names)
        return
    if server.passes_by_name:
        yield from passing.connections(scope, server)
        return
    for rule in _rules(scope):
        if server.names_of(rule):
            place = Place(scope, rule, frozenset({server.gateway}), server.exposed)
            ends = server.terminates or not server.protocol.is_tls
            yield from _named(server, rule, tcp_routes(place)) if ends else _by_name(rule, tls_routes(place))


def _named(server: Server, rule: VirtualService, routes: Iterable[Connections]) -> Iterator[Connections]:
    """Connections of a server that ends TLS itself are told by its own names; by the Gateway API, by those that it shares with the rule.

    They are never told by addresses: all clients call the gateway's own, so that Istio does not ask for subnets there.
    """
    shared = () if "*" in rule.hosts else tuple(server.names_of(rule))
    names = shared if rule.follows_gateway_api and shared else server.server_names
    for route in routes:
        yield replace(route, server_names=names if server.terminates else (), blocks=(), sources=())


def _by_name(rule: VirtualService, routes: Iterable[Connections]) -> Iterator[Connections]:
    """Connections whose TLS is passed on are told by name alone; a match of which a name is taken is left out whole, as in Istio.

    By the Gateway API each name is had for itself.
    """
    for route in routes:
        yield replace(route, blocks=(), indivisible=not rule.follows_gateway_api)


def _route_configurations(scope: Scope, view: ProxyView) -> Iterator[tuple[str, Any]]:
    for (bind, port), group in _groups(scope, view).items():
        if group[0].protocol.is_http:
            yield _http_name(bind, port), _configuration(scope, _http_name(bind, port), group)
        for server in group:
            if server.terminates and server.serves_http:
                yield _https_name(server), _configuration(scope, _https_name(server), [server])


def _http_name(bind: str, port: int) -> str:
    return f"http.{port}" if bind == _ANY else f"http.{port}.{bind}"


def _https_name(server: Server) -> str:
    namespace, _, name = server.gateway.partition("/")
    bind = f".{server.bind}" if server.bind and server.bind != _ANY else ""
    return f"https.{server.exposed}.{server.port_name}.{name}.{namespace}{bind}"


def _configuration(scope: Scope, name: str, group: Group) -> Any:
    port = group[0].exposed
    hosts = list(_virtual_hosts(scope, group)) or [_ROUTE.VirtualHost(name=f"blackhole:{port}", domains=["*"])]
    return proto.route.RouteConfiguration(
        name=name,
        virtual_hosts=hosts,
        validate_clusters={"value": False},
        ignore_port_in_host_matching=True,
        max_direct_response_body_size_bytes={"value": 1 << 20},
    )


def _virtual_hosts(scope: Scope, group: Group) -> Iterator[Any]:
    """A virtual host for every name under which a rule has routes here. The rules that share one are joined, those of an older server
    first, each route once, catch-alls last.

    By the Gateway API a name is taken by its listener even without any.
    """
    bound: dict[str, list[Any]] = {}
    redirecting = {name for server in group if _redirects(server) for _, name in server.hosts}
    told: dict[tuple[int, str], list[Any]] = {}
    for server, rule in product(group, _rules(scope)):
        names = server.names_of(rule)
        routes = _routes(scope, server, rule) if names else []
        for name in names if routes or rule.follows_gateway_api else ():
            own = told.setdefault((id(rule), name), [])
            fresh = [route for route in routes if route not in own]
            own += fresh
            bound.setdefault(name, []).extend(fresh)
            redirecting |= {name} if _redirects(server) else set()
    for name, routes in bound.items():
        host = virtual_host(scope, f"{name}:{group[0].exposed}", [name], sorted(routes, key=lambda route: is_catch_all(route.match)))
        if name in redirecting:
            host.require_tls = _ROUTE.VirtualHost.ALL
        yield host
    for name in sorted(redirecting - bound.keys()):
        yield _ROUTE.VirtualHost(name=f"{name}:{group[0].exposed}", domains=[name], require_tls=_ROUTE.VirtualHost.ALL)


def _redirects(server: Server) -> bool:
    """Whether plain HTTP is answered by sending the client to HTTPS."""
    return bool(server.tls and server.tls.https_redirect)


def _rules(scope: Scope) -> list[VirtualService]:
    """The VirtualServices that are exported to the proxy, those for few before those for all."""

    def seen() -> list[VirtualService]:
        return sorted((rule for rule in scope.snapshot.virtual_services if rule.visibility.reaches(scope.namespace)), key=reach)

    return scope.cached(("rules of gateways",), seen)


def _routes(scope: Scope, server: Server, rule: VirtualService) -> list[Any]:
    place = Place(scope, rule, frozenset({server.gateway}), server.exposed, encrypted=server.protocol is Protocol.HTTPS)
    return virtual_routes(place)
