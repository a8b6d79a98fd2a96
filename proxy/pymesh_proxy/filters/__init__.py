"""HTTP filters: what may look at a request before the router and at the answer after it. One file a filter."""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..http.exchange import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalReply:
    """An answer made here instead of upstream."""

    status: int
    body: bytes = b""
    flags: str = ""
    details: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


class HttpFilter(Protocol):
    """All hooks are plain calls; only a filter that must wait returns an awaitable, and only then does the exchange become a task."""

    def on_request(self, exchange: "Exchange") -> "LocalReply | Awaitable[LocalReply | None] | None":
        """Before routing; may edit `exchange.head`."""

    def on_route(self, exchange: "Exchange") -> None:
        """The cluster is chosen; may edit `exchange.head` as it goes upstream."""

    def on_response(self, exchange: "Exchange") -> None:
        """Before the answer's head goes down; may edit `exchange.response`."""
