"""HttpConnectionManagers."""

from typing import Any

from ..filters.chain import FilterChain
from ..http.options import ClientCert, Codec, EscapedSlashes, HttpOptions, ServerHeader
from ..http.route_slot import RouteSlot
from .accesslog import access_logs
from .addresses import internal_addresses
from .context import Context
from .fields import Reader
from .http2 import http2_options
from .http_filters import Chain, filter_chain
from .http_protocol import MANAGER_FIELDS, protocol_options
from .local_reply import local_replies
from .routes import route_table
from .sources import check_delivery

_HONOURED = (
    "codec_type",
    "stat_prefix",
    "rds",
    "route_config",
    "http_filters",
    "http2_protocol_options",
    "server_name",
    "server_header_transformation",
    "access_log",
    "internal_address_config",
    "use_remote_address",
    "xff_num_trusted_hops",
    "skip_xff_append",
    "append_x_forwarded_port",
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
    "add_user_agent",
    "local_reply_config",
    *MANAGER_FIELDS,
)

_HARMLESS = {
    "request_id_extension": "request ids are always random UUIDs; its options are about trace sampling",
    "stream_flush_timeout": "an answer that the client does not read counts as idle",
}

_SLASHES = {"IMPLEMENTATION_SPECIFIC_DEFAULT": "KEEP_UNCHANGED"}


class InlineRoutes(RouteSlot):
    """Routes that came inside the manager: no RDS resource of that name is waited for."""


def http_options(reader: Reader, ctx: Context, direction: str) -> HttpOptions:
    """An HttpConnectionManager of a listener with a traffic direction."""
    reader.only(*_HONOURED, harmless=_HARMLESS)
    chain = filter_chain(reader, ctx, direction)
    return HttpOptions(
        route=_route_slot(reader, ctx),
        stats=ctx.http_stats(reader.message.stat_prefix),
        codec=_codec(reader),
        http2=http2_options(reader.child("http2_protocol_options")),
        **_upgrades(reader, ctx, direction, chain),
        local_replies=local_replies(reader),
        **_filters(reader, ctx, chain),
        **_identity(reader),
        **_paths(reader),
        **_user_agent(reader, ctx),
        **protocol_options(reader),
        **_client_certificate(reader),
    )


def _filters(reader: Reader, ctx: Context, chain: Chain) -> dict[str, Any]:
    return {
        "chain": chain.filters,
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


def _codec(reader: Reader) -> Codec:
    name = reader.choice("codec_type")
    if name not in Codec.__members__:
        reader.refuse("codec_type", f"{name} is not supported")
        return Codec.AUTO
    return Codec[name]


def _upgrades(reader: Reader, ctx: Context, direction: str, main: Chain) -> dict[str, Any]:
    """The upgrades that are passed through, and the filters of those that have their own."""
    enabled: dict[bytes, bool] = {}
    chains: dict[bytes, FilterChain] = {}
    for item in reader.items("upgrade_configs"):
        item.only("upgrade_type", "enabled", "filters")
        kind = item.message.upgrade_type.lower().encode()
        if kind in enabled:
            item.refuse("upgrade_type", f"multiple upgrade configs with the same name: {item.message.upgrade_type!r}")
        enabled[kind] = item.wrapped("enabled", True)
        if item.message.filters:
            chains[kind] = _own_filters(item, ctx, direction, main, reader.message.stat_prefix)
    return {"upgrades": frozenset(kind for kind, allowed in enabled.items() if allowed), "upgrade_chains": chains}


def _own_filters(item: Reader, ctx: Context, direction: str, main: Chain, prefix: str) -> FilterChain:
    """The filters of one kind of upgrade. What watches, and what the router keeps to itself, is one for the whole manager here."""
    own = filter_chain(item, ctx, direction, "filters", prefix)
    if len(own.metrics) != len(main.metrics) or own.suppress_envoy_headers is not main.suppress_envoy_headers:
        item.refuse("filters", "istio.stats and the router's suppress_envoy_headers must be as in the manager's http_filters")
    return own.filters


def _identity(reader: Reader) -> dict[str, Any]:
    message = reader.message
    return {
        "server_name": (message.server_name or "envoy").encode(),
        "server_header": ServerHeader.__members__.get(reader.choice("server_header_transformation"), ServerHeader.OVERWRITE),
        "use_remote_address": reader.wrapped("use_remote_address", False),
        "xff_num_trusted_hops": message.xff_num_trusted_hops,
        "skip_xff_append": message.skip_xff_append,
        "append_x_forwarded_port": message.append_x_forwarded_port,
        "internal": internal_addresses(reader.child("internal_address_config")),
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


def _user_agent(reader: Reader, ctx: Context) -> dict[str, Any]:
    """`add_user_agent`: the proxy presents itself to upstreams as the client, by its cluster's and its node's name."""
    if not reader.wrapped("add_user_agent", False):
        return {}
    return {"user_agent": ctx.service_cluster.encode(), "service_node": ctx.service_node.encode()}


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
