"""An HTTP/1.1 connection to an upstream: one request at a time, kept alive between them.

httptools parses; its strictness (llhttp's) is what keeps a malformed answer from being taken for two. Anything that is not
exactly one whole answer to our request ends the connection instead of going back to the pool.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

import httptools

from ..errors import Cause
from ..tls.layer import TlsLayer
from ..upstream.small_reads import read_small
from ..wheel import NEVER
from . import wire
from .connect import ConnectAnswer
from .forwarding import read_response
from .h1_message import Stage, UnusableAnswer, request_fields
from .h1_slices import Sliced
from .headers import Fields, ResponseHead
from .stream import Framing, UpstreamRequest
from .trailers import passed_on

if TYPE_CHECKING:
    from ..tls.peer import PeerCertificate
    from ..upstream.exclusive import ExclusivePool
    from .attempts import Attempts
    from .options import HttpOptions

# Enum members as globals: the hot path compares with them several times an answer.
_IDLE: Final = Stage.IDLE
_HEAD: Final = Stage.HEAD
_BODY: Final = Stage.BODY
_WHOLE: Final = Stage.WHOLE
_CLOSED: Final = Stage.CLOSED
_NONE: Final = Framing.NONE
_LENGTH: Final = Framing.LENGTH
_CHUNKED: Final = Framing.CHUNKED
_UNTIL_CLOSE: Final = Framing.CLOSE

_WORTH_PASSING: Final = 64 * 1024
"""Bytes of a body that it costs less to keep from the parser than the next parser does."""


class ClientConnection(Sliced, UpstreamRequest):
    """One connection of a pool. While `attempts` is set it belongs to that exchange."""

    __slots__ = (
        "_fields", "_framing", "_head_bytes", "_keep", "_last_head", "_length", "_overhead", "_parser", "_passing", "_repeated",
        "_repeated_for", "_repeats", "_rest", "_small", "_switch", "attempts", "deadline", "expires", "local_address", "peer", "pool",
        "requests", "stage", "wake",
    )  # fmt: skip

    def __init__(self, pool: "ExclusivePool") -> None:
        super().__init__()
        self.pool = pool
        self.attempts: Attempts | None = None
        self.local_address = ""
        self.peer: PeerCertificate | None = None
        """The upstream's verified certificate, on TLS."""
        self.requests = 0
        """How many requests it has been given."""
        self.stage = _IDLE
        self.deadline = self.wake = NEVER
        self.expires = NEVER
        """Loop time at which the connection has lived long enough (max_connection_duration)."""
        self._parser = httptools.HttpResponseParser(self)
        self._fields: Fields = []
        self._head_bytes = 0
        self._overhead = 0
        """Bytes of chunk framing and trailers since the last byte of a body: they carry nothing, and are bounded like a head."""
        self._framing = _NONE
        self._length = 0
        """The content length of the answer under way, if it has one."""
        self._passing = False
        """The rest of a body goes past the parser."""
        self._rest = 0
        """Bytes of a body of known length that are still to come."""
        self._last_head = b""
        """The bytes of the last answer's head, when all of that answer came in one read. Servers repeat themselves within a second
        (the Date) and beyond; parsing is a large part of an exchange, and one comparison finds out."""
        self._repeats = False
        """Whether the answer being parsed begins with `_last_head`."""
        self._repeated: ResponseHead | None = None
        """What `_last_head` was parsed to, untouched."""
        self._repeated_for: HttpOptions | None = None
        """The manager whose rules it was read by."""
        self._small = False
        """Whether answers are read in small pieces."""
        self._keep = True
        """Whether the connection may serve another request after this answer."""
        self._switch: ResponseHead | None = None
        """A 101 that the request asked for: the connection changes hands behind it."""

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

    def _listening(self) -> bool:
        return self.attempts is not None and self.stage is not _CLOSED

    def _counts_chunks(self) -> bool:
        return self.stage is _HEAD or (self.stage is _BODY and self._framing is _CHUNKED)

    def _feed(self, data: bytes) -> None:
        cluster = self.pool.cluster
        cluster.upstream_cx_rx_bytes_total += len(data)
        attempts = self.attempts
        if attempts is None:
            self.transport.abort()  # an idle connection has nothing to say; whatever this is, it is no answer
            return
        if self._passing:
            self._pass_body(attempts, data)
            return
        if self._last_head and self.stage is _HEAD and not self._head_bytes and data.startswith(self._last_head):
            if self._replays(attempts, len(data) - len(self._last_head)):
                self._replay(attempts, data)
                return
            self._repeats = True
        self._head_bytes += len(data)
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stopped(attempts, error, data)
            return
        if self.attempts is not attempts:
            return  # the exchange has given up on this connection
        if self.stage is _WHOLE:
            self._remember(data)
            self._next(attempts)
        elif self.stage is _HEAD and self._head_bytes > cluster.config.max_response_headers:
            attempts.on_failed(Cause.UPSTREAM_PROTOCOL, "response headers too large")
        elif self._framing is _CHUNKED and self._overhead > cluster.config.max_response_headers:
            attempts.on_broken("protocol_error")
        else:
            self._passing = self._framing is _LENGTH and self.stage is _BODY and self._rest >= _WORTH_PASSING
            attempts.flush()

    def _pass_body(self, attempts: "Attempts", data: bytes) -> None:
        """Hand on what there is of a long body. The parser would copy it, and is none the wiser when it has ended: a new one follows."""
        if len(data) > self._rest:
            data = data[: self._rest]
            self._keep = False  # what follows is not ours
        self._rest -= len(data)
        attempts.on_body(data)
        if self.attempts is not attempts:
            return
        if self._rest:
            attempts.flush()
            return
        self._passing = False
        self._parser = httptools.HttpResponseParser(self)
        self._forget()
        self._next(attempts)

    def _forget(self) -> None:
        """The last head is not to be known again."""
        self._last_head = b""
        self._repeated = self._repeated_for = None
        self._repeats = False

    def _remember(self, data: bytes) -> None:
        """Note the head of an answer that came whole in one read, to know it when it comes again."""
        if self._framing is _LENGTH and self._keep and self._head_bytes == len(data):
            head = data[: len(data) - self._length]
            if head != self._last_head:
                self._forget()
                self._last_head = head
        else:
            self._forget()

    def _replays(self, attempts: "Attempts", body: int) -> bool:
        """Whether the bytes are known: the head was parsed for the same manager, and all of the body is here."""
        return self._repeated_for is attempts.options and body == self._length and attempts.exchange.head.method != b"HEAD"

    def _replay(self, attempts: "Attempts", data: bytes) -> None:
        """An answer with the same head as the one before: known without parsing it."""
        repeated = self._repeated
        assert repeated is not None
        self.stage = _BODY
        attempts.on_head(repeated.copy(), _LENGTH)
        if self.attempts is not attempts:
            return  # the exchange wants another attempt
        body = data[len(self._last_head) :]
        if body:
            attempts.on_body(body)
        self._next(attempts)

    def _stopped(self, attempts: "Attempts", error: Exception, data: bytes) -> None:
        """The parser goes no further: a protocol switch, or something that is no answer."""
        if isinstance(error, httptools.HttpParserUpgrade):
            if self._switch is not None:
                early, self._unread = data[error.args[0] :] + self._unread, b""
                attempts.on_tunnel(self._switch, early)
                return
            reason = "unasked protocol switch"
        else:
            reason = str(error.__context__ if isinstance(error.__context__, UnusableAnswer) else error)
        self._keep = False
        if self.stage is _WHOLE:  # the answer was whole; what followed it was not ours
            self._next(attempts)
        elif self.stage is _HEAD:
            attempts.on_failed(Cause.UPSTREAM_PROTOCOL, reason)
        else:
            attempts.on_broken("protocol_error")

    def eof_received(self) -> bool:
        attempts = self.attempts
        if attempts is not None and self.stage is _BODY and self._framing is _UNTIL_CLOSE:
            self._keep = False
            self._next(attempts)
        return False

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
        """Hand the transport to another protocol; the pool no longer counts it."""
        self.attempts = None
        if self._small:
            self._read_small(False)
        self.stage = _CLOSED
        self.pool.lost(self)
        return self.transport

    def on_deadline(self, now: float) -> None:
        """Idle for too long."""
        if self.stage is _IDLE:
            self.transport.close()

    def _next(self, attempts: "Attempts") -> None:
        """The answer is whole: tell the exchange, then serve another request or close."""
        self.attempts = None
        self.stage = _IDLE
        reusable = self._keep and attempts.complete and not self._unread
        attempts.on_end()
        if reusable:
            self.pool.release(self)
        else:
            self.transport.close()

    # --- httptools' side ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.stage is not _HEAD:
            self._keep = False  # a second answer to one request
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        attempts = self.attempts
        if attempts is None or self.stage is not _HEAD:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._interim(attempts, status)
            return
        response, chunked = read_response(attempts.options, status, self._fields)
        if attempts.upgrade:
            if status < 300 and attempts.exchange.head.method == b"CONNECT":
                response.remove(b"content-length")  # it means nothing here (RFC 9110 9.3.6)
                self._switch = response
                return
            self._keep = False  # what follows a refused switch is not trusted
        framing = self._framed(response, chunked)
        self.stage = _BODY
        self._fields = []  # from here on they are trailers
        self._keep = self._keep and self._parser.should_keep_alive()
        if self._repeats and framing is _LENGTH:
            self._repeated = response.copy()
            self._repeated.remember_lines()
            self._repeated_for = attempts.options
        if attempts.exchange.head.method == b"HEAD":
            attempts.on_head(response, _NONE)
            if self.attempts is attempts:
                self.stage = _WHOLE
                self._parser = httptools.HttpResponseParser(self)  # the old one waits for a body that HEAD answers do not have
        else:
            attempts.on_head(response, framing)

    def _interim(self, attempts: "Attempts", status: int) -> None:
        """1xx: swallowed, but for the 101 that was asked for and unless the manager lets them through."""
        if status == 101 and attempts.upgrade:
            taken = [value.lower() for name, value in self._fields if name.lower() == b"upgrade"]
            if taken != [attempts.upgrade.lower()]:
                raise UnusableAnswer("a switch to another protocol than was asked for")
            self._switch, _ = read_response(attempts.options, status, self._fields)
        elif status < 100 or status == 101:
            raise UnusableAnswer(f"unusable status {status}")
        elif attempts.options.proxy_100_continue:
            interim, _ = read_response(attempts.options, status, self._fields)
            attempts.on_interim(interim)

    def _framed(self, response: ResponseHead, chunked: bool) -> Framing:
        """How the answer's body ends, in the order of RFC 9112 6.3; raises UnusableAnswer."""
        config = self.pool.cluster.config
        raw, status = self._fields, response.status
        if len(raw) > config.max_response_headers_count or status > 999:
            raise UnusableAnswer("too many headers, or an unusable status")
        limit = config.max_response_headers
        if self._head_bytes > limit and sum(len(name) + len(value) + 4 for name, value in raw) > limit:
            raise UnusableAnswer("response headers too large")
        if chunked:
            if [value.lower() for name, value in raw if name.lower() == b"transfer-encoding"] != [b"chunked"]:
                raise UnusableAnswer("a transfer encoding that is not just chunked")
            framing = _CHUNKED
        elif b"content-length" in response.index:
            framing = _LENGTH
            self._length = self._rest = int(response.index[b"content-length"])
        else:
            framing = _UNTIL_CLOSE
        if status in wire.BODILESS:
            if status == 204 and framing is not _UNTIL_CLOSE:
                if chunked or self._length:
                    raise UnusableAnswer("a 204 with a body's framing")
                response.remove(b"content-length")  # as Envoy does with the 0 that RFC 9110 8.6 forbids here
            framing = _NONE
        self._framing = framing
        return framing

    def on_body(self, data: bytes) -> None:
        self._overhead = 0
        self._rest -= len(data)
        if self.stage is _BODY and self.attempts is not None:
            self.attempts.on_body(data)

    def on_message_complete(self) -> None:
        if self.stage is _BODY:
            self.stage = _WHOLE
            if self._fields and self.attempts is not None:
                self._trailers(self.attempts)
        elif self.stage is _HEAD:
            self._head_bytes = 0  # an interim answer has ended

    def _trailers(self, attempts: "Attempts") -> None:
        config = self.pool.cluster.config
        if len(self._fields) > config.max_response_headers_count:
            self.stage = _BODY
            raise UnusableAnswer("too many trailers")
        trailers = passed_on(self._fields) if config.enable_trailers else []
        if trailers:
            attempts.on_trailers(trailers)
