"""HttpConnectionManagers."""

from typing import Any

from ..http.options import ClientCert, EscapedSlashes, HttpOptions, RouteSlot, ServerHeader, Underscores
from .accesslog import access_logs
from .context import Context
from .fields import Reader
from .http_filters import Chain, filter_chain
from .routes import route_table
from .sources import check_delivery
from .upstream_http import NO_HTTP2, check_header_case

_HONOURED = (
    "codec_type",
    "stat_prefix",
    "rds",
    "route_config",
    "http_filters",
    "common_http_protocol_options",
    "http_protocol_options",
    "server_name",
    "server_header_transformation",
    "max_request_headers_kb",
    "stream_idle_timeout",
    "request_headers_timeout",
    "delayed_close_timeout",
    "access_log",
    "use_remote_address",
    "xff_num_trusted_hops",
    "skip_xff_append",
    "via",
    "generate_request_id",
    "preserve_external_request_id",
    "always_set_request_id_in_response",
    "forward_client_cert_details",
    "set_current_client_cert_details",
    "upgrade_configs",
    "normalize_path",
    "merge_slashes",
    "path_with_escaped_slashes_action",
    "strip_matching_host_port",
    "strip_any_host_port",
    "strip_trailing_host_dot",
    "stream_error_on_invalid_http_message",
)

_HARMLESS = {
    "http2_protocol_options": "clients speak HTTP/1.1 here",
    "request_id_extension": "request ids are always random UUIDs; its options are about trace sampling",
    "internal_address_config": "no address is trusted as internal",
    "stream_flush_timeout": "an answer that the client does not read counts as idle",
}

_AT_DEFAULT = {"request_timeout": 0, "drain_timeout": 5}

_SLASHES = {"IMPLEMENTATION_SPECIFIC_DEFAULT": "KEEP_UNCHANGED"}


class InlineRoutes(RouteSlot):
    """Routes that came inside the manager: no RDS resource of that name is waited for."""


def http_options(reader: Reader, ctx: Context, direction: str) -> HttpOptions:
    """An HttpConnectionManager of a listener with a traffic direction."""
    reader.only(*_HONOURED, harmless=_HARMLESS, at_default=_AT_DEFAULT)
    _check_codec(reader)
    chain = filter_chain(reader, ctx, direction)
    return HttpOptions(
        route=_route_slot(reader, ctx),
        stats=ctx.http_stats(reader.message.stat_prefix),
        upgrades=_upgrades(reader),
        **_filters(reader, ctx, chain),
        **_identity(reader),
        **_paths(reader),
        **_limits(reader),
        **_timeouts(reader),
        **_client_certificate(reader),
    )


def _filters(reader: Reader, ctx: Context, chain: Chain) -> dict[str, Any]:
    return {
        "filters": chain.filters,
        "observers": tuple(watcher.http for watcher in (*access_logs(reader, ctx), *chain.metrics)),
        "suppress_envoy_headers": chain.suppress_envoy_headers,
    }


def _route_slot(reader: Reader, ctx: Context) -> RouteSlot:
    match reader.which("route_specifier"):
        case "route_config":
            table = route_table(Reader(reader.message.route_config, reader.at("route_config"), reader.problems))
            return InlineRoutes(table.name, table)
        case "rds":
            rds = Reader(reader.message.rds, reader.at("rds"), reader.problems)
            rds.only("config_source", "route_config_name")
            check_delivery(rds.child("config_source"))
            if not rds.message.route_config_name:
                rds.refuse("route_config_name", "this field is required")
            return ctx.route_slot(rds.message.route_config_name)
    return InlineRoutes("")


def _check_codec(reader: Reader) -> None:
    """AUTO and HTTP1 come to the same where only HTTP/1.1 is spoken."""
    name = reader.choice("codec_type")
    if name == "HTTP2":
        reader.refuse("codec_type", NO_HTTP2)
    elif name not in ("AUTO", "HTTP1"):
        reader.refuse("codec_type", f"{name} is not supported")


