"""What a gateway passes on by itself (AUTO_PASSTHROUGH): the mesh's own mutual TLS, by the server name that says whom a client means.

Every cluster has a twin under that name, without TLS of its own and with those instances only that end mutual TLS. So no
plaintext leaves the gateway, though it cannot look at what it passes on.
"""

from collections.abc import Iterator

from pymesh.api import hosts
from pymesh.xds import names

from ..model.gateway import Server
from ..model.service import DYNAMIC_DNS, Port, Service
from .balancing import wants_passthrough
from .connections import Connections
from .scope import Scope
from .secure import MESH_ALPN


def destinations(scope: Scope) -> Iterator[tuple[Service, Port, str]]:
    """(service, port, subset) of each cluster that has a twin.

    One that goes where its client meant to go has none: that would be the gateway again. Nor has one whose hosts go by another server
    name.
    """
    for service, port in scope.ports():
        if not _is_passed(service):
            continue
        rule = scope.rule(service)
        for subset in ("", *(rule.subsets if rule else ())):
            if rule is None or not wants_passthrough(rule.policy_for(port.number, subset)):
                yield service, port, subset


def connections(scope: Scope, server: Server) -> Iterator[Connections]:
    """What a server passes on: to the services that its hosts cover."""
    for service, port, subset in destinations(scope):
        if not server.server_names or any(hosts.subset_of(service.host, host) for host in server.server_names):
            name = names.sni(service.host, port.number, subset)
            yield Connections(((name, 1),), (name.lower(),), application_protocols=MESH_ALPN, origins=service.origins)


def destination(scope: Scope, name: str) -> tuple[Service, Port, str] | None:
    """What a twin's name stands for, if it is one of a service with listed instances."""
    parts = names.parse_sni(name)
    service = scope.service(parts.host) if parts else None
    port = service.port(parts.port) if parts and service else None
    if parts is None or service is None or port is None or not _is_passed(service) or scope.resolution(service) != "STATIC":
        return None
    rule = scope.rule(service)
    known = not parts.subset or (rule is not None and parts.subset in rule.subsets)
    known = known and names.sni(service.host, port.number, parts.subset) == name  # not in another spelling
    return (service, port, parts.subset) if known else None


def _is_passed(service: Service) -> bool:
    return not service.external and (service.headless or service.resolution not in ("NONE", DYNAMIC_DNS))
