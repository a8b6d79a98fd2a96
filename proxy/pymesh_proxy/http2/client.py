"""An HTTP/2 connection to an upstream, and the streams by which it carries exchanges."""

import asyncio
from typing import TYPE_CHECKING, Final

from ..errors import Cause
from ..http.headers import ResponseHead
from ..http.stream import Framing, UpstreamRequest
from ..http.wire import BODILESS
from ..tls.layer import TlsLayer
from ..wheel import NEVER
from .connection import H2Connection
from .errors import StreamBroken
from .frames import CANCEL, PROTOCOL_ERROR, REFUSED_STREAM
from .hpack import Fields
from .keepalive import Heartbeat
from .phase import CLOSED, LEAVING
from .stream import H2Stream
from .translate import read_response, write_request
from .tunnel import StreamTransport

if TYPE_CHECKING:
    from ..http.attempts import Attempts
    from ..tls.peer import PeerCertificate
    from ..upstream.shared import SharedPool
    from .settings import Http2Options

_NONE: Final = Framing.NONE
_LENGTH: Final = Framing.LENGTH
_CHUNKED: Final = Framing.CHUNKED



class ClientConnection(H2Connection):
    """One connection of a pool, shared by as many exchanges as the server allows."""

    __slots__ = (
        "_heartbeat", "_known", "_known_drop", "_known_fields", "_unflushed", "certificate", "deadline", "expires", "failed",
        "idle_since", "local_address", "offered", "pool", "requests", "wake",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, pool: "SharedPool", options: "Http2Options") -> None:
        config = pool.cluster.config
        super().__init__(
            loop, options, client=True, buffer_limit=config.buffer_limit, max_header_bytes=config.max_response_headers,
            max_header_count=config.max_response_headers_count,
        )  # fmt: skip
        self.pool = pool
        self.local_address = ""
        self.certificate: PeerCertificate | None = None
        self.offered = False
        """The pool gives it requests."""
        self.failed = False
        """The server has broken a rule."""
        self.requests = 0
        self.deadline = self.wake = NEVER
        self.expires = NEVER
        """Loop time at which the connection has lived long enough (max_connection_duration)."""
        self.idle_since = 0.0
        self._known: ResponseHead | None = None
        """What the list of the last answer was read as, untouched."""
        self._known_fields: Fields = []
        self._known_drop: frozenset[bytes] = frozenset()
        self._heartbeat = Heartbeat(options.connection_keepalive, loop.time)
        self._unflushed: list[Attempts] = []
        """Exchanges that got a part of their answer in this read."""

    @property
    def closed(self) -> bool:
        return self.phase == CLOSED

    # --- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, TlsLayer):
            self.certificate = transport.peer
        name = transport.get_extra_info("sockname")
        self.local_address = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name or "")
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.pool.cluster.upstream_cx_rx_bytes_total += len(data)
        self._heartbeat.heard()
        super().data_received(data)

    def eof_received(self) -> bool:
        self.pool.leaving(self)  # now, not in a later turn: requests of this one could still take it
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.pool.lost(self)
        super().connection_lost(exc)

    # --- the connection's hooks ---------------------------------------------------------------------------------------

    def on_written(self, size: int) -> None:
        self.pool.cluster.upstream_cx_tx_bytes_total += size

    def on_pong(self, opaque: bytes) -> None:
        self._heartbeat.answered()

    def on_settings(self) -> None:
        self.pool.has_room(self)

    def on_goaway(self, last_id: int, code: int) -> None:
        self.pool.leaving(self)

    def on_failed(self, code: int, reason: str) -> None:
        self.failed = True
        self.pool.leaving(self)

    def forget(self, stream: H2Stream) -> None:
        super().forget(stream)
        if not self.streams:
            self.idle_since = self._loop.time()
        self.pool.has_room(self)

    def flush(self) -> None:
        unflushed = self._unflushed
        if unflushed:
            self._unflushed = []
            for attempts in unflushed:
                attempts.flush()
        super().flush()

    def read(self, fields: Fields, drop: frozenset[bytes]) -> ResponseHead:
        """An answer's head. Lists are shared between equal sections, so identity tells a repetition, which is only copied."""
        known = self._known
        if known is None or fields is not self._known_fields or drop is not self._known_drop:
            known = self._known = read_response(fields, int(fields[0][1]), drop)
            self._known_fields, self._known_drop = fields, drop
        return ResponseHead(known.status, known.fields.copy(), known.index.copy())

    def wake_up(self) -> None:
        """A request is about to go out: after a long silence a PING goes first, so that a dead connection is found soon."""
        due = self._heartbeat.wake(self)
        if due < self.deadline:
            self.pool.wheel.arm(self, due)

    def flush_later(self, attempts: "Attempts") -> None:
        """The exchange's client gets what came when the read has been worked on."""
        if not self._unflushed or self._unflushed[-1] is not attempts:
            self._unflushed.append(attempts)

    # --- time ---------------------------------------------------------------------------------------------------------

    def on_deadline(self, now: float) -> None:
        """One of: idle for too long, old enough, time for a PING, a PING that was not answered."""
        if self._heartbeat.lost(now):
            self.pool.leaving(self)
            self.transport.abort()
            return
        idle = self.pool.cluster.config.idle_timeout
        if now >= self.expires or (not self.streams and idle and now >= self.idle_since + idle):
            self.pool.leaving(self)
            if not self.streams and self.transport.get_write_buffer_size():
                self.transport.abort()  # the server takes nothing: a close would wait for it
                return
            self.leave()
        if self.phase == CLOSED:
            return
        self._heartbeat.beat(self, now)
        self.rearm(now)

    def rearm(self, now: float) -> None:
        """Look again at the earliest of what may come."""
        idle = self.pool.cluster.config.idle_timeout
        since = now if self.streams else self.idle_since
        deadline = min(since + idle if idle else NEVER, self.expires if self.expires > now else NEVER, self._heartbeat.next(now))
        self.pool.wheel.arm(self, deadline)


