"""RDS for sidecars: the shared route configurations of each HTTP port, of single services, and of the HTTP proxy port."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple

from pymesh.api import hosts
from pymesh.xds import names, proto

from ..built import Built, pack_joined
from ..model.memory import Same
from ..model.service import Port, Service
from ..model.virtual import MESH, VirtualService
from . import alpn, reports
from .policy import told_by_requests
from .routes import Place, default_route, set_timeout, tell, virtual_host, virtual_routes
from .scope import Scope, aliases, alternative_names, called, port_number

_ROUTE = proto.route_components
_MESH = frozenset({MESH})
_LEGACY_PORT = 80
"""Rules for hosts that no service declares act on this port only, as they always have."""
_UNDECLARED = "nothing that this sidecar sees declares this host, and only declared ones may be called (REGISTRY_ONLY)\n"
"""Istio answers without a word; whoever meets this 502 first should not have to look for the reason."""


def route_configuration(scope: Scope, name: str) -> Built | None:
    """The route configuration of a name (`8080`, `<fqdn>:8080`, `http_proxy`), or None when there can be none."""
    return scope.cached(("route", name), lambda: _make(scope, name))


def _make(scope: Scope, name: str) -> Built | None:
    if name == names.HTTP_PROXY_ROUTE:
        return _configuration(name, [*_deduplicated(_proxy_hosts(scope)), _otherwise(scope)])
    if number := port_number(name):
        return _configuration(name, [*_deduplicated(_port_hosts(scope, number)), _otherwise(scope)], ignore_port=True)
    host, _, port = name.rpartition(":")
    service = scope.service(host)
    known = service.port(port_number(port)) if service else None
    if service is None or known is None:
        return None
    return _configuration(name, [_virtual_host(scope, service, known, ("*",)).wire], ignore_port=True)


def _configuration(name: str, virtual_hosts: Iterable[bytes], *, ignore_port: bool = False) -> Built:
    """Clusters are not validated: a route to one that does not exist answers 503 (NC) instead of holding back all others."""
    head = proto.route.RouteConfiguration(
        name=name,
        validate_clusters=proto.wrappers_pb2.BoolValue(value=False),
        ignore_port_in_host_matching=ignore_port,
        max_direct_response_body_size_bytes=proto.wrappers_pb2.UInt32Value(value=1 << 20),
    )
    return pack_joined(head, virtual_hosts)


def _serialized(message: Any) -> bytes:
    """A virtual host as a field of a route configuration."""
    whole: bytes = proto.route.RouteConfiguration(virtual_hosts=[message]).SerializeToString(deterministic=True)
    return whole


class _Host(NamedTuple):
    """A virtual host, which others may hold too: it must not be changed."""

    name: str
    domains: tuple[str, ...]
    full: tuple[str, ...]
    """Those of the domains that are the host's full name."""
    message: Any
    wire: bytes
    """The message, serialized."""


_NO_HOST = _Host("", (), (), None, b"")


def _host(name: str, domains_: tuple[str, ...], message: Any) -> _Host:
    host, _, port = name.rpartition(":")
    return _Host(name, domains_, tuple(one for one in domains_ if one in (host, f"{host}:{port}")), message, _serialized(message))


def _port_host(scope: Scope, service: Service, number: int) -> _Host:
    """The virtual host of a service for the route configuration of a port; _NO_HOST if it is none of its own."""
    port = service.port(number)
    if port and port.protocol.may_be_http and scope.takes_requests(service, port):
        return _virtual_host(scope, service, port, _domains(scope, service))
    return _NO_HOST


def _port_hosts(scope: Scope, number: int) -> Iterable[_Host]:
    for service in scope.services.values():
        if service.aliases:
            yield from _alias_hosts(scope, service, number)
        host = scope.cached(("port host", Same(service), number), partial(_port_host, scope, service, number))
        if host is not _NO_HOST:
            yield host
    yield from _undeclared(scope, number)


def _alias_hosts(scope: Scope, service: Service, number: int) -> Iterator[_Host]:
    """Virtual hosts of a service's other names for which there are rules; the service itself has the rest of them."""
    for alias in service.aliases:
        if number not in alias.ports or not alias.visibility.reaches(scope.namespace):
            continue
        places = (Place(scope, rule, _MESH, number) for rule in scope.routes_at(number).contenders(alias.host))
        made = (_placed_host(place, f"{alias.host}:{number}", called(alias.host, scope.namespace)) for place in places)
        yield from islice((host for host in made if host is not _NO_HOST), 1)


def _proxy_hosts(scope: Scope) -> Iterable[_Host]:
    """Hosts as a forward proxy is asked for them: with their port, which only 80 may leave out."""
    for service, port in scope.ports():
        if port.protocol.may_be_http and scope.takes_requests(service, port):
            plain = _domains(scope, service)
            named = tuple(f"{domain}:{port.number}" for domain in plain)
            yield _virtual_host(scope, service, port, named + plain if port.number == _LEGACY_PORT else named)
    yield from _undeclared(scope, _LEGACY_PORT)


def _domains(scope: Scope, service: Service) -> tuple[str, ...]:
    key = ("domains", Same(service), scope.namespace)
    return scope.snapshot.cached(key, lambda: tuple(domains(service, scope.namespace)))


