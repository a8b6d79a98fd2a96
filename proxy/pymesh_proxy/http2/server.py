"""An HTTP/2 connection from a client, and its streams: each is the client's side of one exchange."""

import asyncio
import logging
from time import monotonic
from time import time as wall_clock
from typing import TYPE_CHECKING, Final

from .. import rescue
from ..errors import Cause
from ..filters import LocalReply
from ..http.exchange import Downstream, Exchange
from ..http.h1_request import checked_names, rewrite
from ..http.headers import RequestHead, ResponseHead
from ..http.options import HttpOptions, Underscores
from ..http.request_target import TargetRejected
from ..http.router import Router
from ..http.stream import Framing, UpstreamRequest
from ..wheel import NEVER
from .connection import H2Connection
from .frames import INTERNAL_ERROR, NO_ERROR
from .hpack import Fields
from .keepalive import Heartbeat
from .stream import H2Stream
from .translate import read_request, write_response

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime

_log = logging.getLogger("pymesh.proxy.http2")

_CLOSED: Final = 4
_DRAINING: Final = 2
_LOCAL: Final = 1
_REMOTE: Final = 2

_SOUNDING: Final = b"draining"
"""The PING behind a first GOAWAY: when it is answered, the client has read that too."""


class ServerConnection(H2Connection):
    """One client's connection."""

    __slots__ = (
        "_heartbeat", "_leave_at", "_served", "_started", "deadline", "facts", "idle_since", "known", "known_as", "manager", "runtime",
        "scope", "wake",
    )  # fmt: skip

    def __init__(self, runtime: "Runtime", manager: HttpOptions, scope: "Scope", facts: Downstream) -> None:
        super().__init__(
            runtime.loop, manager.http2, client=False, buffer_limit=scope.buffer_limit, max_header_bytes=manager.max_request_headers,
            max_header_count=manager.max_headers_count,
        )  # fmt: skip
        self.runtime = runtime
        self.manager = manager
        self.scope = scope
        self.facts = facts
        self.deadline = self.wake = NEVER
        self.idle_since = 0.0
        self.known: Fields = []
        """The list that the last request was made of. Lists are shared between equal sections, so identity tells a repetition."""
        self.known_as: RequestHead | None = None
        """What it was read as, untouched."""
        self._served = 0
        self._started = 0.0
        self._leave_at = NEVER
        """When to send the final GOAWAY even if nobody has answered the first."""
        self._heartbeat = Heartbeat(manager.http2.connection_keepalive)

    # --- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stats = self.manager.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        self.scope.add(self)
        self._started = self.idle_since = self._loop.time()
        super().connection_made(transport)
        if self.scope.draining:
            self.drain()
        self._rearm(self._started)

    def data_received(self, data: bytes) -> None:
        self.manager.stats.downstream_cx_rx_bytes_total += len(data)
        self._heartbeat.heard()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.runtime.wheel.arm(self, NEVER)
        self.manager.stats.downstream_cx_active -= 1
        self.scope.discard(self)
        super().connection_lost(exc)

    # --- the connection's hooks ---------------------------------------------------------------------------------------

    def open_stream(self, stream_id: int) -> H2Stream:
        self._served += 1
        maximum = self.manager.max_requests_per_connection
        if maximum and self._served >= maximum:
            self.drain()
        return ServerStream(self, stream_id)

    def on_written(self, size: int) -> None:
        self.manager.stats.downstream_cx_tx_bytes_total += size

    def on_pong(self, opaque: bytes) -> None:
        if opaque == _SOUNDING:
            self.leave()
        else:
            self._heartbeat.answered()

    def on_failed(self, code: int, reason: str) -> None:
        self.manager.stats.downstream_cx_protocol_error += 1
        _log.info("%s: HTTP/2 connection of %s ended: %s", self.scope.name, self.facts.remote_address, reason)

    def forget(self, stream: H2Stream) -> None:
        super().forget(stream)
        if not self.streams:
            self.idle_since = self._loop.time()

    def drain(self) -> None:
        """Ask the client to leave: no stream is refused that it opened before it could know (RFC 9113 6.8)."""
        if self.phase >= _DRAINING:
            return
        super().drain()
        self.ping(_SOUNDING)
        self.manager.stats.downstream_cx_drain_close += 1
        self._leave_at = self._loop.time() + self.manager.drain_timeout
        self.arm(self._leave_at)

    # --- time ---------------------------------------------------------------------------------------------------------

    def arm(self, deadline: float) -> None:
        """Look at everything that has a time at this one, if not before."""
        if deadline < self.deadline:
            self.deadline = deadline
            if deadline < self.wake:  # else the wheel looks in time by itself (see Wheel.arm)
                self.runtime.wheel.arm(self, deadline)

    def on_deadline(self, now: float) -> None:
        """A stream's time, or the connection's own: idle, old enough, not heard of since a PING, not left since it was asked to."""
        for stream in list(self.streams.values()):
            if isinstance(stream, ServerStream):
                stream.look(now)
        if self.phase == _CLOSED:
            return
        if self._heartbeat.lost(now):
            self.transport.abort()
            return
        if self._expires() <= now:
            self.drain()
        if self._leave_at <= now or self._idle_until() <= now:
            self.leave()
        if self.phase != _CLOSED:
            self._heartbeat.beat(self, now)
            self._rearm(now)

    def _expires(self) -> float:
        lifetime = self.manager.max_connection_duration
        return self._started + lifetime if lifetime and self.phase < _DRAINING else NEVER

    def _idle_until(self) -> float:
        idle = self.manager.idle_timeout
        return self.idle_since + idle if idle and not self.streams else NEVER

    def _rearm(self, now: float) -> None:
        idle = self.manager.idle_timeout
        self.deadline = NEVER
        self.arm(min(self._expires(), self._idle_until(), self._heartbeat.next(now), now + idle if idle else NEVER))
        if self._leave_at > now:
            self.arm(self._leave_at)
        for stream in self.streams.values():
            if isinstance(stream, ServerStream):
                self.arm(stream.deadline)


