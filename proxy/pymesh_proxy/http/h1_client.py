"""An HTTP/1.1 connection to an upstream: one request at a time, kept alive between them. `h1_reader` reads its answers."""

import asyncio
from typing import TYPE_CHECKING, Final, cast

from ..errors import Cause
from ..tls.layer import TlsLayer
from ..upstream.small_reads import read_small
from ..wheel import NEVER
from . import wire
from .connect import ConnectAnswer
from .h1_message import Stage, request_fields
from .h1_reader import AnswerReader
from .stream import Framing, UpstreamRequest

if TYPE_CHECKING:
    from ..tls.peer import PeerCertificate
    from ..upstream.exclusive import ExclusivePool
    from .attempts import Attempts

# Enum members as globals: the hot path compares with them several times an answer.
_IDLE: Final = Stage.IDLE
_HEAD: Final = Stage.HEAD
_BODY: Final = Stage.BODY
_CLOSED: Final = Stage.CLOSED
_UNTIL_CLOSE: Final = Framing.CLOSE


class ClientConnection(AnswerReader, UpstreamRequest):
    """One connection of a pool. While `attempts` is set it belongs to that exchange."""

    __slots__ = ("_small", "below", "deadline", "expires", "local_address", "peer", "requests", "wake")

    def __init__(self, pool: "ExclusivePool") -> None:
        super().__init__(pool)
        self.local_address = ""
        self.peer: PeerCertificate | None = None
        """The upstream's verified certificate, on TLS."""
        self.requests = 0
        """How many requests it has been given."""
        self.below: ClientConnection | None = None
        """The connection of its pool that became idle before this one did."""
        self.deadline = self.wake = NEVER
        self.expires = NEVER
        """Loop time at which the connection has lived long enough (max_connection_duration)."""
        self._small = False
        """Whether answers are read in small pieces."""

    def __repr__(self) -> str:
        return f"<ClientConnection {self.pool.endpoint.config.address} {self.stage.name} requests={self.requests}>"

    @property
    def closed(self) -> bool:
        return self.stage is _CLOSED

    @property
    def switched(self) -> bool:
        """Whether the upstream has agreed to a tunnel."""
        return self._switch is not None

    # --- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if isinstance(transport, TlsLayer):
            self.peer = transport.peer
        limit = self.pool.cluster.config.buffer_limit
        self.transport.set_write_buffer_limits(high=limit, low=limit // 2)
        name = transport.get_extra_info("sockname")
        self.local_address = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name or "")

    def eof_received(self) -> bool:
        attempts = self.attempts
        if attempts is None:
            self.pool.leaving(self)  # now, not in a later turn: requests of this one could still take it
        elif self.stage is _BODY and self._framing is _UNTIL_CLOSE:
            self._keep = False
            self._next(attempts)
        return False

    def _spoke_unasked(self) -> None:
        self.pool.leaving(self)
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        stage, self.stage = self.stage, _CLOSED
        self.pool.lost(self)
        attempts = self.attempts
        if attempts is None:
            return
        if stage is _HEAD:
            reason = "" if exc is None else str(exc)
            attempts.on_failed(Cause.UPSTREAM_CLOSED, reason, reused=self.requests > 1 and not self._head_bytes)
        else:  # an end where none may be is malformed, unless it was a reset
            attempts.on_broken("protocol_error" if exc is None else "connection_termination")

    def pause_writing(self) -> None:
        if self.attempts is not None:
            self.attempts.pause_upload()

    def resume_writing(self) -> None:
        if self.attempts is not None:
            self.attempts.resume_upload()

    # --- the exchange's side ------------------------------------------------------------------------------------------

    def start(self, attempts: "Attempts", body: list[bytes] | None) -> None:
        """Send a request's head and what there is of its body; the connection is this exchange's until its answer ends."""
        self.attempts = attempts
        self.requests += 1
        self.stage = _HEAD
        self._head_bytes = self._overhead = 0
        if self._paused:
            self.resume_reading()  # the client of the exchange before was slow to the end
        exchange = attempts.exchange
        if exchange.downstream.crowded is not self._small:
            self._read_small(exchange.downstream.crowded)
        head = exchange.head
        fields = request_fields(attempts, head)
        if self.pool.cluster.config.proper_case:
            fields = wire.proper_case(fields)
        target = head.path
        if not target and head.method == b"CONNECT":
            target = head.authority
            self._parser = ConnectAnswer(self)
        data = wire.request_head(head.method, target, head.lines(fields))
        exchange.request_wire_bytes = len(data)
        if body:
            data += b"".join(map(wire.chunk, body) if attempts.chunked else body)
        if attempts.chunked and attempts.complete:
            data += self._last_chunk(attempts)
        self._write(data)

    def _read_small(self, small: bool) -> None:
        self._small = small
        read_small(self.transport, small)

    def send_body(self, data: bytes, end: bool) -> None:
        if self.attempts is not None and self.attempts.chunked:
            data = wire.chunk(data) + wire.LAST_CHUNK if end else wire.chunk(data)
        self._write(data)

    def send_end(self) -> None:
        if self.attempts is not None and self.attempts.chunked:
            self._write(self._last_chunk(self.attempts))

    def _last_chunk(self, attempts: "Attempts") -> bytes:
        trailers = attempts.trailers
        if not trailers or not self.pool.cluster.config.enable_trailers:
            return wire.LAST_CHUNK
        return wire.last_chunk(trailers)

    def _write(self, data: bytes) -> None:
        self.pool.cluster.upstream_cx_tx_bytes_total += len(data)
        self.transport.write(data)

    def discard(self) -> None:
        """The exchange gave up on this connection: it cannot serve another."""
        self.attempts = None
        if self.stage is not _CLOSED:
            self.transport.abort()

    def leave(self) -> asyncio.Transport:
        """Hand the transport to another protocol; the pool counts it until that has ended."""
        self.attempts = None
        if self._small:
            self._read_small(False)
        self.stage = _CLOSED
        return self.transport

    def left(self) -> None:
        self.pool.lost(self)

    def on_deadline(self, now: float) -> None:
        """Idle for too long."""
        if self.stage is _IDLE:
            self.pool.leaving(self)
            if self.transport.get_write_buffer_size():
                self.transport.abort()  # the server takes nothing: a close would wait for it
            else:
                self.transport.close()

    def _next(self, attempts: "Attempts") -> None:
        """The answer is whole: tell the exchange, then serve another request or close."""
        self.attempts = None
        self.stage = _IDLE
        taken = attempts.complete and not attempts.held
        reusable = self._keep and taken and not self._unread
        attempts.on_end()
        if reusable:
            self.pool.release(self)
        elif taken:
            self.transport.close()
        else:
            self.transport.abort()  # what of the request the server has not taken interests nobody any more
