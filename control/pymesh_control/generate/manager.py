"""HTTP connection managers with Istio's settings: for a sidecar's two directions and for gateways."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from pymesh.xds import proto

from ..model.mesh import Mesh
from ..model.settings import Settings
from ..model.view import PYMESH
from . import alpn, cors, faults, limits, sessions
from .accesslog import access_logs
from .common import ADS, extension

_HCM = proto.hcm.HttpConnectionManager
_ESCAPED_SLASHES = {"DECODE_AND_MERGE_SLASHES": _HCM.UNESCAPE_AND_FORWARD}
_SERVER = "istio-envoy"
"""What answers call their server, but for those to a sidecar's own application: there it is Envoy's default."""
_FILTER = "envoy.filters.network.http_connection_manager"


def outbound(
    mesh: Mesh,
    flavor: str,
    settings: Settings,
    prefix: str,
    route: Any,
    logs: Iterable[Any] = (),
    lookups: Iterable[Any] = (),
    *,
    web: bool = False,
) -> Any:
    """The network filter that routes an application's requests, by the RDS resource of a name or by routes of its own.

    `logs` are written besides those of the mesh; `lookups` are the filters that look hosts up before requests go to them. `web`: calls
    of gRPC-Web become gRPC's.
    """
    manager = _base(mesh, flavor, settings, f"outbound_{prefix};", server="", web=web, lookups=lookups)
    manager.access_log.extend(logs)
    if isinstance(route, str):
        manager.rds.CopyFrom(_rds(route))
    else:
        manager.route_config.CopyFrom(route)
    return _filter(manager)


def inbound(mesh: Mesh, flavor: str, settings: Settings, stats: str, routes: Any, *, web: bool = False) -> Any:
    """The network filter in front of the application; it adds the caller's identity to x-forwarded-client-cert. It counts under `stats`."""
    manager = _base(mesh, flavor, settings, stats, server=_SERVER, chooses=False, web=web)
    manager.route_config.CopyFrom(routes)
    manager.forward_client_cert_details = settings.client_cert
    details = manager.set_current_client_cert_details
    details.subject.value = settings.tells_of_client("subject", usual=True)
    details.uri = settings.tells_of_client("uri", usual=True)
    details.dns = settings.tells_of_client("dns", usual=True)
    details.cert = settings.tells_of_client("cert", usual=False)
    details.chain = flavor != PYMESH and settings.tells_of_client("chain", usual=False)  # ours knows no chain of a peer
    return _filter(manager)


def gateway(
    mesh: Mesh, flavor: str, settings: Settings, stats: str, route: str, lookups: Iterable[Any] = (), *, web: bool = False
) -> Any:
    """The network filter at the edge: clients are strangers, so what they say of themselves is replaced. It counts under `stats`."""
    manager = _base(mesh, flavor, settings, stats, server=_SERVER, at_the_edge=True, web=web, lookups=lookups)
    manager.rds.CopyFrom(_rds(route))
    manager.use_remote_address.value = True
    manager.xff_num_trusted_hops = settings.trusted_hops
    manager.forward_client_cert_details = settings.client_cert_at_the_edge
    if settings.client_cert_at_the_edge in ("APPEND_FORWARD", "SANITIZE_SET"):
        details = manager.set_current_client_cert_details
        details.subject.value = True
        details.cert = details.dns = details.uri = True
    return _filter(manager)


