"""Routing of connections rather than requests: VirtualService `tls` and `tcp` rules, else straight to the service."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from pymesh.xds import names

from ..model.origin import Origin
from ..model.service import DYNAMIC_DNS, Port, Service
from ..model.virtual import MESH
from . import hashing
from .routes import Place
from .scope import Scope, aliases

_MESH = frozenset({MESH})


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections that meet a condition, and the clusters that share them by weight."""

    targets: tuple[tuple[str, int], ...]
    server_names: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    """CIDR blocks of which one has to hold the client; none when all may come."""
    application_protocols: tuple[str, ...] = ()
    """Of which the client has to offer one; none when it may offer any."""
    indivisible: bool = False
    """Whether it is left out whole where others have some of its server names."""
    pool: Any = None
    """The connectionPool.tcp of the rule that governs the first target."""
    tunnel: Any = None
    """The tunnel of the rule that governs the first target."""
    by_source: bool = False
    """Whether a target is chosen by a hash of the client's address."""
    stats: str = ""
    """The name under which they count, where it is not that of the only target."""
    origins: tuple[Origin, ...] = ()
    """The resources that ask for it."""

    @property
    def is_conditional(self) -> bool:
        return bool(self.server_names or self.blocks or self.sources)


class Claims:
    """The conditions that the chains of one listener have taken: proxies refuse a listener in which two chains share one."""

    def __init__(self) -> None:
        self._taken: set[tuple[str, str, tuple[str, ...]]] = set()

    def admit(self, route: Connections) -> Connections | None:
        """The route without what an earlier one has; None when nothing is left of it."""
        blocks = route.blocks or ("",)
        if route.server_names:
            kept = tuple(name for name in route.server_names if not any((name, block, route.sources) in self._taken for block in blocks))
            if route.indivisible and kept != route.server_names:
                return None
            self._taken.update((name, block, route.sources) for name in kept for block in blocks)
            return replace(route, server_names=kept) if kept else None
        free = tuple(block for block in dict.fromkeys(blocks) if ("", block, route.sources) not in self._taken)
        self._taken.update(("", block, route.sources) for block in free)
        return replace(route, blocks=free if route.blocks else ()) if free else None


def connection_routes(scope: Scope, service: Service, port: Port, block: str, *, wildcard: bool) -> Iterator[Connections]:
    """Where connections to a service's port go, all of them within `block` where one is given, by all the rules for the service.

    `wildcard` says that the listener's address does not tell the service, so that TLS has to be told by server name; so it has where a
    proxy looks that name up, lest it go to any host.
    """
    blocks, is_tls, ruled = (block,) if block else (), port.protocol.is_tls, False
    for route in _ruled(scope, service, port, blocks):
        yield route
        if not is_tls and route.blocks == blocks and not route.sources:
            return
        ruled = is_tls
    if not ruled:
        by_name = is_tls and (wildcard or bool(block) or service.resolution == DYNAMIC_DNS) and service.host != "*"
        called = _called(service, scope.namespace) if by_name else ()
        target = ((names.outbound_cluster(service.host, port.number), 1),)
        yield _governed(scope, Connections(target, called, blocks, origins=service.origins))


def _called(service: Service, namespace: str) -> tuple[str, ...]:
    """The server names by which clients of a namespace may call a service: its host, and its aliases with their short names."""
    return service.host, *(name for name in aliases(service, namespace) if not name.endswith("."))


def tls_routes(place: Place, blocks: tuple[str, ...] = ()) -> Iterator[Connections]:
    """The `tls` rules that apply at a place, by server name; `*` is every name, and so no condition."""
    for index, route in enumerate(place.rule.spec.tls):
        taken = _route(place, "tls", index, route)
        for match in filter(place.admits_connections, route.match):
            named = () if "*" in match.sni_hosts else tuple(name.lower() for name in match.sni_hosts)
            yield replace(taken, server_names=named, blocks=_blocks(match.destination_subnets) or blocks)


def tcp_routes(place: Place, blocks: tuple[str, ...] = ()) -> Iterator[Connections]:
    """The `tcp` rules that apply at a place, up to the first that takes every connection."""
    for index, route in enumerate(place.rule.spec.tcp):
        taken = replace(_route(place, "tcp", index, route), blocks=blocks)
        if not route.match:
            yield taken
            return
        for match in filter(place.admits_connections, route.match):
            sources = _blocks([match.source_subnet] if match.source_subnet else [])
            yield replace(taken, blocks=_blocks(match.destination_subnets) or blocks, sources=sources)
            if not match.destination_subnets and not sources:
                return


def _blocks(subnets: Iterable[str]) -> tuple[str, ...]:
    """Subnets without the bits behind their length: by these proxies see whether two are the same."""
    return tuple(str(ip_network(one, strict=False)) for one in subnets)


def _ruled(scope: Scope, service: Service, port: Port, blocks: tuple[str, ...]) -> Iterator[Connections]:
    """What all rules for a service say of connections to its port, one after another."""
    for rule in scope.routes_at(port.number).covering(service.host):
        place = Place(scope, rule, _MESH, port.number)
        yield from tls_routes(place, blocks) if port.protocol.is_tls else tcp_routes(place, blocks)


def _route(place: Place, kind: str, index: int, route: Any) -> Connections:
    """A rule's route without its conditions. Where several clusters share it, it counts under the rule's name."""
    targets = tuple((cluster, weight) for cluster, weight, _ in place.targets(route.route))
    author = place.rule.author(kind, index)
    stats = f"{author.name}.{author.namespace}" if len(targets) > 1 else ""
    return _governed(place.scope, Connections(targets, stats=stats, origins=(author,)))


def _governed(scope: Scope, route: Connections) -> Connections:
    """The route with what the rule of its first target says of connections; where it is one of several, not of its subset alone."""
    by_source = any(one is not None and one.use_source_ip for one in (hashing.settings(scope, cluster) for cluster, _ in route.targets))
    parts = names.parse_cluster(route.targets[0][0])
    service = scope.service(parts.host) if parts else None
    if parts is None or service is None:
        return replace(route, by_source=by_source)
    rule = scope.rule(service)
    subset = parts.subset if rule and len(route.targets) == 1 and parts.subset in rule.subsets else ""
    pool = scope.policy(rule, parts.port, subset).connection_pool
    tunnel = rule.tunnel_for(subset) if rule else None
    return replace(route, pool=pool.tcp if pool else None, tunnel=tunnel, by_source=by_source)
