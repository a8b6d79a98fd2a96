"""Filter chains: whom they take, how they speak TLS, and the one filter that treats the bytes."""

from collections.abc import Callable
from dataclasses import dataclass

from ..http.options import HttpOptions
from ..listener.config import ChainMatch, FilterChain, Network
from ..tcp.config import SniLookup, TcpOptions
from .addresses import network
from .context import Context, Observers
from .dynamic_forward_proxy import sni_lookup
from .fields import Reader, digest
from .http import http_options
from .istio import STATS, check_stats, typed_struct_url
from .tcp import tcp_options
from .tls import downstream_tls

_HTTP = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TCP = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_SNI = "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig"

_NOTHING = TcpOptions(clusters=(("", 1),))
"""Stands where a chain could not be compiled; its problems keep the listener from ever being used."""


def chain(reader: Reader, ctx: Context, direction: str) -> FilterChain:
    """One filter chain of a listener with a traffic direction."""
    reader.only(
        "name",
        "filter_chain_match",
        "filters",
        "transport_socket",
        "transport_socket_connect_timeout",
        harmless={"metadata": "nothing reads it"},
    )
    criteria = reader.child("filter_chain_match")
    return FilterChain(
        identity=digest(reader.message),
        name=reader.message.name,
        match=_match(criteria) if criteria else ChainMatch(),
        terminal=_terminal(reader, ctx, direction),
        tls=downstream_tls(reader.child("transport_socket")),
        tls_handshake_timeout=reader.seconds("transport_socket_connect_timeout", 0.0),
    )


def _match(reader: Reader) -> ChainMatch:
    reader.only(
        "destination_port",
        "prefix_ranges",
        "server_names",
        "transport_protocol",
        "application_protocols",
        "direct_source_prefix_ranges",
        "source_type",
        "source_prefix_ranges",
        "source_ports",
    )
    message = reader.message
    return ChainMatch(
        destination_port=reader.wrapped("destination_port", 0),
        prefix_ranges=_networks(reader, "prefix_ranges"),
        server_names=_server_names(reader),
        transport_protocol=message.transport_protocol,
        application_protocols=tuple(message.application_protocols),
        direct_source_prefix_ranges=_networks(reader, "direct_source_prefix_ranges"),
        source_type=reader.choice("source_type") or "ANY",
        source_prefix_ranges=_networks(reader, "source_prefix_ranges"),
        source_ports=tuple(message.source_ports),
    )


def _networks(reader: Reader, name: str) -> tuple[Network, ...]:
    return tuple(found for item in reader.items(name) if (found := network(item)) is not None)


def _server_names(reader: Reader) -> tuple[str, ...]:
    for index, name in enumerate(reader.message.server_names):
        if "*" in name and (not name.startswith("*.") or "*" in name[1:] or name == "*."):
            reader.refuse(f"server_names[{index}]", f"{name!r}: a wildcard is `*.` at the start; leave the list empty to take any name")
    return tuple(name.lower() for name in reader.message.server_names)


def _terminal(reader: Reader, ctx: Context, direction: str) -> HttpOptions | TcpOptions:
    entries = reader.items("filters")
    if not entries:
        reader.refuse("filters", "a connection manager or a tcp_proxy is needed: this chain would close every connection")
        return _NOTHING
    before = [_Before.of(entry, ctx, direction) for entry in entries[:-1]]
    metrics = [one.metrics for one in before if one.metrics is not None]
    lookups = [one.lookup for one in before if one.lookup is not None]
    last = entries[-1]
    last.only("name", "typed_config")
    kinds: dict[str, Callable[[Reader], HttpOptions | TcpOptions]] = {
        _HTTP: lambda config: http_options(config, ctx, direction),
        _TCP: lambda config: tcp_options(config, ctx, metrics, next(iter(lookups), None)),
    }
    options = last.extend(kinds)
    if isinstance(options, HttpOptions) and metrics:
        reader.refuse("filters", "istio.stats belongs to the http_filters of a connection manager")
    if lookups and (len(lookups) > 1 or isinstance(options, HttpOptions)):
        reader.refuse("filters", "sni_dynamic_forward_proxy stands once, in front of a tcp_proxy")
    return options or _NOTHING


@dataclass(frozen=True, slots=True)
class _Before:
    """A filter before the last: one that only watches, or one that looks the server name up."""

    metrics: Observers | None = None
    lookup: SniLookup | None = None

    @classmethod
    def of(cls, entry: Reader, ctx: Context, direction: str) -> "_Before":
        entry.only("name", "typed_config")
        if typed_struct_url(entry) == STATS:
            check_stats(entry)
            return cls(metrics=ctx.istio_stats(direction))
        return cls(lookup=entry.extend({_SNI: lambda config: sni_lookup(config, ctx)}))
