"""LDS towards the application: virtualInbound for captured connections, or a listener for each port without capture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymesh.xds import names, proto

from ..model.authentication import Mode
from ..model.protocol import Protocol
from ..model.snapshot import Snapshot
from ..model.view import ProxyView
from . import manager, retries, secure, tcp
from .built import Built, pack
from .chains import chain, listener, original_destination
from .inbound import InboundServer, mode, servers

_ROUTE = proto.route_components
_PLAIN_HTTP = ("http/1.1", "h2c")


@dataclass(frozen=True, slots=True)
class _Row:
    """One filter chain of a port: which connections it takes, whether it ends mutual TLS, and whether it speaks HTTP."""

    transport: str
    alpn: tuple[str, ...] = ()
    mutual: bool = False
    http: bool = False


_STRICT, _PERMISSIVE, _DISABLE = Mode.STRICT, Mode.PERMISSIVE, Mode.DISABLE
_TABLE: dict[tuple[str, Mode], tuple[_Row, ...]] = {
    ("HTTP", _STRICT): (_Row("tls", mutual=True, http=True),),
    ("HTTP", _PERMISSIVE): (_Row("tls", secure.MESH_ALPN, mutual=True, http=True), _Row("raw_buffer", http=True)),
    ("HTTP", _DISABLE): (_Row("raw_buffer", http=True),),
    ("TCP", _STRICT): (_Row("tls", mutual=True),),
    ("TCP", _PERMISSIVE): (_Row("tls", secure.MESH_ALPN, mutual=True), _Row("tls"), _Row("raw_buffer")),
    ("TCP", _DISABLE): (_Row(""),),
    ("AUTO", _STRICT): (_Row("tls", secure.HTTP_ALPN, mutual=True, http=True), _Row("tls", mutual=True)),
    ("AUTO", _PERMISSIVE): (
        _Row("tls", secure.HTTP_ALPN, mutual=True, http=True),
        _Row("raw_buffer", _PLAIN_HTTP, http=True),
        _Row("tls", secure.TCP_ALPN, mutual=True),
        _Row("raw_buffer"),
        _Row("tls"),
    ),
    ("AUTO", _DISABLE): (_Row("raw_buffer", _PLAIN_HTTP, http=True), _Row("")),
}
"""Istio's chains by what the port speaks and whether mutual TLS is required, taken or off. Plaintext to STRICT matches none."""


def inbound(snapshot: Snapshot, view: ProxyView) -> dict[str, Built]:
    """The inbound listeners of a sidecar by name."""
    made = [_virtual(snapshot, view)] if view.captures else [_own(snapshot, view, server) for server in servers(snapshot, view)]
    return {message.name: pack(message) for message in made}


def _virtual(snapshot: Snapshot, view: ProxyView) -> Any:
    message = listener(names.VIRTUAL_INBOUND, "0.0.0.0", 15006, snapshot.mesh, outbound=False)
    message.ClearField("bind_to_port")
    message.listener_filters.insert(0, original_destination())
    blackhole = tcp.filters(snapshot.mesh, view.flavor, [(names.BLACKHOLE_CLUSTER, 1)])
    message.filter_chains.append(chain(blackhole, name="virtualInbound-blackhole", port=15006))
    found = mode(snapshot, view, 0)
    shared = snapshot.cached(("inbound passthrough", view.flavor, found), lambda: list(_passthrough(snapshot, view.flavor, found)))
    message.filter_chains.extend(shared)
    for server in servers(snapshot, view):
        message.filter_chains.extend(_chains(snapshot, view, server, f"0.0.0.0_{server.bind}", server.bind))
    return message


def _own(snapshot: Snapshot, view: ProxyView, server: InboundServer) -> Any:
    name = f"{view.ip}_{server.bind}"
    message = listener(name, view.ip, server.bind, snapshot.mesh, outbound=False)
    message.ClearField("bind_to_port")
    message.filter_chains.extend(_chains(snapshot, view, server, name, 0))
    return message


def _passthrough(snapshot: Snapshot, flavor: str, found: Mode) -> Iterator[Any]:
    """Chains for ports that no service names: passed on as they are, yet under the same rules of mutual TLS."""
    cluster = names.INBOUND_PASSTHROUGH_CLUSTER
    routes = _routes(cluster, "inbound|http|0", retry=False)
    for row in _TABLE["AUTO", found]:
        http = manager.inbound(snapshot.mesh, flavor, cluster, routes)
        filters = [http] if row.http else tcp.filters(snapshot.mesh, flavor, [(cluster, 1)])
        name = "virtualInbound-catchall-http" if row.http else "virtualInbound"
        yield _chain(snapshot, row, filters, name, 0)


def _chains(snapshot: Snapshot, view: ProxyView, server: InboundServer, name: str, port: int) -> Iterator[Any]:
    """The chains of one served port; `port` is the destination port to match, 0 where the listener has only one."""
    cluster = names.inbound_cluster(server.app)
    for row in _TABLE[_kind(server.protocol), mode(snapshot, view, server.bind)]:
        if row.http:
            routes = _routes(cluster, f"inbound|http|{server.service_port}", retry=server.protocol is not Protocol.GRPC)
            filters = [manager.inbound(snapshot.mesh, view.flavor, name, routes)]
        else:
            filters = tcp.filters(snapshot.mesh, view.flavor, [(cluster, 1)])
        yield _chain(snapshot, row, filters, name, port)


def _chain(snapshot: Snapshot, row: _Row, filters: Sequence[Any], name: str, port: int) -> Any:
    secured = secure.server_socket(snapshot.mesh) if row.mutual else None
    return chain(filters, name=name, port=port, transport=row.transport, application_protocols=row.alpn, secured=secured)


def _kind(protocol: Protocol) -> str:
    if protocol.is_http:
        return "HTTP"
    return "AUTO" if protocol is Protocol.AUTO else "TCP"


def _routes(cluster: str, host: str, *, retry: bool) -> Any:
    """The one route of an inbound port. The deadline is the client's affair: no timeout here, also not from gRPC's header."""
    action = _ROUTE.RouteAction(
        cluster=cluster,
        timeout=proto.duration(0),
        max_stream_duration={"max_stream_duration": proto.duration(0), "grpc_timeout_header_max": proto.duration(0)},
    )
    if retry:
        action.retry_policy.CopyFrom(retries.inbound())
    route = _ROUTE.Route(name="default", match={"prefix": "/"}, route=action)
    hosts = [_ROUTE.VirtualHost(name=host, domains=["*"], routes=[route])]
    return proto.route.RouteConfiguration(name=cluster, virtual_hosts=hosts, validate_clusters={"value": False})