class ServerStream(H2Stream):
    """One request of a client, and its answer. To the Router it is the DownstreamStream.

    The answer's head and the last piece of its body wait for what comes next in the same turn, so that the end of the stream
    can be said with them rather than in a frame of its own.
    """

    __slots__ = ("_head", "_link", "_paused", "_piece", "_router", "_trailers_out", "_unread", "deadline")

    def __init__(self, link: ServerConnection, stream_id: int) -> None:
        super().__init__(link, stream_id)
        self._link = link
        self._router: Router | None = None
        self._head: ResponseHead | None = None
        self._piece = b""
        self._trailers_out: Fields | None = None
        self._paused = False
        self._unread = 0
        """Octets that came while the upstream was too slow: their window is given back when it has caught up."""
        self.deadline = NEVER

    # --- the connection's side ----------------------------------------------------------------------------------------

    def on_headers(self, fields: Fields, end: bool) -> None:
        router = self._router
        if router is not None:
            router.end(fields)
        elif not self.answered:
            self._begin(fields, end)

    def _begin(self, fields: Fields, end: bool) -> None:
        link = self._link
        stats = link.manager.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_active += 1
        refusal: TargetRejected | None = None
        if fields is link.known and link.known_as is not None:
            head = _copy(link.known_as)
        else:
            head = read_request(fields)
            try:
                _police(link.manager, link.facts, head)
                link.known, link.known_as = fields, _copy(head)
            except TargetRejected as rejected:
                refusal = rejected
        exchange = Exchange(link.facts, head, monotonic(), wall_clock())
        exchange.protocol = "HTTP/2"
        chunked = not end and b"content-length" not in head.index
        self._router = router = Router(link.runtime, link.manager, self, exchange, chunked, b"")
        if refusal is not None:
            router.reply(_refusal(refusal))
        elif head.method == b"CONNECT":
            router.reply(rescue.reply(Cause.NO_ROUTE))
        else:
            router.start(end)

    def on_data(self, data: bytes, end: bool) -> None:
        router = self._router
        if self._paused:
            self._unread += len(data)
        else:
            self.consumed(len(data))
        if router is None:
            return  # the answer was complete before the request
        if data or not end:
            router.body(data, end)
        else:
            router.end()

    def on_reset(self, code: int) -> None:
        self._left("http2.remote_reset", "DR")

    def on_lost(self, reason: str) -> None:
        self._left("downstream_remote_disconnect", "DC")

    def _left(self, details: str, flags: str) -> None:
        router, self._router = self._router, None
        self.deadline = NEVER
        if router is not None:
            stats = self._link.manager.stats
            stats.downstream_rq_active -= 1
            stats.downstream_rq_rx_reset += 1
            router.client_left(details, flags)

    def on_writable(self) -> None:
        if self._router is not None:
            self._router.resume_answer()

    # --- the router's side --------------------------------------------------------------------------------------------

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        self._head = response

    def send_interim(self, response: ResponseHead) -> None:
        self.send_headers(write_response(response), False)

    def send_body(self, data: bytes) -> None:
        if self._head is not None:
            self._write_head(False)
        if self._piece:
            self._write_piece(False)
        self._piece = data

    def send_trailers(self, fields: Fields) -> None:
        self._trailers_out = fields

    def flush(self) -> None:
        if self._head is not None:
            self._write_head(False)
        if self._piece:
            self._write_piece(False)

    def _write_head(self, end: bool) -> None:
        response, self._head = self._head, None
        if response is None:
            return
        self.send_headers(write_response(response), end)
        if self._router is not None:
            self._router.exchange.response_wire_bytes = self._link.section_size

    def _write_piece(self, end: bool) -> None:
        data, self._piece = self._piece, b""
        if not self.send_data(data, end) and self._router is not None:
            self._router.pause_answer()

    def finish(self) -> None:
        router, self._router = self._router, None
        if router is None:
            return
        self.deadline = NEVER
        trailers = self._trailers_out
        last = not trailers
        if self._head is not None:
            self._write_head(last and not self._piece)
        if self._piece:
            self._write_piece(last)
        elif last:
            self.send_data(b"", True)
        if trailers:
            self.send_headers(trailers, True)
        self._link.manager.stats.ended(router.exchange.status)
        if self.state == _LOCAL:
            self.reset(NO_ERROR)  # the rest of the request is not wanted (RFC 9113 8.1)

    def abort(self) -> None:
        router, self._router = self._router, None
        self.deadline = NEVER
        if router is not None:
            self._link.manager.stats.ended(router.exchange.status)
        self.reset(INTERNAL_ERROR)

    def pause_request(self) -> None:
        self._paused = True

    def resume_request(self) -> None:
        self._paused = False
        unread, self._unread = self._unread, 0
        self.consumed(unread)

    def arm(self, deadline: float) -> None:
        self.deadline = deadline
        if deadline < self._link.deadline:
            self._link.arm(deadline)

    def look(self, now: float) -> None:
        """The stream's time may have come."""
        if self.deadline <= now and self._router is not None:
            self.deadline = NEVER
            self._router.on_deadline(now)

    def tunnel(self, connection: UpstreamRequest, early: bytes) -> None:
        raise NotImplementedError


def _copy(head: RequestHead) -> RequestHead:
    """A head like this one, to be edited on its way."""
    return RequestHead(head.method, head.path, head.authority, head.fields.copy(), head.scheme, head.version, head.index.copy())


def _police(options: HttpOptions, facts: Downstream, head: RequestHead) -> None:
    """What the manager's options ask of a head beyond HTTP/2's own rules; raises TargetRejected."""
    if b"#" in head.path:
        raise TargetRejected(400, "http2.invalid_path", b"a fragment does not belong in a request target")
    if options.underscores is not Underscores.ALLOW:
        head.fields = checked_names(options, head.fields)
        head.index = dict(head.fields)
    if options.rewrites_target:
        rewrite(options, facts, head)


def _refusal(rejected: TargetRejected) -> LocalReply:
    return rescue.reply(
        Cause.BAD_REQUEST, status=rejected.status, details=rejected.details, body=rejected.sentence, headers=rejected.headers
    )
