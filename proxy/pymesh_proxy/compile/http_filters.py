"""The filters of an HttpConnectionManager: what runs before the router, and what only watches."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .context import Context, Observers
from .fields import Reader
from .istio import PEER_METADATA, STATS, check_peer_metadata, check_stats, typed_struct_url

if TYPE_CHECKING:
    from ..filters import HttpFilter

_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A manager's filters, taken apart."""

    filters: "tuple[HttpFilter, ...]"
    metrics: tuple[Observers, ...]
    suppress_envoy_headers: bool


def filter_chain(reader: Reader, ctx: Context, direction: str) -> Chain:
    """Compile `http_filters`: the router must be last; a disabled filter is left out, an unknown one too when it is optional."""
    filters: list[HttpFilter] = []
    metrics: list[Observers] = []
    entries = reader.items("http_filters")
    for entry in entries[:-1]:
        _add(entry, ctx, direction, filters, metrics)
    suppress = _router(entries[-1]) if entries else False
    if not entries:
        reader.refuse("http_filters", "the router filter is needed, as the last one")
    return Chain(filters=tuple(filters), metrics=tuple(metrics), suppress_envoy_headers=suppress)


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


def _add(entry: Reader, ctx: Context, direction: str, filters: "list[HttpFilter]", metrics: list[Observers]) -> None:
    entry.only("name", "typed_config", "is_optional", "disabled")
    if entry.message.disabled:
        return
    url = typed_struct_url(entry)
    if url == STATS:
        check_stats(entry)
        metrics.append(ctx.istio_stats(direction))
    elif url == PEER_METADATA:
        check_peer_metadata(entry)
        filters.append(ctx.peer_metadata(direction))
    elif _type_name(entry) == _ROUTER:
        entry.refuse("", "the router ends the chain; filters after it would never run")
    elif not entry.message.is_optional:
        entry.no_implementation("typed_config", url or entry.message.typed_config.type_url)


def _type_name(entry: Reader) -> str:
    return str(entry.message.typed_config.type_url.rpartition("/")[2])