def domains(service: Service, namespace: str) -> list[str]:
    """What clients of a namespace may call a service: its host first, then its short names, its pods by all of these, and virtual IPs."""
    host = [service.host] if service.host.startswith("*") else [service.host, service.host + "."]
    called = [*host, *alternative_names(service.host, namespace), *aliases(service, namespace)]
    pods = [f"*.{name}" for name in called] if service.headless else []
    return [*called, *pods, *map(_as_domain, service.virtual_ips)]


def _as_domain(host: str) -> str:
    """A host as requests name it: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host else host


def _virtual_host(scope: Scope, service: Service, port: Port, names_: tuple[str, ...]) -> _Host:
    """The virtual host of a service's port: by the first rule that has a route for the client there, else by none."""
    name = f"{service.host}:{port.number}"
    for rule in scope.routes_at(port.number).contenders(service.host):
        place = Place(scope, rule, _MESH, port.number)
        host = scope.cached(("ruled host", Same(service), port, Same(rule), names_), partial(_placed_host, place, name, names_))
        if host is not _NO_HOST:
            return host
    policies, mesh = scope.rule(service), scope.snapshot.mesh
    told = told_by_requests(scope, service, port)

    def make() -> _Host:
        route = default_route(mesh, service, port, policies)
        if told:
            alpn.tell(route)
        return _host(name, names_, virtual_host(scope, name, names_, [route]))

    key = ("virtual host", Same(service), port, Same(policies), names_, scope.settings.counts_attempts, told)
    return scope.snapshot.cached(key, make)


def _placed_host(place: Place, name: str, names_: tuple[str, ...]) -> _Host:
    routes = virtual_routes(place)
    return _host(name, names_, virtual_host(place.scope, name, names_, routes)) if routes else _NO_HOST


def _undeclared(scope: Scope, number: int) -> Iterable[_Host]:
    """Virtual hosts for hosts of rules that stand for no service of the port: on one port of all, elsewhere of those that services obey."""
    known = {service.host: port for service in scope.services.values() if (port := service.port(number))}
    taken = {alias.host for service in scope.services.values() for alias in service.aliases if number in alias.ports}
    for rule in scope.routes_at(number).ordered if number == _LEGACY_PORT or known else ():
        others = {host for host in rule.hosts if host != "*" and not _any_port(host, known)} - taken
        if others and (number == _LEGACY_PORT or _rules_requests(rule, known)):
            place = Place(scope, rule, _MESH, number)
            made = [_placed_host(place, f"{host}:{number}", (_as_domain(host),)) for host in sorted(others)]
            if made[0] is not _NO_HOST:  # the routes are the same for all of them
                taken |= others
                yield from made


def _any_port(host: str, known: Mapping[str, Port]) -> list[Port]:
    """The ports of the services that a host of a rule stands for."""
    if not hosts.is_wildcard(host):
        return [known[host]] if host in known else []
    return [port for one, port in known.items() if hosts.matches(one, host)]


def _rules_requests(rule: VirtualService, known: Mapping[str, Port]) -> bool:
    return any(port.protocol.may_be_http for host in rule.hosts for port in _any_port(host, known))


def _deduplicated(virtual_hosts: Iterable[_Host]) -> list[bytes]:
    """Virtual hosts without the domains that an earlier one holds; full names are settled before short ones."""
    made = list(virtual_hosts)
    if len(set(chain.from_iterable(one.domains for one in made))) == sum(len(one.domains) for one in made):
        return [one.wire for one in made]  # by far the most common, and a thousand hosts have five thousand domains
    taken: dict[str, str] = {}
    for one in made:
        for domain in one.full:
            taken.setdefault(domain, one.name)
    left = ((one, [domain for domain in one.domains if taken.setdefault(domain, one.name) == one.name]) for one in made)
    return [one.wire if len(kept) == len(one.domains) else _with_domains(one.message, kept) for one, kept in left if kept]


def _with_domains(message: Any, domains_: list[str]) -> bytes:
    changed = _ROUTE.VirtualHost()
    changed.CopyFrom(message)
    del changed.domains[:]
    changed.domains.extend(domains_)
    return _serialized(changed)


def _otherwise(scope: Scope) -> bytes:
    """What becomes of hosts that nothing declares: sent on as they are, or refused, as the mesh's outbound policy says."""
    if scope.unknown == names.BLACKHOLE_CLUSTER:
        reply = {"status": 502, "body": {"inline_string": _UNDECLARED}}
        route = _ROUTE.Route(name=reports.BLOCKING_ROUTE, match={"prefix": "/"}, direct_response=reply)
        return _serialized(virtual_host(scope, reports.BLOCKING_ROUTE, ["*"], [route]))
    name = "allow_any_dynamic_dns" if scope.resolves_unknown else "allow_any"
    action = _ROUTE.RouteAction(cluster=scope.unknown_requests, append_x_forwarded_host=scope.settings.forwards_host)
    set_timeout(action, 0)
    route = _ROUTE.Route(name=name, match={"prefix": "/"}, route=action)
    tell(scope, route, action.cluster)
    return _serialized(virtual_host(scope, name, ["*"], [route]))


def unknown_hosts(scope: Scope) -> Any:
    """The route configuration for requests to addresses that no listener is for."""
    return proto.unpack(_configuration("allow_any_dynamic_dns", [_otherwise(scope)]).any)
