"""Listeners of gRPC servers that speak xDS themselves (gRFC A36, A41), requested by address and port.

They say how connections to a port must look, and who may call what.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pymesh.api.models.authorizationpolicy import Action
from pymesh.bootstrap.grpc import SERVERS
from pymesh.xds import names, proto

from ..built import Built, pack
from ..model.authentication import Mode
from ..model.authorization import AuthorizationPolicy
from ..model.snapshot import Snapshot
from ..model.view import ProxyView
from . import rbac, secure
from .common import extension, socket
from .inbound import InboundServer, mode, mode_origins, servers
from .provenance import stamp
from .scope import port_number

_ROUTE = proto.route_components
_ENFORCED = {Action.DENY: rbac.DENY, Action.ALLOW: rbac.ALLOW}
"""The actions that servers know, in the order in which they are taken."""
_PREFIX = SERVERS.removesuffix("%s")


def listeners(snapshot: Snapshot, view: ProxyView, wanted: Iterable[str]) -> dict[str, Built]:
    """The listeners among the wanted names; of ports that a service of the workload has, as only these are served."""
    asked = {name: _address(name) for name in wanted if name.startswith(_PREFIX)}
    if not asked:
        return {}
    served = {one.bind: one for one in servers(snapshot, view) if one.protocol.may_be_http}
    return {name: pack(_listener(snapshot, view, name, host, served[port])) for name, (host, port) in asked.items() if port in served}


def _address(name: str) -> tuple[str, int]:
    host, _, port = name.removeprefix(_PREFIX).rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port_number(port)


def _listener(snapshot: Snapshot, view: ProxyView, name: str, host: str, server: InboundServer) -> Any:
    """No listener filters: servers refuse them."""
    message = proto.listener.Listener(name=name, address=socket(host, server.bind), traffic_direction="INBOUND")
    chain = message.filter_chains.add(name=names.inbound_cluster(server.app))
    policies = {action: snapshot.authorization.of(view.namespace, view.labels, action) for action in _ENFORCED}
    chain.filters.add(**extension("envoy.filters.network.http_connection_manager", _manager(server, _judges(snapshot, policies))))
    if mode(snapshot, view, server.bind) is Mode.STRICT:
        chain.transport_socket.CopyFrom(secure.provider_server_socket())
    permits = (one.origin for found in policies.values() for one in found)
    return stamp(message, (*server.origins, *mode_origins(snapshot, view, server.bind), *permits))


def _judges(snapshot: Snapshot, policies: Mapping[Action, list[AuthorizationPolicy]]) -> Iterator[Any]:
    """A filter for each action that any policy has, under a name of its own, as servers refuse to have two of one name."""
    for action, found in policies.items():
        if found:
            name = f"{rbac.FILTER}.{action.value.lower()}"
            yield proto.hcm.HttpFilter(**extension(name, rbac.rules(found, snapshot.mesh, _ENFORCED[action])))


def _manager(server: InboundServer, judges: Iterable[Any]) -> Any:
    """Every call that is permitted goes to the application, which is where it already is."""
    route = _ROUTE.Route(match={"prefix": "/"}, non_forwarding_action={})
    host = _ROUTE.VirtualHost(name="inbound", domains=["*"], routes=[route])
    router = proto.hcm.HttpFilter(**extension("envoy.filters.http.router", proto.router.Router()))
    table = proto.route.RouteConfiguration(name=names.inbound_cluster(server.app), virtual_hosts=[host])
    return proto.hcm.HttpConnectionManager(stat_prefix="inbound", route_config=table, http_filters=[*judges, router])
