"""An HTTP/1.1 connection to an upstream: one request at a time, kept alive between them.

httptools parses; its strictness (llhttp's) is what keeps a malformed answer from being taken for two. Anything that is not
exactly one whole answer to our request ends the connection instead of going back to the pool.
"""

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from ..errors import Cause
from .headers import Fields, ResponseHead
from .stream import Framing
from .wire import BODILESS

if TYPE_CHECKING:
    from ..upstream.pool import Pool
    from .attempts import Attempts

_MAX_STATUS = 999


class ClientConnection(asyncio.Protocol):
    """One connection of a pool. While `router` is set it belongs to that exchange."""

    __slots__ = (
        "_close_after", "_fields", "_finished", "_framing", "_head_bytes", "_in_head", "_parser", "_poisoned", "_served", "_skip",
        "_switch", "closed", "deadline", "local_address", "pool", "router", "transport", "wake",
    )  # fmt: skip

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.router: Attempts | None = None
        self.local_address = ""
        self.closed = False
        self.deadline = self.wake = float("inf")
        self._parser = httptools.HttpResponseParser(self)
        self._fields: Fields = []
        self._in_head = True
        self._head_bytes = 0
        self._framing = Framing.NONE
        self._finished = False
        """The answer ended within the read that is being parsed."""
        self._close_after = False
        self._poisoned = False
        """Bytes came that no request asked for."""
        self._skip = False
        """The head being read is a 1xx that is not passed on."""
        self._switch: ResponseHead | None = None
        """A 101 that the request asked for: the connection changes hands behind it."""
        self._served = 0

    def __repr__(self) -> str:
        state = "closed" if self.closed else "active" if self.router else "idle"
        return f"<ClientConnection {self.pool.endpoint.config.address} {state} served={self._served}>"

    @property
    def requests(self) -> int:
        """How many requests it has been given."""
        return self._served

    @property
    def reused(self) -> bool:
        """Whether the current request is not the connection's first."""
        return self._served > 1

    # --- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        limit = self.pool.cluster.config.buffer_limit
        self.transport.set_write_buffer_limits(high=limit, low=limit // 2)
        name = transport.get_extra_info("sockname")
        self.local_address = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name or "")

    def data_received(self, data: bytes) -> None:
        self.pool.cluster.upstream_cx_rx_bytes_total += len(data)
        router = self.router
        if router is None:
            self.transport.abort()  # an idle connection has nothing to say; whatever this is, it is no answer
            return
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(router, data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._malformed(router, error)
            return
        if self._in_head and self._head_bytes > self.pool.cluster.config.max_response_headers:
            router.on_failed(Cause.UPSTREAM_PROTOCOL, "response headers too large")
        elif self._finished:
            self._next(router)
        else:
            router.flush()

    def _malformed(self, router: "Attempts", error: Exception) -> None:
        if self._finished:  # the answer was whole; what followed it was not ours
            self._poisoned = True
            self._next(router)
        elif self._in_head:
            router.on_failed(Cause.UPSTREAM_PROTOCOL, str(error))
        else:
            router.on_broken("protocol_error")

    def eof_received(self) -> bool:
        router = self.router
        if router is not None and self._framing is Framing.CLOSE and not self._in_head:
            self._close_after = True
            self._finished = True
            self._next(router)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.pool.lost(self)
        router = self.router
        if router is None:
            return
        if self._in_head:
            reason = "" if exc is None else str(exc)
            router.on_failed(Cause.UPSTREAM_CLOSED, reason, reused=self.reused and not self._head_bytes)
        else:
            router.on_broken("connection_termination")

    def pause_writing(self) -> None:
        if self.router is not None:
            self.router.pause_upload()

    def resume_writing(self) -> None:
        if self.router is not None:
            self.router.resume_upload()

    # --- the exchange's side ------------------------------------------------------------------------------------------

    def start(self, router: "Attempts", data: bytes) -> None:
        """Send a request's first bytes; the connection is this exchange's until its answer ends."""
        self.router = router
        self._served += 1
        self._in_head = True
        self._head_bytes = 0
        self._finished = False
        self.write(data)

    def write(self, data: bytes) -> None:
        self.pool.cluster.upstream_cx_tx_bytes_total += len(data)
        self.transport.write(data)

    def pause_reading(self) -> None:
        if not self.closed:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.closed:
            self.transport.resume_reading()

    def discard(self) -> None:
        """The exchange gave up on this connection: it cannot serve another."""
        self.router = None
        if not self.closed:
            self.transport.abort()

    def leave(self) -> asyncio.Transport:
        """Hand the transport to another protocol; the pool no longer counts it."""
        self.router = None
        self.closed = True
        self.pool.lost(self)
        return self.transport

    def on_deadline(self, now: float) -> None:
        """Idle for too long."""
        if self.router is None and not self.closed:
            self.transport.close()

    def _next(self, router: "Attempts") -> None:
        """The answer is whole: tell the exchange, then serve another request or close."""
        self.router = None
        reusable = not (self._close_after or self._poisoned or self.closed) and router.complete
        router.on_end()
        if reusable:
            self.pool.release(self)
        elif not self.closed:
            self.transport.close()

    def _upgraded(self, router: "Attempts", rest: bytes) -> None:
        if self._switch is None:
            router.on_failed(Cause.UPSTREAM_PROTOCOL, "unasked protocol switch")
        else:
            router.on_tunnel(self._switch, rest)

    # --- httptools' side ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._finished:
            self._poisoned = True
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        router = self.router
        if router is None or self._finished:
            self._poisoned = True
            return
        status = self._parser.get_status_code()
        if status == 101 and router.upgrade:
            self._switch = ResponseHead(status, [pair for pair in self._fields if pair[0].lower() not in (b"connection", b"upgrade")])
            return
        if status < 200:
            if status < 100 or status == 101:
                raise ValueError(f"unusable status {status}")
            self._skip = True
            return
        self._in_head = False
        self._begin(router, status)

    def _begin(self, router: "Attempts", status: int) -> None:
        response = ResponseHead(status, self._fields)
        config = self.pool.cluster.config
        fields = self._fields
        size = sum(len(name) + len(value) + 4 for name, value in fields) if self._head_bytes > config.max_response_headers else 0
        if status > _MAX_STATUS or len(fields) > config.max_response_headers_count or size > config.max_response_headers:
            self._in_head = True
            raise ValueError("unusable status, or too many or too large headers")
        self._framing = _framing(response, status)
        if status in BODILESS and status != 304 and self._framing in (Framing.LENGTH, Framing.CHUNKED):
            self._in_head = True
            raise ValueError("a bodiless status with a body's framing")
        self._close_after = not self._parser.should_keep_alive()
        head_only = router.exchange.head.method == b"HEAD"
        router.on_head(response, Framing.NONE if head_only or status in BODILESS else self._framing)
        if head_only and self.router is router:
            self._finished = True
            self._parser = httptools.HttpResponseParser(self)  # the old one waits for a body that HEAD answers do not have

    def on_body(self, data: bytes) -> None:
        if self.router is not None and not self._finished:
            self.router.on_body(data)

    def on_message_complete(self) -> None:
        if self._skip:
            self._skip = False
            self._fields = []
            self._head_bytes = 0
            return
        if self.router is not None and not self._in_head:
            self._finished = True


def _framing(response: ResponseHead, status: int) -> Framing:
    """How the answer's body ends, in the order of RFC 9112 6.3."""
    if b"transfer-encoding" in response.index:
        return Framing.CHUNKED
    if b"content-length" in response.index:
        return Framing.LENGTH
    return Framing.NONE if status in BODILESS else Framing.CLOSE
