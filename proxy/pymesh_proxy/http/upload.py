"""A request's body on its way: what is sent on at once, what is kept for a connection that is not there yet or for another attempt."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from ..filters import LocalReply
from ..route.retry_policy import RetryPolicy
from .exchange import Exchange
from .grpc_frames import BodyTap
from .headers import Fields
from .options import HttpOptions
from .stream import DownstreamStream, Phase, RequestCopy, UpstreamRequest
from .times import Times

if TYPE_CHECKING:
    from ..runtime import Runtime

_DONE: Final = Phase.DONE


class Upload(Times):
    """An exchange, as its request's bytes see it."""

    __slots__ = (
        "_body", "_body_size", "_connection", "_copies", "_overflown", "_policy", "chunked", "complete", "held", "trailers", "upgrade",
    )  # fmt: skip

    def __init__(
        self, runtime: "Runtime", options: HttpOptions, downstream: DownstreamStream, exchange: Exchange, chunked: bool, upgrade: bytes
    ) -> None:
        super().__init__(runtime, options, downstream, exchange)
        self.chunked = chunked
        """The request has a body that does not tell its length."""
        self.upgrade = upgrade
        """The protocol switch that the request asks for, in its own case; empty for none."""
        self.complete = False
        """Whether the request has been received to its end."""
        self.trailers: Fields | None = None
        """The request's trailers, from its end on."""
        self._policy: RetryPolicy | None = None
        """The route's, with what the request itself may ask; None when nothing is retried and no attempt is timed."""
        self._body: list[bytes] | None = None
        """The request's body so far, kept while another attempt may need it or no connection has it yet."""
        self._body_size = 0
        self._overflown = False
        """Whether the body has become larger than what is kept of one."""
        self.held = False
        """Whether the client has been told to stop sending: there is no connection yet, or one that is slow."""
        self._connection: UpstreamRequest | None = None
        self._copies: list[RequestCopy] | None = None
        """Where the request goes besides (request_mirror_policies)."""

    @abstractmethod
    def refuse(self, refusal: LocalReply) -> None:
        """The request's body went wrong."""

    @abstractmethod
    def give_up_replay(self) -> None:
        """The body has become larger than what is kept of one: there will be no further attempt."""

    def body(self, data: bytes, end: bool = False) -> None:
        """A piece of the request's body; `end`: it is the last, and no trailers follow."""
        exchange = self.exchange
        exchange.request_bytes += len(data)
        self._active = now = self._runtime.loop.time()
        if exchange.request_tap is not None:
            data = self._tapped(exchange.request_tap, data, end)
            if end:
                self._whole(exchange.request_tap, data, None)
            if end or not data:
                return
        self.complete = end
        if self.phase is _DONE:
            return
        if self._body is not None or self._connection is None:
            self._keep(data)
        if self._connection is not None:
            self._connection.send_body(data, end)
        if self._copies is not None:
            for copy in self._copies:
                copy.body(data, end)
        if end and self._forward is not None:
            self.start_clock(now)

    def _tapped(self, tap: BodyTap, data: bytes, end: bool) -> bytes:
        """What goes on of a piece; a filter may find that nothing does, and answers."""
        refused = tap.refusal is not None
        data = tap.feed(data, end)
        if tap.refusal is not None and not refused and self.phase is not _DONE:
            self.refuse(tap.refusal)
        return data

    def end(self, trailers: Fields | None = None) -> None:
        """The request is complete."""
        tap = self.exchange.request_tap
        if tap is None:
            self._ended(trailers)
        else:
            self._whole(tap, self._tapped(tap, b"", True), trailers)

    def _whole(self, tap: BodyTap, data: bytes, trailers: Fields | None) -> None:
        """The last piece, which may be empty, and the end, of a body that a filter looks at."""
        if data and self.phase is not _DONE:
            if self._body is not None or self._connection is None:
                self._keep(data)
            if self._connection is not None:
                self._connection.send_body(data, False)
            for copy in self._copies or ():
                copy.body(data, False)
        self._ended(trailers)
        if tap.on_end is not None and self.phase is not _DONE:
            tap.on_end()

    def _ended(self, trailers: Fields | None) -> None:
        self.complete = True
        if self.phase is _DONE:
            return
        self.trailers = trailers
        if self._connection is not None:
            self._connection.send_end()
        if self._copies is not None:
            for copy in self._copies:
                copy.end(trailers)
        if self._forward is not None:
            self.start_clock(self._runtime.loop.time())

    def _leave_copies(self, copies: list[RequestCopy]) -> None:
        """The exchange is over. A copy of a whole request goes its own way; of less it is of no use."""
        self._copies = None
        if not self.complete:
            for copy in copies:
                copy.leave()

    def _keep(self, data: bytes) -> None:
        """Hold a piece back for a connection that is not there yet, or for a retry, within the buffer limit."""
        if self._body is None:
            self._body = []
        self._body.append(data)
        self._body_size += len(data)
        if self._body_size <= self._body_limit():
            return
        if self._keeps():
            self._overflown = True
            self.give_up_replay()
        elif self._connection is not None:
            self._body = None
        if self._connection is None and not self.held:
            self.held = True
            self._downstream.pause_request()

    def _body_limit(self) -> int:
        """Bytes of a body that are kept: the listener's buffer limit, unless the route has one."""
        forward = self._forward
        limit = self.exchange.downstream.buffer_limit
        if forward is None:
            return limit
        if forward.body_limit is not None:
            return forward.body_limit
        return limit if forward.body_cap is None else min(limit, forward.body_cap)

    def _body_so_far(self) -> list[bytes] | None:
        """What has come of the body; and whether it is kept from here on depends on whether a retry may need it."""
        body = self._body
        if not self._keeps():
            self._body = None
        elif body is None and not self.complete:
            self._body = []
        return body

    def _keeps(self) -> bool:
        """Whether the body may be needed again."""
        if self._policy is not None and self._policy.enabled:
            return True
        return self._forward is not None and self._forward.internal_redirects is not None and not self._overflown

    def _replayable(self) -> bool:
        """Whether everything received of the request's body is still here."""
        return self.exchange.request_bytes == 0 or self._body is not None
