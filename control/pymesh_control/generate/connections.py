"""Routing of connections rather than requests: VirtualService `tls` and `tcp` rules, else straight to the service."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pymesh.xds import names

from ..model.service import Port, Service
from ..model.virtual import MESH, VirtualService
from .routes import Place
from .scope import Scope

_MESH = frozenset({MESH})


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections that meet a condition, and the clusters that share them by weight."""

    targets: tuple[tuple[str, int], ...]
    server_names: tuple[str, ...] = ()
    blocks: tuple[str, ...] = ()
    pool: Any = None
    """The connectionPool.tcp of the rule that governs the service."""

    @property
    def condition(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.server_names, self.blocks

    @property
    def is_conditional(self) -> bool:
        return bool(self.server_names or self.blocks)


def connection_routes(scope: Scope, service: Service, port: Port, block: str, *, wildcard: bool) -> Iterator[Connections]:
    """Where connections to a service's port go. `wildcard` says that the listener's address does not tell the service,

    so that TLS has to be told by server name. `block` limits all to one CIDR block of the service.
    """
    blocks = (block,) if block else ()
    pool = _pool(scope, service, port)
    rule = scope.routes.find(service.host)
    ruled = list(_ruled(Place(scope, rule, _MESH, port.number), port, blocks, pool)) if rule else []
    yield from ruled
    if not any(route.server_names == () for route in ruled):
        target = ((names.outbound_cluster(service.host, port.number), 1),)
        by_name = port.protocol.is_tls and (wildcard or bool(block))
        if not ruled or not port.protocol.is_tls:
            yield Connections(target, (service.host,) if by_name else (), blocks, pool)


def _ruled(place: Place, port: Port, blocks: tuple[str, ...], pool: Any) -> Iterator[Connections]:
    if port.protocol.is_tls:
        yield from tls_routes(place, place.rule, blocks, pool)
    else:
        yield from tcp_routes(place, blocks, pool)


def tls_routes(place: Place, rule: VirtualService, blocks: tuple[str, ...] = (), pool: Any = None) -> Iterator[Connections]:
    """The `tls` rules that apply at a place, by server name."""
    for route in rule.spec.tls:
        for match in route.match:
            if place.admits(match):
                yield Connections(_targets(place, route), tuple(match.sni_hosts), tuple(match.destination_subnets) or blocks, pool)


def tcp_routes(place: Place, blocks: tuple[str, ...] = (), pool: Any = None) -> Iterator[Connections]:
    """The `tcp` rules that apply at a place, up to the first that takes every connection."""
    for route in place.rule.spec.tcp:
        if not route.match:
            yield Connections(_targets(place, route), (), blocks, pool)
            return
        for match in route.match:
            if place.admits(match):
                subnets = tuple(match.destination_subnets) or blocks
                yield Connections(_targets(place, route), (), subnets, pool)
                if not match.destination_subnets:
                    return


def _targets(place: Place, route: Any) -> tuple[tuple[str, int], ...]:
    return tuple((cluster, weight) for cluster, weight, _ in place.targets(route.route))


def _pool(scope: Scope, service: Service, port: Port) -> Any:
    rule = scope.rule(service)
    pool = rule.policy_for(port.number).connection_pool if rule else None
    return pool.tcp if pool else None
