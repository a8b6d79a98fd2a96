"""Listeners: address, listener filters, filter chains."""

from typing import Any

from ..listener import match
from ..listener.config import FilterChain, ListenerConfig
from . import port_predicate, proxy_protocol
from .accesslog import listener_logs
from .addresses import socket_address
from .chains import chain
from .context import Context
from .fields import Reader, compiled, digest

_HONOURED = (
    "name",
    "address",
    "additional_addresses",
    "filter_chains",
    "default_filter_chain",
    "use_original_dst",
    "per_connection_buffer_limit_bytes",
    "deprecated_v1",
    "listener_filters",
    "listener_filters_timeout",
    "continue_on_listener_filters_timeout",
    "traffic_direction",
    "enable_reuse_port",
    "access_log",
    "tcp_backlog_size",
    "bind_to_port",
    "transparent",
    "freebind",
)

_HARMLESS = {
    "stat_prefix": "statistics are named after the listener's address",
    "metadata": "nothing reads it",
    "max_connections_to_accept_per_socket_event": "it only paces accepting",
    "ignore_global_conn_limit": "there is no global limit",
    "bypass_overload_manager": "there is no overload manager",
}

_AT_DEFAULT = {"drain_type": 0, "reuse_port": True}

_FILTERS = "envoy.extensions.filters.listener"
_ORIGINAL_DST = f"{_FILTERS}.original_dst.v3.OriginalDst"
_ORIGINAL_SRC = f"{_FILTERS}.original_src.v3.OriginalSrc"
_PROXY_PROTOCOL = f"{_FILTERS}.proxy_protocol.v3.ProxyProtocol"
_INSPECTORS = {
    f"{_FILTERS}.tls_inspector.v3.TlsInspector": "tls_inspector",
    f"{_FILTERS}.http_inspector.v3.HttpInspector": "http_inspector",
}

_PACING = {"initial_read_buffer_size": "it only sizes the first read", "max_client_hello_size": "the limit is TLS's own, 16 KiB"}


def compile_listener(message: Any, ctx: Context) -> ListenerConfig:
    """A Listener resource; raises ConfigError with every problem."""
    return compiled(message, lambda reader: _listener(reader, ctx))


def _listener(reader: Reader, ctx: Context) -> ListenerConfig:
    reader.only(*_HONOURED, harmless=_HARMLESS, at_default=_AT_DEFAULT)
    host, port = _address(reader)
    direction = _direction(reader)
    chains = tuple(chain(item, ctx, direction) for item in reader.items("filter_chains"))
    default = reader.child("default_filter_chain")
    default_chain = chain(default, ctx, direction) if default else None
    if not chains and default_chain is None:
        reader.refuse("filter_chains", "no filter chains specified")
    logs, watching = listener_logs(reader, ctx)
    return ListenerConfig(
        name=reader.message.name or f"{host}:{port}",
        host=host,
        port=port,
        additional=tuple(_additional(item) for item in reader.items("additional_addresses")),
        chains=chains,
        default_chain=default_chain,
        matcher=_matcher(reader, chains, default_chain),
        bind_to_port=_binds(reader),
        use_original_dst=reader.wrapped("use_original_dst", False),
        filters_timeout=reader.seconds("listener_filters_timeout", 15.0),
        continue_on_timeout=reader.message.continue_on_listener_filters_timeout,
        direction=direction,
        buffer_limit=reader.wrapped("per_connection_buffer_limit_bytes", 1024 * 1024),
        reuse_port=reader.wrapped("enable_reuse_port", True),
        backlog=reader.wrapped("tcp_backlog_size", 4096),
        observers=tuple(log.tcp for log in logs),
        watchers=tuple(log.tcp for log in watching),
        transparent=reader.wrapped("transparent", False),
        freebind=reader.wrapped("freebind", False),
        frame=_frame(reader.message),
        source=reader.message,
        **_listener_filters(reader),
    )


def _address(reader: Reader) -> tuple[str, int]:
    address = reader.child("address")
    if address is None:
        reader.refuse("address", "this field is required")
        return "", 0
    return socket_address(address)


def _additional(reader: Reader) -> tuple[str, int]:
    reader.only("address")
    return _address(reader)


def _direction(reader: Reader) -> str:
    name = reader.choice("traffic_direction")
    return "" if name == "UNSPECIFIED" else name


def _binds(reader: Reader) -> bool:
    """`bind_to_port`, or its older place in `deprecated_v1`."""
    older = reader.child("deprecated_v1")
    if older is not None:
        older.only("bind_to_port")
    return reader.wrapped("bind_to_port", older.wrapped("bind_to_port", True) if older is not None else True)


def _matcher(reader: Reader, chains: tuple[FilterChain, ...], default: FilterChain | None) -> match.ChainMatcher:
    try:
        return match.build(chains, default)
    except match.Ambiguous as error:
        reader.refuse(f"filter_chains[{error.index}].filter_chain_match", str(error))
        return match.build((), default)


def _frame(message: Any) -> bytes:
    """A digest of everything but the filter chains."""
    frame = type(message)()
    frame.CopyFrom(message)
    frame.ClearField("filter_chains")
    frame.ClearField("default_filter_chain")
    return digest(frame)


def _listener_filters(reader: Reader) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if reader.wrapped("use_original_dst", False):
        settings["original_dst"] = True  # it brings the filter with it, as in Envoy
    for item in reader.items("listener_filters"):
        item.only("name", "typed_config", "filter_disabled")
        unwanted = item.child("filter_disabled")
        skips = port_predicate.predicate(unwanted) if unwanted else None
        kind = item.message.typed_config.type_url.rpartition("/")[2]
        if kind not in (_ORIGINAL_DST, _ORIGINAL_SRC, _PROXY_PROTOCOL, *_INSPECTORS):
            item.no_implementation("typed_config", item.message.typed_config.type_url)
            continue
        config = item.extension()
        if config is None:
            continue
        if kind not in _INSPECTORS and skips is not None:
            item.refuse("filter_disabled", "is supported for tls_inspector and http_inspector only")
        if kind == _PROXY_PROTOCOL:
            if not settings.keys().isdisjoint(_INSPECTORS.values()):
                item.refuse("", "a PROXY header comes before everything: this filter must stand before tls_inspector and http_inspector")
            settings["proxy_protocol"] = proxy_protocol.rules(config)
            continue
        if kind == _ORIGINAL_SRC:
            config.only("mark", at_default={"bind_port": False})
            settings["original_src"] = config.message.mark
            continue
        config.only(harmless=_PACING if kind in _INSPECTORS else None)
        settings[_INSPECTORS.get(kind, "original_dst")] = True
        if kind in _INSPECTORS:
            settings[f"{_INSPECTORS[kind]}_skips"] = skips
    return settings