class ClientStream(H2Stream, UpstreamRequest):
    """One exchange's request to an upstream, and its answer."""

    __slots__ = ("_attempts", "_link", "_paused", "_tunnel", "_unread", "local_address", "peer")

    def __init__(self, link: ClientConnection) -> None:
        super().__init__(link)
        self._link = link
        self._attempts: Attempts | None = None
        self._paused = False
        self._unread = 0
        """Octets passed on while the client was too slow: their window is given back when it has caught up."""
        self._tunnel: StreamTransport | None = None
        """Behind a CONNECT that was agreed to."""
        self.local_address = link.local_address
        self.peer: PeerCertificate | None = link.certificate

    # --- the exchange's side ------------------------------------------------------------------------------------------

    def start(self, attempts: "Attempts", body: list[bytes] | None) -> None:
        """Send the head, what there is of the body, and if the exchange is complete its end."""
        self._attempts = attempts
        exchange = attempts.exchange
        head = exchange.head
        if head.method == b"HEAD":
            self.bodiless = True
        complete = attempts.complete and not attempts.upgrade
        if self._link.options.connection_keepalive is not None:
            self._link.wake_up()
        self.send_headers(write_request(head, attempts.upgrade), complete and not body and not attempts.trailers)
        exchange.request_wire_bytes = self._link.section_size
        if body:
            data = body[0] if len(body) == 1 else b"".join(body)
            self.send_body(data, complete and not attempts.trailers)
        if complete and attempts.trailers:
            self.send_headers(attempts.trailers, True)

    def send_body(self, data: bytes, end: bool) -> None:
        if not self.send_data(data, end) and self._attempts is not None:
            self._attempts.pause_upload()

    def send_end(self) -> None:
        trailers = self._attempts.trailers if self._attempts is not None else None
        if trailers:
            self.send_headers(trailers, True)
        else:
            self.send_data(b"", True)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        unread, self._unread = self._unread, 0
        self.consumed(unread)

    def discard(self) -> None:
        self._attempts = None
        self.reset(CANCEL)

    def leave(self) -> asyncio.Transport:
        assert self._tunnel is not None
        return self._tunnel.as_transport

    def left(self) -> None:
        """The connection counts by itself."""

    # --- the connection's side ----------------------------------------------------------------------------------------

    def on_headers(self, fields: Fields, end: bool) -> None:
        attempts = self._attempts
        if attempts is None:
            if self._tunnel is not None:
                raise StreamBroken(PROTOCOL_ERROR, "trailers where a tunnel has only DATA (RFC 9113 8.5)")
            return
        if attempts.answering:
            attempts.on_trailers([*fields])
            self._finish(attempts)
            return
        response = self._link.read(fields, attempts.options.response_drop)
        status = response.status
        if status < 200:
            if attempts.options.proxy_100_continue:
                attempts.on_interim(response)
            return
        if attempts.upgrade and status < 300 and not end:
            self._begin_tunnel(attempts, response)
            return
        bodiless = end or self.bodiless or (status != 200 and status in BODILESS)  # the end may come in a frame of its own
        framing = _NONE if bodiless else _LENGTH if b"content-length" in response.index else _CHUNKED
        attempts.on_head(response, framing)
        if self._attempts is not attempts:
            return  # the exchange wants another attempt
        if end:
            self._finish(attempts)
        else:
            self._link.flush_later(attempts)

    def _begin_tunnel(self, attempts: "Attempts", response: ResponseHead) -> None:
        """The server agrees. To HTTP/1 that is a 101, unless it asked with CONNECT."""
        self._attempts = None
        self._tunnel = StreamTransport(self)
        if attempts.exchange.head.method != b"CONNECT":
            response.status = 101
        attempts.on_tunnel(response, b"")

    def on_data(self, data: bytes, end: bool) -> None:
        if self._tunnel is not None:
            self._tunnel.received(data, end)
            return
        if self._paused:
            self._unread += len(data)
        else:
            self.consumed(len(data))
        attempts = self._attempts
        if attempts is None:
            return
        if data:
            attempts.on_body(data)
        if end:
            self._finish(attempts)
        else:
            self._link.flush_later(attempts)

    def on_reset(self, code: int) -> None:
        if code == REFUSED_STREAM:
            self._fail(Cause.UPSTREAM_REFUSED, "remote_refused_stream_reset", "", left=self._link.phase >= LEAVING)
        else:
            self._fail(Cause.UPSTREAM_RESET, "remote_reset", "")

    def on_violation(self, code: int) -> None:
        self._fail(Cause.UPSTREAM_PROTOCOL, "protocol_error", "")

    def on_lost(self, reason: str) -> None:
        if self._link.failed:
            self._fail(Cause.UPSTREAM_PROTOCOL, "protocol_error", "")
        else:
            self._fail(Cause.UPSTREAM_CLOSED, "connection_termination", reason)

    def on_writable(self) -> None:
        if self._tunnel is not None:
            self._tunnel.writable()
        if self._attempts is not None:
            self._attempts.resume_upload()

    def _finish(self, attempts: "Attempts") -> None:
        """The answer is whole. A request that has not gone up to its end is cut off: its end would interest nobody."""
        self._attempts = None
        attempts.on_end()
        self.reset(CANCEL)

    def _fail(self, cause: Cause, details: str, reason: str, *, left: bool = False) -> None:
        """`left`: the server had gone before it looked at the request."""
        if self._tunnel is not None:
            self._tunnel.lost()
        attempts, self._attempts = self._attempts, None
        if attempts is None:
            return
        if attempts.answering:
            attempts.on_broken(details)
        else:
            attempts.on_failed(cause, reason, reused=left or self._link.requests > 1)
