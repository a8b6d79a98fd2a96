"""The filters of an HttpConnectionManager: what runs before the router, and what only watches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..filters.chain import FilterChain, Link
from .buffer import buffer_filter
from .compressor import compressor_filter
from .context import Context, Observers
from .cors import cors_filter
from .dynamic_forward_proxy import http_filter
from .fault import fault_filter
from .fields import Reader
from .grpc_stats import grpc_stats_filter
from .grpc_web import grpc_web_filter
from .header_mutation import header_mutation_filter
from .istio import PEER_METADATA, STATS, check_peer_metadata, check_stats, typed_struct_url
from .local_ratelimit import local_ratelimit_filter
from .ratelimit import ratelimit_filter
from .set_filter_state import set_filter_state_filter
from .stateful_session import stateful_session_filter

if TYPE_CHECKING:
    from ..filters import HttpFilter

_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A manager's filters, taken apart."""

    filters: FilterChain
    metrics: tuple[Observers, ...]
    suppress_envoy_headers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """What filters are told of the manager whose they are."""

    ctx: Context
    stat_prefix: str


_KINDS: "Mapping[str, Callable[[Reader, Manager], HttpFilter | None]]" = {
    "envoy.extensions.filters.http.buffer.v3.Buffer": buffer_filter,
    "envoy.extensions.filters.http.compressor.v3.Compressor": compressor_filter,
    "envoy.extensions.filters.http.cors.v3.Cors": cors_filter,
    "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig": http_filter,
    "envoy.extensions.filters.http.fault.v3.HTTPFault": fault_filter,
    "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig": grpc_stats_filter,
    "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb": grpc_web_filter,
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation": header_mutation_filter,
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit": local_ratelimit_filter,
    "envoy.extensions.filters.http.ratelimit.v3.RateLimit": ratelimit_filter,
    "envoy.extensions.filters.http.set_filter_state.v3.Config": set_filter_state_filter,
    "envoy.extensions.filters.http.stateful_session.v3.StatefulSession": stateful_session_filter,
}
"""How each filter is made from its `typed_config`, by the message's full name."""


def filter_chain(reader: Reader, ctx: Context, direction: str, field: str = "http_filters", prefix: str | None = None) -> Chain:
    """Compile a list of filters: the router must be last; an unknown filter is left out when it is optional.

    `prefix` is the manager's stat prefix where `reader` is not the manager.
    """
    links: list[Link] = []
    metrics: list[Observers] = []
    manager = Manager(ctx=ctx, stat_prefix=reader.message.stat_prefix if prefix is None else prefix)
    entries = reader.items(field)
    for entry in entries[:-1]:
        _add(entry, manager, direction, links, metrics)
    suppress = _router(entries[-1]) if entries else False
    if not entries:
        reader.refuse(field, "the router filter is needed, as the last one")
    return Chain(filters=FilterChain(tuple(links)), metrics=tuple(metrics), suppress_envoy_headers=suppress)


def _router(entry: Reader) -> bool:
    """Whether the router keeps its own headers to itself."""
    entry.only("name", "typed_config", at_default={"is_optional": True})
    if _type_name(entry) != _ROUTER:
        entry.refuse("", f"the last filter must be the router, not {entry.message.name!r}")
        return False
    config = entry.extension()
    if config is None:
        return False
    config.only(
        "suppress_envoy_headers",
        harmless={"dynamic_stats": "statistics are always kept", "start_child_span": "there is no tracing"},
        at_default={"suppress_grpc_request_failure_code_stats": True},
    )
    return bool(config.message.suppress_envoy_headers)


def _add(entry: Reader, manager: Manager, direction: str, links: list[Link], metrics: list[Observers]) -> None:
    entry.only("name", "typed_config", "is_optional", "disabled")
    url = typed_struct_url(entry)
    if url == STATS:
        check_stats(entry)
        if not entry.message.disabled:
            metrics.append(manager.ctx.istio_stats(direction))
        return
    made = _made(entry, manager, direction, url)
    if made is not None:
        links.append(Link(entry.message.name, made, disabled=entry.message.disabled))


def _made(entry: Reader, manager: Manager, direction: str, url: str) -> "HttpFilter | None":
    kind = _type_name(entry)
    if url == PEER_METADATA:
        check_peer_metadata(entry)
        return manager.ctx.peer_metadata(direction)
    if kind == _ROUTER:
        entry.refuse("", "the router ends the chain; filters after it would never run")
    elif kind in _KINDS:
        config = entry.extension()
        return None if config is None else _KINDS[kind](config, manager)
    elif not entry.message.is_optional:
        entry.no_implementation("typed_config", url or entry.message.typed_config.type_url)
    return None


def _type_name(entry: Reader) -> str:
    return str(entry.message.typed_config.type_url.rpartition("/")[2])