def _upgrades(reader: Reader) -> frozenset[bytes]:
    enabled: dict[bytes, bool] = {}
    for item in reader.items("upgrade_configs"):
        item.only("upgrade_type", "enabled")
        kind = item.message.upgrade_type.lower().encode()
        if kind == b"connect":
            item.refuse("upgrade_type", "CONNECT is not supported")
        if kind in enabled:
            item.refuse("upgrade_type", f"multiple upgrade configs with the same name: {item.message.upgrade_type!r}")
        enabled[kind] = item.wrapped("enabled", True)
    return frozenset(kind for kind, allowed in enabled.items() if allowed)


def _identity(reader: Reader) -> dict[str, Any]:
    message = reader.message
    return {
        "server_name": (message.server_name or "envoy").encode(),
        "server_header": ServerHeader.__members__.get(reader.choice("server_header_transformation"), ServerHeader.OVERWRITE),
        "use_remote_address": reader.wrapped("use_remote_address", False),
        "xff_num_trusted_hops": message.xff_num_trusted_hops,
        "skip_xff_append": message.skip_xff_append,
        "via": message.via.encode(),
        "generate_request_id": reader.wrapped("generate_request_id", True),
        "preserve_external_request_id": message.preserve_external_request_id,
        "always_set_request_id_in_response": message.always_set_request_id_in_response,
    }


def _paths(reader: Reader) -> dict[str, Any]:
    message = reader.message
    slashes = reader.choice("path_with_escaped_slashes_action")
    return {
        "normalize_path": reader.wrapped("normalize_path", False),
        "merge_slashes": message.merge_slashes,
        "escaped_slashes": EscapedSlashes.__members__.get(_SLASHES.get(slashes, slashes), EscapedSlashes.KEEP_UNCHANGED),
        "strip_matching_host_port": message.strip_matching_host_port,
        "strip_any_host_port": message.strip_any_host_port,
        "strip_trailing_host_dot": message.strip_trailing_host_dot,
    }


def _limits(reader: Reader) -> dict[str, Any]:
    common = Reader(reader.message.common_http_protocol_options, reader.at("common_http_protocol_options"), reader.problems)
    common.only(
        "idle_timeout",
        "max_connection_duration",
        "max_headers_count",
        "headers_with_underscores_action",
        "max_requests_per_connection",
        harmless={"max_response_headers_kb": "it is for upstreams"},
        at_default={"max_stream_duration": 0},
    )
    http1 = Reader(reader.message.http_protocol_options, reader.at("http_protocol_options"), reader.problems)
    http1.only("accept_http_10", "default_host_for_http_10", "header_key_format", at_default={"allow_absolute_url": True})
    check_header_case(http1)
    underscores = common.choice("headers_with_underscores_action")
    return {
        "idle_timeout": common.seconds("idle_timeout", 3600.0),
        "max_connection_duration": common.seconds("max_connection_duration", 0.0),
        "max_headers_count": common.wrapped("max_headers_count", 100),
        "max_requests_per_connection": common.wrapped("max_requests_per_connection", 0),
        "stream_error": reader.wrapped("stream_error_on_invalid_http_message", False),
        "max_request_headers": reader.wrapped("max_request_headers_kb", 60) * 1024,
        "underscores": Underscores.__members__.get(underscores, Underscores.ALLOW),
        "accept_http_10": http1.message.accept_http_10,
        "default_host_for_http_10": http1.message.default_host_for_http_10.encode(),
    }


def _timeouts(reader: Reader) -> dict[str, Any]:
    return {
        "stream_idle_timeout": reader.seconds("stream_idle_timeout", 300.0),
        "request_headers_timeout": reader.seconds("request_headers_timeout", 0.0),
        "delayed_close_timeout": reader.seconds("delayed_close_timeout", 1.0),
    }


def _client_certificate(reader: Reader) -> dict[str, Any]:
    details = Reader(reader.message.set_current_client_cert_details, reader.at("set_current_client_cert_details"), reader.problems)
    details.only("subject", "cert", "dns", "uri")
    return {
        "forward_client_cert": ClientCert.__members__.get(reader.choice("forward_client_cert_details"), ClientCert.SANITIZE),
        "client_cert_subject": details.wrapped("subject", False),
        "client_cert_uri": details.message.uri,
        "client_cert_dns": details.message.dns,
        "client_cert_cert": details.message.cert,
    }
