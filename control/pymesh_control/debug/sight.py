"""What one proxy sees of the mesh, and which rules govern it: its Sidecar, its services, the rules for each."""

from collections.abc import Iterable
from typing import Any

from ..generate.inbound import targets
from ..generate.scope import Scope, scope_of
from ..model.gateway import merged
from ..model.snapshot import Snapshot
from ..model.view import ProxyView


def sidecarz(snapshot: Snapshot, view: ProxyView) -> dict[str, Any]:
    """The scope of a proxy: why it knows a service, and why not."""
    scope = scope_of(snapshot, view)
    return {
        "proxy": view.node_id,
        "sidecar": f"{scope.sidecar.namespace}/{scope.sidecar.name}" if scope.sidecar else None,
        "outbound_traffic_policy": _policy(scope),
        "unknown_hosts_go_to": scope.unknown_requests,
        "services": sorted(scope.services),
        "undeclared_calls": sorted(_undeclared(scope, view)),
        "destination_rules": _destination_rules(scope),
        "virtual_services": {} if view.is_router else {host: f"{one.namespace}/{one.name}" for host, one in scope.routes.claims()},
        "gateways": sorted(_gateways(snapshot, view)),
    }


def _undeclared(scope: Scope, view: ProxyView) -> Iterable[str]:
    """The services that the proxy was to have a port for, and that nothing in its sight declares: nobody listens there."""
    for host, number in view.outbound_ports or ():
        service = scope.service(host)
        if service is None or service.port(number) is None:
            yield f"{host}:{number}"


def _policy(scope: Scope) -> str:
    if scope.resolves_unknown and scope.snapshot.mesh.looks_up_unknown:
        return "ALLOW_ANY_DYNAMIC_DNS"
    return "REGISTRY_ONLY" if scope.registry_only else "ALLOW_ANY"


def _destination_rules(scope: Scope) -> dict[str, list[str]]:
    ruled = ((service.host, scope.rule(service)) for service in scope.services.values())
    return {host: [f"{rule.namespace}/{name}" for name in rule.names] for host, rule in ruled if rule}


def _gateways(snapshot: Snapshot, view: ProxyView) -> Iterable[str]:
    if not view.is_router:
        return ()
    groups = merged(snapshot.gateways, view.namespace, view.labels, targets(snapshot, view)).values()
    return {server.gateway for group in groups for server in group}
