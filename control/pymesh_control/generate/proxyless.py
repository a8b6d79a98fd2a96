"""Resources for gRPC clients that speak xDS themselves (`xds:///host:port`), without a proxy.

They differ from a proxy's in form: listeners are named by what is called, one route configuration stands for one service,
and certificates come from the client's own certificate provider `default`. Clients use TLS only where a DestinationRule says
ISTIO_MUTUAL, as they cannot tell instances apart.
"""

import itertools
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pymesh.xds import names, proto

from ..built import Built, pack
from ..model.destination import Rule
from ..model.service import DYNAMIC_DNS, Port, Service
from ..model.virtual import MESH
from . import endpoints, faults, proxyless_clusters, secure
from .common import ADS, extension
from .provenance import stamp
from .proxyless_routes import reduced
from .routes import Place, default_route, virtual_routes
from .scope import Scope, port_number

_CLUSTER = proto.cluster.Cluster
_ROUTE = proto.route_components


def listeners(scope: Scope, wanted: Iterable[str]) -> dict[str, Built]:
    """API listeners by the name that was dialled."""
    return _each(scope, wanted, _listener)


def route_configurations(scope: Scope, wanted: Iterable[str]) -> dict[str, Built]:
    """Route configurations, named as the service's cluster without subset."""
    return _each(scope, wanted, _routes)


def clusters(scope: Scope, wanted: Iterable[str]) -> dict[str, Built]:
    """Clusters by name: of services with known instances, and of those with a single name to resolve."""
    return _each(scope, wanted, _cluster)


def _each(scope: Scope, wanted: Iterable[str], make: Callable[[Scope, str], Any | None]) -> dict[str, Built]:
    made = ((name, scope.cached((make, name), partial(_packed, make, scope, name))) for name in wanted)
    return {name: built for name, built in made if built}


def _packed(make: Callable[[Scope, str], Any | None], scope: Scope, name: str) -> Built | None:
    message = make(scope, name)
    return None if message is None else pack(message)


def _listener(scope: Scope, name: str) -> Any | None:
    host, _, number = name.rpartition(":")
    if _find(scope, host, port_number(number)) is None:
        return None
    rds = proto.hcm.Rds(route_config_name=names.outbound_cluster(host, port_number(number)), config_source=ADS)
    fault = proto.hcm.HttpFilter(**extension(faults.FILTER, proto.http_fault.HTTPFault()))  # for the routes' own, which need it here
    router = proto.hcm.HttpFilter(**extension("envoy.filters.http.router", proto.router.Router()))
    manager = proto.hcm.HttpConnectionManager(rds=rds, http_filters=[fault, router])
    return proto.listener.Listener(name=name, api_listener={"api_listener": proto.pack(manager)})


def _routes(scope: Scope, name: str) -> Any | None:
    parts = names.parse_cluster(name)
    found = _find(scope, parts.host, parts.port) if parts else None
    if parts is None or found is None:
        return None
    places = (Place(scope, rule, frozenset({MESH}), parts.port) for rule in scope.routes.contenders(parts.host))
    ruled = next(filter(None, map(virtual_routes, places)), None)
    routes = ruled or [default_route(scope.snapshot.mesh, *found, scope.rule(found[0]))]
    host = _ROUTE.VirtualHost(name=f"{parts.host}:{parts.port}", domains=["*"], routes=itertools.chain.from_iterable(map(reduced, routes)))
    return proto.route.RouteConfiguration(name=name, virtual_hosts=[host])


def _cluster(scope: Scope, name: str) -> Any | None:
    parts = names.parse_cluster(name)
    found = _find(scope, parts.host, parts.port) if parts else None
    if parts is None or found is None:
        return None
    service, port = found
    rule = scope.rule(service)
    if parts.subset and (rule is None or parts.subset not in rule.subsets):
        return None
    message = _CLUSTER(name=name)
    if not _discover(message, scope, service, port, parts.subset, rule):
        return None
    policy = scope.policy(rule, port.number, parts.subset)
    stamp(message, (*service.origins, *(rule.origins if rule else ())))
    proxyless_clusters.apply(message, policy)
    if policy.tls and policy.tls.mode and policy.tls.mode.value == "ISTIO_MUTUAL":
        sans = policy.tls.subject_alt_names or secure.mesh_identities(scope.snapshot.mesh, service)
        message.transport_socket.CopyFrom(secure.provider_socket(sans))
    return message


def _discover(message: Any, scope: Scope, service: Service, port: Port, subset: str, rule: Rule | None) -> bool:
    """Set how the cluster finds instances; False where such clients have no way to."""
    if scope.resolution(service) == "STATIC":
        proxyless_clusters.find_by_eds(message)
        return True
    if scope.resolution(service) in ("NONE", DYNAMIC_DNS):
        return False
    assignment = endpoints.assignment(scope, service, port, subset, rule, scope.instances(service, port))
    if sum(len(group.lb_endpoints) for group in assignment.endpoints) != 1:
        return False
    proxyless_clusters.find_by_dns(message, assignment)
    return True


def _find(scope: Scope, host: str, number: int) -> tuple[Service, Port] | None:
    service = scope.service(host)
    port = service.port(number) if service else None
    return (service, port) if service and port and port.protocol.may_be_http else None
