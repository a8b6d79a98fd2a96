"""HTTP connection managers with Istio's settings: for a sidecar's two directions and for gateways."""

from typing import Any

from pymesh.xds import proto

from ..model.mesh import Mesh
from ..model.view import PYMESH
from . import cors, faults
from .accesslog import access_logs
from .common import ADS, extension

_HCM = proto.hcm.HttpConnectionManager
_ESCAPED_SLASHES = {"DECODE_AND_MERGE_SLASHES": _HCM.UNESCAPE_AND_FORWARD}
_FILTER = "envoy.filters.network.http_connection_manager"


def outbound(mesh: Mesh, flavor: str, prefix: str, route: str) -> Any:
    """The network filter that routes an application's requests by the RDS resource `route`."""
    manager = _base(mesh, flavor, f"outbound_{prefix};")
    manager.rds.CopyFrom(_rds(route))
    return _filter(manager)


def inbound(mesh: Mesh, flavor: str, prefix: str, routes: Any) -> Any:
    """The network filter in front of the application; it adds the caller's identity to x-forwarded-client-cert."""
    manager = _base(mesh, flavor, f"inbound_{prefix};")
    manager.route_config.CopyFrom(routes)
    manager.forward_client_cert_details = _HCM.APPEND_FORWARD
    _reveal_client(manager)
    return _filter(manager)


def gateway(mesh: Mesh, flavor: str, prefix: str, route: str) -> Any:
    """The network filter at the edge: clients are strangers, so what they say of themselves is replaced."""
    manager = _base(mesh, flavor, f"outbound_{prefix};")
    manager.rds.CopyFrom(_rds(route))
    manager.use_remote_address.value = True
    manager.forward_client_cert_details = _HCM.SANITIZE_SET
    _reveal_client(manager)
    return _filter(manager)


def _base(mesh: Mesh, flavor: str, prefix: str) -> Any:
    manager = _HCM(
        stat_prefix=prefix,
        server_name="istio-envoy",
        use_remote_address=proto.wrappers_pb2.BoolValue(value=False),
        normalize_path=proto.wrappers_pb2.BoolValue(value=mesh.path_normalization != "NONE"),
        merge_slashes=mesh.path_normalization.endswith("MERGE_SLASHES"),
        path_with_escaped_slashes_action=_ESCAPED_SLASHES.get(mesh.path_normalization, _HCM.KEEP_UNCHANGED),
        stream_idle_timeout=proto.duration(0),
        upgrade_configs=[_HCM.UpgradeConfig(upgrade_type="websocket")],
        access_log=access_logs(mesh),
    )
    manager.http_filters.extend(_http_filters(mesh, flavor))
    return manager


def _http_filters(mesh: Mesh, flavor: str) -> list[Any]:
    """In Istio's order. Its own filters exist in our proxy and not in stock Envoy, which would refuse the whole listener."""
    exchange, stats = [], []
    if flavor == PYMESH:
        exchange = [istio_extension("istio.metadata_exchange", "io.istio.http.peer_metadata.Config", proto.hcm.HttpFilter)]
        stats = [istio_extension("istio.stats", "stats.PluginConfig", proto.hcm.HttpFilter)] if mesh.counts else []
    by_route = [_http_filter(faults.FILTER, proto.http_fault.HTTPFault()), _http_filter(cors.FILTER, proto.cors.Cors())]
    return [*exchange, *by_route, *stats, router()]


def _http_filter(name: str, config: Any) -> Any:
    return proto.hcm.HttpFilter(**extension(name, config))


def router() -> Any:
    """The filter that ends every chain of HTTP filters."""
    return _http_filter("envoy.filters.http.router", proto.router.Router())


def istio_extension(name: str, type_name: str, wrapper: Any) -> Any:
    """A filter of Istio's as it sends them: a TypedStruct that names the type of an empty configuration."""
    config = proto.udpa_typed_struct.TypedStruct(type_url=f"type.googleapis.com/{type_name}")
    return wrapper(**extension(name, config))


def _reveal_client(manager: Any) -> None:
    details = manager.set_current_client_cert_details
    details.subject.value = True
    details.uri = True
    details.dns = True


def _rds(route: str) -> Any:
    return proto.hcm.Rds(route_config_name=route, config_source=ADS)


def _filter(manager: Any) -> Any:
    return proto.listener_components.Filter(**extension(_FILTER, manager))
