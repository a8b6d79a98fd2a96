"""Listeners of gRPC servers that speak xDS themselves (gRFC A36): how connections to a port must look, requested by address and port."""

from collections.abc import Iterable
from typing import Any

from pymesh.bootstrap.grpc import SERVERS
from pymesh.xds import names, proto

from ..model.authentication import Mode
from ..model.snapshot import Snapshot
from ..model.view import ProxyView
from . import secure
from .built import Built, pack
from .common import extension, socket
from .inbound import InboundServer, mode, servers
from .provenance import stamp
from .scope import port_number

_ROUTE = proto.route_components
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
    chain.filters.add(**extension("envoy.filters.network.http_connection_manager", _manager(server)))
    if mode(snapshot, view, server.bind) is Mode.STRICT:
        chain.transport_socket.CopyFrom(secure.provider_server_socket())
    return stamp(message, server.origins)


def _manager(server: InboundServer) -> Any:
    """Every call goes to the application, which is where it already is."""
    route = _ROUTE.Route(match={"prefix": "/"}, non_forwarding_action={})
    host = _ROUTE.VirtualHost(name="inbound", domains=["*"], routes=[route])
    router = proto.hcm.HttpFilter(**extension("envoy.filters.http.router", proto.router.Router()))
    table = proto.route.RouteConfiguration(name=names.inbound_cluster(server.app), virtual_hosts=[host])
    return proto.hcm.HttpConnectionManager(stat_prefix="inbound", route_config=table, http_filters=[router])
