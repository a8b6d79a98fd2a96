"""LDS towards the application: virtualInbound for captured connections, or a listener for each port without capture."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymesh.xds import names, proto

from ..built import pack
from ..holding import Part
from ..model.authentication import Mode
from ..model.memory import Same
from ..model.origin import Origin
from ..model.protocol import Protocol
from ..model.settings import Settings
from ..model.snapshot import Snapshot
from ..model.view import ProxyView
from . import families, manager, retries, secure, statnames, tcp
from .chains import PLAINTEXT_HTTP, chain, inspect_as_needed, inspect_by_port, listener, original_destination, original_source
from .inbound import InboundServer, mode, mode_origins, served
from .provenance import stamp

_ROUTE = proto.route_components


@dataclass(frozen=True, slots=True)
class _Row:
    """One filter chain of a port: which connections it takes, whether it ends mutual TLS, and whether it speaks HTTP."""

    transport: str
    alpn: tuple[str, ...] = ()
    mutual: bool = False
    http: bool = False


@functools.cache
def _rows(protocol: Protocol, wanted: Mode) -> tuple[_Row, ...]:
    """Istio's chains by what a port speaks and whether mutual TLS is required, taken or off. Plaintext to STRICT matches none."""
    if protocol.is_http:
        return _for_http(wanted)
    return _for_either(wanted) if protocol is Protocol.AUTO else _for_tcp(wanted)


def _for_http(wanted: Mode) -> tuple[_Row, ...]:
    if wanted is Mode.STRICT:
        return (_Row("tls", mutual=True, http=True),)
    plain = _Row("raw_buffer", http=True)
    return (plain,) if wanted is Mode.DISABLE else (_Row("tls", secure.MESH_ALPN, mutual=True, http=True), plain)


def _for_tcp(wanted: Mode) -> tuple[_Row, ...]:
    if wanted is Mode.STRICT:
        return (_Row("tls", mutual=True),)
    return (_Row(""),) if wanted is Mode.DISABLE else (_Row("tls", secure.MESH_ALPN, mutual=True), _Row("tls"), _Row("raw_buffer"))


def _for_either(wanted: Mode) -> tuple[_Row, ...]:
    """Requests are told by ALPN inside mutual TLS and by the first bytes outside."""
    mutual = _Row("tls", (*secure.HTTP_ALPN, *secure.HTTP2_ALPN), mutual=True, http=True)
    plain = _Row("raw_buffer", PLAINTEXT_HTTP, http=True)
    if wanted is Mode.STRICT:
        return (mutual, _Row("tls", mutual=True))
    if wanted is Mode.DISABLE:
        return (plain, _Row("raw_buffer"), _Row("tls"))  # not a row for both: it would not be looked at beside one for plaintext
    return (mutual, plain, _Row("tls", secure.TCP_ALPN, mutual=True), _Row("raw_buffer"), _Row("tls"))


def inbound(snapshot: Snapshot, view: ProxyView) -> Part:
    """The inbound listeners of a sidecar by name."""
    found = served(snapshot, view)
    return snapshot.cached(("inbound listeners", Same(view), Same(found)), lambda: _made(snapshot, view, found))


def _made(snapshot: Snapshot, view: ProxyView, found: Sequence[InboundServer]) -> Part:
    """Without capture there is nothing to redirect, whatever a Sidecar says of a port."""
    virtual = [_virtual(snapshot, view, [server for server in found if server.captured])] if view.captures else []
    made = [*virtual, *(_own(snapshot, view, server) for server in found if not server.captured)]
    return Part((message.name, pack(message)) for message in made)


def _virtual(snapshot: Snapshot, view: ProxyView, found: Sequence[InboundServer]) -> Any:
    port = snapshot.mesh.inbound_port
    wildcards = families.wildcards(view.families)
    message = listener(names.VIRTUAL_INBOUND, wildcards, port, snapshot.mesh, outbound=False)
    message.ClearField("bind_to_port")
    message.listener_filters.append(original_destination())
    if view.transparent:
        message.transparent.value = True
        message.listener_filters.append(original_source())
    blackhole = tcp.filters(snapshot.mesh, view.flavor, [(names.BLACKHOLE_CLUSTER, 1)], idle=snapshot.settings_of(view).idle_timeout)
    message.filter_chains.append(chain(blackhole, name="virtualInbound-blackhole", port=port))
    message.filter_chains.extend(_unserved(snapshot, view, 0))
    for stated in snapshot.authentication.stated_ports(view.namespace, view.labels):
        if stated != port and all(server.bind != stated for server in found):
            message.filter_chains.extend(_unserved(snapshot, view, stated))
    for server in found:
        message.filter_chains.extend(_chains(snapshot, view, server, f"{wildcards[0]}_{server.bind}", server.bind))
    inspect_by_port(message, snapshot.mesh)
    return message