def _base(
    mesh: Mesh,
    flavor: str,
    settings: Settings,
    prefix: str,
    *,
    server: str,
    web: bool,
    at_the_edge: bool = False,
    chooses: bool = True,
    lookups: Iterable[Any] = (),
) -> Any:
    """`chooses`: there are services and instances to choose from; `lookups` are filters that find some."""
    manager = _HCM(
        stat_prefix=prefix,
        use_remote_address=proto.wrappers_pb2.BoolValue(value=False),
        append_x_forwarded_port=settings.forwards_port,
        normalize_path=proto.wrappers_pb2.BoolValue(value=mesh.path_normalization != "NONE"),
        merge_slashes=mesh.path_normalization.endswith("MERGE_SLASHES"),
        path_with_escaped_slashes_action=_ESCAPED_SLASHES.get(mesh.path_normalization, _HCM.KEEP_UNCHANGED),
        stream_idle_timeout=proto.duration(0),
        proxy_100_continue=True,
        upgrade_configs=[_HCM.UpgradeConfig(upgrade_type="websocket")],
        access_log=access_logs(mesh),
    )
    if settings.server is None:
        manager.server_header_transformation = _HCM.PASS_THROUGH
    else:
        manager.server_name = settings.server or server
    if not settings.makes_request_ids:
        manager.generate_request_id.value = False
    if settings.keeps_header_case:
        manager.http_protocol_options.header_key_format.CopyFrom(keep_case())
    if settings.idle_timeout is not None:
        manager.common_http_protocol_options.idle_timeout.CopyFrom(proto.duration(settings.idle_timeout))
    if settings.takes_http10:
        manager.http_protocol_options.accept_http_10 = True
    limits.apply(manager, settings, at_the_edge=at_the_edge)
    early, late = ([alpn.http_filter()], [_sessions()]) if chooses else ([], [])
    manager.http_filters.extend(_http_filters(mesh, flavor, early, [*late, *lookups], web=web, suppress=not settings.tells_of_itself))
    return manager


@functools.cache
def keep_case() -> Any:
    """The HTTP/1 header format that leaves names as they were written."""
    formatter = extension("preserve_case", proto.preserve_case.PreserveCaseFormatterConfig())
    return proto.protocol.Http1ProtocolOptions.HeaderKeyFormat(stateful_formatter=formatter)


def _http_filters(mesh: Mesh, flavor: str, early: Iterable[Any], late: Iterable[Any], *, web: bool, suppress: bool) -> list[Any]:
    """In Istio's order. Its own filters exist in our proxy and not in stock Envoy, which would refuse the whole listener.

    Envoy's counters of gRPC are for Envoys: in ours they would cost every request, and Istio's metrics do not need them.
    """
    exchange, stats = [], []
    if flavor == PYMESH:
        exchange = [istio_extension("istio.metadata_exchange", "io.istio.http.peer_metadata.Config", proto.hcm.HttpFilter)]
        stats = [istio_extension("istio.stats", "stats.PluginConfig", proto.hcm.HttpFilter)] if mesh.counts else []
    by_route = [_http_filter(faults.FILTER, proto.http_fault.HTTPFault()), _http_filter(cors.FILTER, proto.cors.Cors())]
    counts = [] if flavor == PYMESH else [_grpc_stats()]
    translating = [_http_filter("envoy.filters.http.grpc_web", proto.grpc_web.GrpcWeb())] if web else []
    return [*exchange, *translating, *counts, *early, *by_route, *stats, *late, router(suppress=suppress)]


@functools.cache
def _sessions() -> Any:
    """Only routes with sessions let it run: nobody else pays for it."""
    return proto.hcm.HttpFilter(**extension(sessions.FILTER, proto.stateful_session.StatefulSession()), disabled=True)


@functools.cache
def _grpc_stats() -> Any:
    return _http_filter("envoy.filters.http.grpc_stats", proto.grpc_stats.FilterConfig(emit_filter_state=True, stats_for_all_methods={}))


def _http_filter(name: str, config: Any) -> Any:
    return proto.hcm.HttpFilter(**extension(name, config))


def router(*, suppress: bool = False) -> Any:
    """The filter that ends every chain of HTTP filters; `suppress` keeps its own headers to itself."""
    return _http_filter("envoy.filters.http.router", proto.router.Router(suppress_envoy_headers=suppress))


def istio_extension(name: str, type_name: str, wrapper: Any) -> Any:
    """A filter of Istio's as it sends them: a TypedStruct that names the type of an empty configuration."""
    config = proto.udpa_typed_struct.TypedStruct(type_url=f"type.googleapis.com/{type_name}")
    return wrapper(**extension(name, config))


def route_names(listener: Any) -> Iterator[str]:
    """The RDS resources that a listener's connection managers ask for."""
    for chain in (*listener.filter_chains, listener.default_filter_chain):
        for held in chain.filters:
            if held.name == _FILTER and (manager := proto.unpack(held.typed_config)).HasField("rds"):
                yield manager.rds.route_config_name


def _rds(route: str) -> Any:
    return proto.hcm.Rds(route_config_name=route, config_source=ADS)


def _filter(manager: Any) -> Any:
    return proto.listener_components.Filter(**extension(_FILTER, manager))
