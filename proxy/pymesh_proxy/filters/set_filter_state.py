"""What requests tell the router of their upstream connection. Envoy's `set_filter_state`, as far as its well-known keys are about TLS."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..tls.override import TlsOverride, overriding

if TYPE_CHECKING:
    from ..http.exchange import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterState:
    """What one level sets: what is empty is left to the level around it."""

    alpn: tuple[str, ...] = ()
    """`envoy.network.application_protocols`."""
    sni: str = ""
    """`envoy.network.upstream_server_name`."""

    def over(self, outer: "FilterState") -> "FilterState":
        """What both levels set; the inner one is set last, and stays."""
        return FilterState(alpn=self.alpn or outer.alpn, sni=self.sni or outer.sni)


class SetFilterStateFilter:
    """Sets the same for every request."""

    __slots__ = ("_override", "_state")

    def __init__(self, state: FilterState) -> None:
        self._state = state
        self._override: TlsOverride | None = overriding(alpn=state.alpn, sni=state.sni) if state.alpn or state.sni else None

    def __repr__(self) -> str:
        return f"<SetFilterStateFilter {self._state!r}>"

    def for_route(self, config: object) -> "SetFilterStateFilter":
        return SetFilterStateFilter(config.over(self._state)) if isinstance(config, FilterState) else self

    def on_request(self, exchange: "Exchange") -> None:
        """What an earlier filter of this kind has set and this one does not stays."""
        override, earlier = self._override, exchange.override
        if override is not None and earlier is not None:
            override = overriding(alpn=override.alpn or earlier.alpn, sni=override.sni or earlier.sni)
        exchange.override = override or earlier

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: it is about the connection."""

    def on_response(self, exchange: "Exchange") -> None:
        """Nothing: it is about requests."""

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing: nothing is remembered."""
