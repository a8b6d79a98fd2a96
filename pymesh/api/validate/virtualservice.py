"""VirtualService: hosts and gateways, routes of TLS and TCP; HTTP has a room of its own."""

import re
from collections.abc import Sequence

from pymesh.address import is_ip

from .. import hosts as names
from ..models.virtualservice import L4MatchAttributes, RouteDestination, TCPRoute, TLSMatchAttributes, TLSRoute, VirtualService
from . import common, httproute, unreachable, words
from .finding import Finding, Findings, below, verdict

# The server names that Istio's own sidecars send through an AUTO_PASSTHROUGH gateway: outbound_.<port>_.<subset>_.<host>
_MESH_SNI = re.compile(r"outbound_\.[0-9]+_\.[^_]*_\..+")


def check(spec: VirtualService, namespace: str) -> Findings:
    """Everything wrong with one VirtualService."""
    if not spec.hosts:
        yield from _delegate(spec)
    elif not (spec.http or spec.tls or spec.tcp):
        yield Finding((), "needs at least one of http, tls and tcp")
    yield from _hosts(spec)
    yield from common.gateway_names(spec.gateways)
    yield from common.export_to(spec.export_to, namespace)
    yield from below("http", httproute.check(spec.http, is_delegate=not spec.hosts, gateways=spec.gateways))
    for index, tls in enumerate(spec.tls):
        yield from below(("tls", index), _tls(tls, spec))
    for index, tcp in enumerate(spec.tcp):
        yield from below(("tcp", index), _tcp(tcp))
    yield from below("tls", unreachable.of_connections("tls", spec.tls))
    yield from below("tcp", unreachable.of_connections("tcp", spec.tcp))


def _delegate(spec: VirtualService) -> Findings:
    for name, value in (("gateways", spec.gateways), ("tls", spec.tls), ("tcp", spec.tcp)):
        if value:
            yield Finding((name,), f"a VirtualService without hosts is a delegate, which must not have {name}")
    if not spec.http:
        yield Finding((), "a VirtualService without hosts is a delegate, which needs http")


def _hosts(spec: VirtualService) -> Findings:
    in_mesh = not spec.gateways or names.MESH_GATEWAY in spec.gateways
    by_name = not in_mesh and any(match.sni_hosts for route in spec.tls for match in route.match)
    for index, host in enumerate(spec.hosts):
        path = ("hosts", index)
        if host == "*" and in_mesh:
            yield Finding(path, 'the host "*" is only for gateways, not for the mesh')
        elif not is_ip(host) and not (by_name and _MESH_SNI.fullmatch(host)):
            yield from verdict(path, words.wildcard_domain(host))
        rival = next((other for other in spec.hosts[:index] if names.matches(host, other)), None)
        if rival is not None:
            yield Finding(path, f'the host "{host}" overlaps with "{rival}" of the same VirtualService')


def _tls(route: TLSRoute, spec: VirtualService) -> Findings:
    if not route.match:
        yield Finding(("match",), "a TLS route needs at least one match")
    for index, match in enumerate(route.match):
        yield from below(("match", index), _tls_match(match, spec))
    yield from _destinations(route.route)


def _tls_match(match: TLSMatchAttributes, spec: VirtualService) -> Findings:
    if not match.sni_hosts:
        yield Finding(("sni_hosts",), "a TLS match needs at least one server name")
    for index, sni in enumerate(match.sni_hosts):
        yield from below(("sni_hosts", index), _server_name(sni, spec))
    yield from _connection(match)


def _server_name(sni: str, spec: VirtualService) -> Findings:
    of_mesh = names.MESH_GATEWAY not in spec.gateways and _MESH_SNI.fullmatch(sni)
    if is_ip(sni):
        yield Finding((), f'"{sni}" is an IP address, which clients do not send as server name', "warning")
    elif not of_mesh and (problem := words.wildcard_domain(sni)):
        yield Finding((), problem)
    elif not any(names.subset_of(sni, host) for host in spec.hosts):
        yield Finding((), f'the server name "{sni}" belongs to none of the hosts of this VirtualService')


def _tcp(route: TCPRoute) -> Findings:
    for index, match in enumerate(route.match):
        yield from below(("match", index), _connection(match))
    yield from _destinations(route.route)


def _connection(match: TLSMatchAttributes | L4MatchAttributes) -> Findings:
    for index, block in enumerate(match.destination_subnets):
        yield from verdict(("destination_subnets", index), words.subnet(block))
    if isinstance(match, L4MatchAttributes) and match.source_subnet:
        yield from verdict("source_subnet", words.subnet(match.source_subnet))
    yield from common.port(match.port)
    yield from below("source_labels", common.labels(match.source_labels))
    yield from common.gateway_names(match.gateways)
    if match.source_namespace:
        yield from verdict("source_namespace", words.dns_label(match.source_namespace))


def _destinations(routes: Sequence[RouteDestination]) -> Findings:
    if not routes:
        yield Finding(("route",), "needs at least one destination")
    for index, route in enumerate(routes):
        yield from below(("route", index, "destination"), common.destination(route.destination))
    yield from below("route", common.weights([route.weight for route in routes]))
