"""HTTP filters: what may look at a request before the router and at the answer after it. One file a filter."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from ..http.grpc_frames import BodyTap
    from ..http.stream import DownstreamStream


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalReply:
    """An answer made here instead of upstream."""

    status: int
    body: bytes = b""
    flags: str = ""
    details: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())
    grpc_status: int = -1
    """What a gRPC client is told; -1 for what the HTTP status means in gRPC."""
    edited: bool = True
    """Whether the route's header edits and the manager's `local_reply_config` apply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """The request goes on, and its answer comes back, in another form: what the body goes through, and who stands before the client."""

    request: "BodyTap | None" = None
    unsized: bool = False
    """The body's length is not what the client said any more."""
    answer: "Callable[[DownstreamStream], DownstreamStream]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The request waits until its body is here, which is refused if it is larger than so many bytes."""

    limit: int


class HttpFilter(Protocol):
    """All hooks are plain calls; only a filter that must wait returns an awaitable, and only then does the exchange become a task.

    A filter is shared by all exchanges of its manager, or of the routes that configure it in one way. What it has to remember of one
    exchange goes to `Exchange.notes`.
    """

    def for_route(self, config: object) -> "HttpFilter":
        """This filter with the configuration of a route, which may be that of another filter's kind; asked once for each chain."""

    def on_request(self, exchange: "Exchange") -> "LocalReply | Translation | Hold | Awaitable[LocalReply | None] | None":
        """Route and cluster are chosen, if there are any; may edit `exchange.head`, and answer, or translate what follows."""

    def on_route(self, exchange: "Exchange") -> None:
        """The cluster is there; may edit `exchange.head` as it goes upstream."""

    def on_response(self, exchange: "Exchange") -> None:
        """Before the answer's head goes down; may edit `exchange.response`.

        Also of answers to requests that another filter answered before this one saw them.
        """

    def on_end(self, exchange: "Exchange") -> None:
        """The exchange has ended; told if anything was noted of it, by whichever filter."""
