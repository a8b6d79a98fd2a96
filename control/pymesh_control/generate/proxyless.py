"""Resources for gRPC clients that speak xDS themselves (`xds:///host:port`), without a proxy.

They differ from a proxy's in form: listeners are named by what is called, one route configuration stands for one service,
and certificates come from the client's own certificate provider `default`. Clients use TLS only where a DestinationRule says
ISTIO_MUTUAL, as they cannot tell instances apart.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pymesh.xds import names, proto

from ..model.destination import Policy
from ..model.service import Port, Service
from ..model.virtual import MESH
from . import endpoints, secure
from .built import Built, pack
from .common import ADS, extension
from .provenance import stamp
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
    """Clusters by name; only services with known instances, as such clients resolve no names for us."""
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
    router = proto.hcm.HttpFilter(**extension("envoy.filters.http.router", proto.router.Router()))
    manager = proto.hcm.HttpConnectionManager(rds=rds, http_filters=[router])
    return proto.listener.Listener(name=name, api_listener={"api_listener": proto.pack(manager)})


def _routes(scope: Scope, name: str) -> Any | None:
    parts = names.parse_cluster(name)
    found = _find(scope, parts.host, parts.port) if parts else None
    if parts is None or found is None:
        return None
    rule = scope.routes.find(parts.host)
    place = Place(scope, rule, frozenset({MESH}), parts.port) if rule and rule.spec.http else None
    routes = virtual_routes(place) if place else [default_route(scope, name, found[0])]
    host = _ROUTE.VirtualHost(name=f"{parts.host}:{parts.port}", domains=["*"], routes=routes)
    return proto.route.RouteConfiguration(name=name, virtual_hosts=[host])


def _cluster(scope: Scope, name: str) -> Any | None:
    parts = names.parse_cluster(name)
    found = _find(scope, parts.host, parts.port) if parts else None
    if parts is None or found is None or not endpoints.assignments(scope, frozenset({name})):
        return None
    service, port = found
    rule = scope.rule(service)
    policy = rule.policy_for(port.number, parts.subset) if rule else Policy()
    message = _CLUSTER(name=name, type=_CLUSTER.EDS, lb_policy=_CLUSTER.ROUND_ROBIN)
    message.eds_cluster_config.eds_config.CopyFrom(ADS)
    message.eds_cluster_config.service_name = name
    stamp(message, (*service.origins, *(rule.origins if rule else ())))
    if policy.tls and policy.tls.mode and policy.tls.mode.value == "ISTIO_MUTUAL":
        sans = policy.tls.subject_alt_names or secure.mesh_identities(scope.snapshot.mesh, service)
        message.transport_socket.CopyFrom(secure.provider_socket(sans))
    return message


def _find(scope: Scope, host: str, number: int) -> tuple[Service, Port] | None:
    service = scope.services.get(host)
    port = service.port(number) if service else None
    return (service, port) if service and port and port.protocol.may_be_http else None
