"""What a route and the levels around it say of HTTP filters (`typed_per_filter_config`)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from ..filters.chain import Override, Overrides
from .buffer import buffer_limit
from .compressor import route_compression
from .cors import cors_policy
from .dynamic_forward_proxy import host_override
from .fault import fault_policy
from .fields import Reader
from .header_mutation import route_mutations
from .local_ratelimit import local_limit
from .ratelimit import route_limit
from .set_filter_state import filter_state
from .stateful_session import route_session

FIELD = "typed_per_filter_config"

_WRAPPER = "envoy.config.route.v3.FilterConfig"

PerRoute = Callable[[Reader], object]


@runtime_checkable
class Layered(Protocol):
    """A filter's configuration that takes what it leaves open from the level around it."""

    def over(self, outer: "Layered") -> "Layered":
        """This configuration in front of one of the same kind."""


_KINDS: Mapping[str, PerRoute] = {
    "envoy.extensions.filters.http.buffer.v3.BufferPerRoute": buffer_limit,
    "envoy.extensions.filters.http.compressor.v3.CompressorPerRoute": route_compression,
    "envoy.extensions.filters.http.cors.v3.CorsPolicy": cors_policy,
    "envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig": host_override,
    "envoy.extensions.filters.http.fault.v3.HTTPFault": fault_policy,
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute": route_mutations,
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit": local_limit,
    "envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute": route_limit,
    "envoy.extensions.filters.http.set_filter_state.v3.Config": filter_state,
    "envoy.extensions.filters.http.stateful_session.v3.StatefulSessionPerRoute": route_session,
}
"""How each kind of configuration is compiled, by the message's full name."""


def level(reader: Reader) -> Mapping[str, Override]:
    """What one message says of filters, by the filters' names; that no filter has such a name is no mistake, as in Envoy."""
    found: dict[str, Override] = {}
    for name, packed in getattr(reader.message, FIELD).items():
        override = _override(reader, packed, f"{FIELD}[{name!r}]")
        if override is not None:
            found[name] = override
    return found


def _override(reader: Reader, packed: Any, field: str) -> Override | None:
    if _kind(packed) != _WRAPPER:
        return _configured(reader, packed, field, optional=False)
    wrapper = reader.unpacked(packed, reader.at(field))
    if wrapper is None:
        return None
    wrapper.only("config", "is_optional", "disabled")
    if wrapper.message.disabled:
        return Override(disabled=True)
    if not wrapper.has("config"):
        wrapper.refuse("config", "this field is required, be it empty, unless the filter is disabled")
        return None
    if not wrapper.message.config.type_url:
        return Override()  # the filter runs here, as it is configured elsewhere
    return _configured(wrapper, wrapper.message.config, "config", optional=wrapper.message.is_optional)


def _configured(reader: Reader, packed: Any, field: str, *, optional: bool) -> Override | None:
    build = _KINDS.get(_kind(packed))
    if build is None:
        if not optional:
            reader.refuse(field, f"no implementation of a filter's configuration on a route with type URL {packed.type_url!r}")
        return None
    config = reader.unpacked(packed, reader.at(field))
    return None if config is None else Override(build(config))


def _kind(packed: Any) -> str:
    return str(packed.type_url.rpartition("/")[2])


def merged(levels: Iterable[Mapping[str, Override]]) -> Overrides | None:
    """What holds where all of these levels, the most specific first, say something; None when none does."""
    found: dict[str, Override] = {}
    for outer in levels:
        for name, override in outer.items():
            found[name] = _within(found[name], override) if name in found else override
    return Overrides(found) if found else None


def _within(inner: Override, outer: Override) -> Override:
    """The inner level decides whether the filter runs, and how unless it leaves that open."""
    if inner.config is None:
        return Override(outer.config, disabled=inner.disabled)
    if isinstance(inner.config, Layered) and type(inner.config) is type(outer.config):
        return Override(inner.config.over(outer.config), disabled=inner.disabled)
    return inner
