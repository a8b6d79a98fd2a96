"""Requests that wait until their body has come whole. Envoy's `envoy.filters.http.buffer`."""

from typing import TYPE_CHECKING, Final

from . import Hold

if TYPE_CHECKING:
    from ..http.exchange import Exchange

OFF: Final = -1
"""The limit of routes on which nothing waits."""


class BufferFilter:
    """Holds requests of up to `limit` bytes; larger ones are refused."""

    __slots__ = ("_hold", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._hold = None if limit == OFF else Hold(limit=limit)

    def __repr__(self) -> str:
        return f"<BufferFilter {self._limit}>"

    def for_route(self, config: object) -> "BufferFilter":
        return BufferFilter(config) if isinstance(config, int) else self

    def on_request(self, exchange: "Exchange") -> Hold | None:
        return self._hold

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: the request is whole by now."""

    def on_response(self, exchange: "Exchange") -> None:
        """Nothing: it is about requests."""

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing: nothing is remembered."""