def _unserved(snapshot: Snapshot, view: ProxyView, port: int) -> list[Any]:
    """The chains of a port that no service names, of all such ports for 0; shared by the proxies to which they apply."""
    found = mode(snapshot, view, port)
    settings = snapshot.settings_of(view)
    origins = mode_origins(snapshot, view, port)
    key = ("inbound passthrough", view.flavor, found, port, settings, origins)
    return snapshot.cached(key, lambda: list(_passthrough(snapshot, view.flavor, settings, found, port, origins)))


def _own(snapshot: Snapshot, view: ProxyView, server: InboundServer) -> Any:
    address = server.address or view.ip
    name = f"{address}_{server.bind}"
    message = listener(name, (address,), server.bind, snapshot.mesh, outbound=False)
    message.ClearField("bind_to_port")
    message.filter_chains.extend(_chains(snapshot, view, server, name, 0))
    inspect_as_needed(message, snapshot.mesh)
    return stamp(message, server.origins)


def _passthrough(
    snapshot: Snapshot, flavor: str, settings: Settings, found: Mode, port: int, origins: Iterable[Origin]
) -> Iterator[Any]:
    """Connections to ports that no service names are passed on as they are, yet under the same rules of mutual TLS."""
    cluster = names.INBOUND_PASSTHROUGH_CLUSTER
    routes = _routes(cluster, "inbound|http|0", retries.inbound(snapshot.mesh.inbound_retry))
    for row in _rows(Protocol.AUTO, found):
        http = manager.inbound(snapshot.mesh, flavor, settings, f"{cluster};", routes)
        filters = [http] if row.http else tcp.filters(snapshot.mesh, flavor, [(cluster, 1)], idle=settings.idle_timeout)
        name = "virtualInbound-catchall-http" if row.http else "virtualInbound"
        yield _chain(snapshot, row, filters, name, port, origins)


def _chains(snapshot: Snapshot, view: ProxyView, server: InboundServer, name: str, port: int) -> Iterator[Any]:
    """The chains of one served port; `port` is the destination port to match, 0 where the listener has only one."""
    cluster = names.inbound_cluster(server.app)
    found = mode(snapshot, view, server.bind)
    settings = snapshot.settings_of(view)
    origins = (*server.origins, *mode_origins(snapshot, view, server.bind))
    ended = server.tls if found is Mode.DISABLE else None
    for row in (_Row("tls", http=server.protocol.is_http),) if ended else _rows(server.protocol, found):
        if row.http:
            retry = None if server.protocol.is_grpc else retries.inbound(snapshot.mesh.inbound_retry)
            routes = _routes(cluster, f"inbound|http|{server.service_port}", retry)
            web = server.protocol is Protocol.GRPC_WEB
            filters = [manager.inbound(snapshot.mesh, view.flavor, settings, f"inbound_{name};", routes, web=web)]
        else:
            stats = statnames.of_inbound(snapshot.mesh.inbound_stats, server.service, server.service_port, server.app, cluster)
            filters = tcp.filters(snapshot.mesh, view.flavor, [(cluster, 1)], stats=stats, idle=settings.idle_timeout)
        yield _chain(snapshot, row, filters, name, port, origins, ended)


def _chain(
    snapshot: Snapshot, row: _Row, filters: Sequence[Any], name: str, port: int, origins: Iterable[Origin], ended: Any = None
) -> Any:
    """One chain; `ended` is the TLS of a Sidecar's, which takes the place of the mesh's."""
    secured = secure.server_socket(snapshot.mesh) if row.mutual else None
    if ended:
        secured = secure.gateway_socket(ended, snapshot.mesh, http=row.http)
    return chain(filters, name=name, port=port, transport=row.transport, application_protocols=row.alpn, secured=secured, origins=origins)


def _routes(cluster: str, host: str, retry: Any | None = None) -> Any:
    """The one route of an inbound port. The deadline is the client's affair: no timeout here, also not from gRPC's header."""
    action = _ROUTE.RouteAction(
        cluster=cluster,
        timeout=proto.duration(0),
        max_stream_duration={"max_stream_duration": proto.duration(0), "grpc_timeout_header_max": proto.duration(0)},
    )
    if retry is not None:
        action.retry_policy.CopyFrom(retry)
    route = _ROUTE.Route(name="default", match={"prefix": "/"}, route=action)
    hosts = [_ROUTE.VirtualHost(name=host, domains=["*"], routes=[route])]
    return proto.route.RouteConfiguration(name=cluster, virtual_hosts=hosts, validate_clusters={"value": False})
