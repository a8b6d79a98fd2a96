"""Routing of connections rather than requests: VirtualService `tls` and `tcp` rules, else straight to the service."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pymesh.xds import names

from ..model.origin import Origin
from ..model.service import Port, Service
from ..model.virtual import MESH
from .routes import Place
from .scope import Scope

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
    pool: Any = None
    """The connectionPool.tcp of the rule that governs the first target."""
    tunnel: Any = None
    """The rule's tunnel, where there is but one target: Istio lets no others through it."""
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
            self._taken.update((name, block, route.sources) for name in kept for block in blocks)
            return replace(route, server_names=kept) if kept else None
        free = tuple(block for block in dict.fromkeys(blocks) if ("", block, route.sources) not in self._taken)
        self._taken.update(("", block, route.sources) for block in free)
        return replace(route, blocks=free if route.blocks else ()) if free else None


def connection_routes(scope: Scope, service: Service, port: Port, block: str, *, wildcard: bool) -> Iterator[Connections]:
    """Where connections to a service's port go, all of them within `block` where one is given.

    `wildcard` says that the listener's address does not tell the service, so that TLS has to be told by server name.
    """
    blocks = (block,) if block else ()
    rule = scope.routes.find(service.host)
    ruled = list(_ruled(Place(scope, rule, _MESH, port.number), port, blocks)) if rule else []
    yield from ruled
    if not ruled or not (port.protocol.is_tls or any(route.blocks == blocks and not route.sources for route in ruled)):
        by_name = port.protocol.is_tls and (wildcard or bool(block)) and service.host != "*"
        target = ((names.outbound_cluster(service.host, port.number), 1),)
        yield _governed(scope, Connections(target, (service.host,) if by_name else (), blocks, origins=service.origins))


def tls_routes(place: Place, blocks: tuple[str, ...] = ()) -> Iterator[Connections]:
    """The `tls` rules that apply at a place, by server name; `*` is every name, and so no condition."""
    for index, route in enumerate(place.rule.spec.tls):
        targets, origins = _targets(place, route), (place.rule.author("tls", index),)
        for match in route.match:
            if place.admits(match):
                named = () if "*" in match.sni_hosts else tuple(name.lower() for name in match.sni_hosts)
                blocks_here = tuple(match.destination_subnets) or blocks
                yield _governed(place.scope, Connections(targets, named, blocks_here, origins=origins))


def tcp_routes(place: Place, blocks: tuple[str, ...] = ()) -> Iterator[Connections]:
    """The `tcp` rules that apply at a place, up to the first that takes every connection."""
    for index, route in enumerate(place.rule.spec.tcp):
        targets, origins = _targets(place, route), (place.rule.author("tcp", index),)
        taken = _governed(place.scope, Connections(targets, (), blocks, origins=origins))
        if not route.match:
            yield taken
            return
        for match in filter(place.admits, route.match):
            sources = (match.source_subnet,) if match.source_subnet else ()
            yield replace(taken, blocks=tuple(match.destination_subnets) or blocks, sources=sources)
            if not match.destination_subnets and not sources:
                return


def _ruled(place: Place, port: Port, blocks: tuple[str, ...]) -> Iterator[Connections]:
    return tls_routes(place, blocks) if port.protocol.is_tls else tcp_routes(place, blocks)


def _targets(place: Place, route: Any) -> tuple[tuple[str, int], ...]:
    return tuple((cluster, weight) for cluster, weight, _ in place.targets(route.route))


def _governed(scope: Scope, route: Connections) -> Connections:
    """The route with what the rule of its first target says of connections."""
    parts = names.parse_cluster(route.targets[0][0])
    service = scope.service(parts.host) if parts else None
    if parts is None or service is None:
        return route
    rule = scope.rule(service)
    subset = parts.subset if rule and parts.subset in rule.subsets else ""
    pool = scope.policy(rule, parts.port, subset).connection_pool
    return replace(route, pool=pool.tcp if pool else None, tunnel=rule.tunnel_for(subset) if rule and len(route.targets) == 1 else None)
