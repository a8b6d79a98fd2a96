"""An HTTP/1.1 connection from a client: requests in, answers out, strictly one after the other.

httptools parses what arrives; pipelined requests wait in a queue that is bounded by one read, since reading stops while it
is not empty. Each request is driven by a Router, to which this is the DownstreamStream.
"""

import asyncio
from time import monotonic
from time import time as wall_clock
from typing import TYPE_CHECKING, cast

import httptools

from .. import rescue
from ..errors import Cause
from ..filters import LocalReply
from ..http2.frames import PREFACE
from ..http2.server import ServerConnection as Http2Connection
from ..tcp.relay import Relay
from ..wheel import NEVER
from . import wire
from .exchange import Downstream, Exchange
from .h1_answers import Reading
from .h1_request import checked, checked_names, refusal_of, spares_connection
from .h1_times import Timing
from .headers import Fields, RequestHead
from .options import Codec, HttpOptions
from .pipeline import Pipelined
from .request_target import TargetRejected
from .router import Router
from .stream import UpstreamRequest
from .trailers import passed_on

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime


_BODY_OR_SWITCH = frozenset((b"content-length", b"transfer-encoding", b"upgrade", b"expect"))
"""Without one of these a request is complete with its head."""


_REPEATED_LIMIT = 4096
"""Bytes of a read that are compared with the next one. Clients on a kept-alive connection repeat themselves (probes, scrapes,
polls), and parsing is a large part of an exchange; one comparison finds out."""

_SLICE = 32 * 1024
"""Bytes that are parsed in one loop turn, but for a body whose length is known: those are passed on as they came."""

_AT_ONCE = 16
"""Requests of one read that are begun as they are parsed; further ones wait for their turn."""

# Enum members as globals: the hot path compares with them several times a request.
_HEAD, _BODY, _STOPPED = Reading.HEAD, Reading.BODY, Reading.STOPPED


class ServerConnection(Timing):
    """One client's connection."""

    __slots__ = (
        "_begun", "_between", "_feeding", "_fields", "_head_bytes", "_held_bytes", "_last_read", "_left", "_overhead", "_parser",
        "_paused", "_receiving", "_repeated", "_repeats", "_sniffing", "_unread", "_url",
    )  # fmt: skip

    def __init__(self, runtime: "Runtime", options: HttpOptions, scope: "Scope", facts: Downstream) -> None:
        super().__init__(runtime, options, scope, facts)
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._fields: Fields = []
        self._head_bytes = 0
        self._overhead = 0
        """Bytes of chunk framing and trailers since the last byte of a body: they carry nothing, and are bounded like a head."""
        self._receiving: Router | Pipelined | None = None
        """Who gets the body that is being read."""
        self._held_bytes = b""
        self._sniffing = options.codec is Codec.AUTO
        """The first bytes have not come; they may be HTTP/2's preface (RFC 9113 3.3)."""
        self._unread = b""
        """What was read and is not parsed yet; nothing more is read meanwhile."""
        self._feeding = False
        """Whether the next slice of it has its turn."""
        self._paused = False
        """Whether earlier requests or the upstream have to catch up before more is parsed."""
        self._begun = 0
        """Requests that were begun in this turn: some are answered at once, and a crowd of them would hold everybody up."""
        self._left = 0
        """Bytes of a body of known length that are still to come."""
        self._between = True
        """Whether the parser stands between two requests."""
        self._last_read = b""
        self._repeats = False
        """Whether the bytes being parsed are those of the read before."""
        self._repeated: RequestHead | None = None
        """What `_last_read` was parsed to, untouched: a whole request without a body."""

    def __repr__(self) -> str:
        return f"<ServerConnection {self.facts.remote_address} reading={self._reading.name} served={self._served} {self._router!r}>"

    # --- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        limit = self.scope.buffer_limit
        self.transport.set_write_buffer_limits(high=limit, low=limit // 2)
        stats = self.options.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        self.scope.add(self)
        self._started = self._runtime.loop.time()
        self._begin_life()

    def data_received(self, data: bytes) -> None:
        if self._sniffing:
            data = self._sniff(data)
            if not data:
                return
        self.options.stats.downstream_cx_rx_bytes_total += len(data)
        if self._unread or (len(data) > _SLICE and (self._reading is not _BODY or len(data) > self._left)):
            self._take(data)
        else:
            self._feed(data)

    def _take(self, data: bytes) -> None:
        """A read that may hold a crowd of requests or chunks is parsed over several turns, so that other connections get theirs."""
        self._unread += data
        if not self.transport.is_closing():
            self.transport.pause_reading()
        if not self._feeding:
            self._feed_on()

    def _feed_on(self) -> None:
        """The next slice of what was read, unless earlier requests or the upstream have to catch up first."""
        self._feeding = False
        if self._paused or not self._unread:
            return
        size = max(_SLICE, self._left if self._reading is _BODY else 0)
        data, self._unread = self._unread[:size], self._unread[size:]
        self._feed(data)
        if not self._paused:
            self.resume_request()

    def _feed(self, data: bytes) -> None:
        self._begun = 0
        reading = self._reading
        if reading is _HEAD:
            if data == self._last_read and self._between and self._router is None and not self._queue:
                if self._repeated is not None:
                    self._begin(self._repeated.copy(), True, False, b"")
                    return
                self._repeats = True
            else:
                self._last_read = data if len(data) <= _REPEATED_LIMIT else b""
                self._repeated = None
                self._repeats = False
            self._head_bytes += len(data)
        elif reading is _BODY:
            self._overhead += len(data)
        elif reading is Reading.UPGRADE:
            self._hold(data)
            return
        else:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._stopped(error, data)
        if not self._between:
            self._repeated = None  # the read ended within a request
            if self._reading is _HEAD and self._router is None:
                self._await_head()
        if self._head_bytes > self.options.max_request_headers or self._overhead > self.options.max_request_headers:
            self._malformed(refusal_of(_too_large()))
        if self._queue:
            self.pause_request()

    def _sniff(self, data: bytes) -> bytes:
        """What HTTP/1 has to read; empty while that is open, and when HTTP/2 reads it."""
        data = self._held_bytes + data
        self._held_bytes = b""
        if PREFACE.startswith(data):
            if len(data) < len(PREFACE):
                self._held_bytes = data
                return b""
        elif not data.startswith(PREFACE):
            self._sniffing = False
            return data
        self._leave()
        self.options.stats.downstream_cx_total -= 1  # counted again by its successor
        successor = Http2Connection(self._runtime, self.options, self.scope, self.facts)
        self.transport.set_protocol(successor)
        successor.connection_made(self.transport)
        successor.data_received(data)
        return b""

    def _stopped(self, error: Exception, data: bytes) -> None:
        """The parser goes no further: a protocol switch, or something that is no request."""
        if isinstance(error, httptools.HttpParserUpgrade):
            self._after_upgrade(data[error.args[0] :])
        elif isinstance(error.__context__, TargetRejected):
            self._malformed(refusal_of(error.__context__))
        elif isinstance(error, httptools.HttpParserCallbackError):
            raise error
        elif self._reading not in (Reading.STOPPED, Reading.REFUSED):  # bytes behind a last request are ignored, not judged
            self._malformed(rescue.reply(Cause.BAD_REQUEST, body=b"malformed HTTP/1.1 request: " + str(error).encode()))

    def eof_received(self) -> bool:
        """The client sends no more. An answer under way still goes out; a half-sent request gets none."""
        if self._router is None and not self._queue:
            return False
        if self._reading is Reading.BODY:
            return False
        self._reading = Reading.STOPPED
        self._close_after |= not self._queue
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._queue.clear()
        router, self._router = self._router, None
        if router is not None:
            self.options.stats.downstream_rq_active -= 1
            self.options.stats.downstream_rq_rx_reset += 1
            router.client_left()

    def _leave(self) -> None:
        """This object no longer stands for the connection."""
        self._runtime.wheel.arm(self, NEVER)
        self.options.stats.downstream_cx_active -= 1
        self.scope.discard(self)

    def pause_writing(self) -> None:
        if self._router is not None:
            self._router.pause_answer()

    def resume_writing(self) -> None:
        if self._router is not None:
            self._router.resume_answer()

    # --- httptools' side ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._between = False
        self._url = b""
        self._fields = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value.rstrip(b" \t")))  # llhttp trims only in front (RFC 9112 5.1; CVE-2019-18802)

    def on_headers_complete(self) -> None:
        if self._reading is not _HEAD:
            return  # the framing of a request whose upgrade is ignored, fed again
        self._overhead = 0
        if self._head_bytes > self.options.max_request_headers and self._head_size() > self.options.max_request_headers:
            raise _too_large()
        parser = self._parser
        try:
            head = checked(self.options, self.facts, parser.get_method(), self._url, parser.get_http_version(), self._fields)
        except TargetRejected as rejected:
            if not spares_connection(self.options, rejected, self._fields):
                raise
            self._decline(rejected)
            return
        self._fields = []  # from here on they are trailers
        self._head_bytes = 0
        self._head_by = NEVER
        self._reading = _BODY
        if head.method == b"CONNECT":
            complete, chunked, upgrade = True, False, b"CONNECT"
        elif _BODY_OR_SWITCH.isdisjoint(head.index):
            complete, chunked, upgrade = True, False, b""
        else:
            complete, chunked, upgrade = self._follow(head)
        if self._has_turn():
            self._begun += 1
            if self._repeats:
                self._keep_parsed(head, complete and not upgrade)
            self._begin(head, complete, chunked, upgrade)
        else:
            self._keep_parsed(head, False)
            if self._router is None and not self._queue:
                self._runtime.loop.call_soon(self._next)
            self._receiving = parsed = Pipelined(head, complete, chunked, upgrade)
            self._queue.append(parsed)

    def _has_turn(self) -> bool:
        """Whether a request that was just read can begin."""
        return self._router is None and not self._queue and self._begun < _AT_ONCE

    def _decline(self, rejected: TargetRejected) -> None:
        """A request whose answer is known with its head; the connection goes on."""
        parser = self._parser
        head = RequestHead(parser.get_method(), self._url, b"", self._fields, version=parser.get_http_version())
        self._fields = []
        self._head_bytes = 0
        self._head_by = NEVER
        self._reading = _BODY
        self._keep_parsed(head, False)
        refusal = refusal_of(rejected)
        if self._router is None and not self._queue:
            self._begin(head, True, False, b"", refusal)
        else:
            self._queue.append(Pipelined(head, True, refusal=refusal))

    def _keep_parsed(self, head: RequestHead, alone: bool) -> None:
        """Keep what the repeated bytes are, if they are one request, whole with its head, on a connection that goes on."""
        if alone and self._repeated is None and self._parser.should_keep_alive():
            self._repeated = head.copy()
        else:
            self._repeats = False
            self._repeated = None

    def _follow(self, head: RequestHead) -> tuple[bool, bool, bytes]:
        """What follows a head: whether nothing does, whether it is chunked, and the upgrade that is asked for."""
        index = head.index
        chunked = b"transfer-encoding" in index
        if not chunked:
            self._left = int(index.get(b"content-length", b"0"))
        complete = not chunked and index.get(b"content-length", b"0").strip(b"0") == b""
        upgrade = index[b"upgrade"] if b"upgrade" in index and self._parser.should_upgrade() else b""
        if upgrade.lower() == b"h2c":
            upgrade = b""  # silently ignored, as by Envoy: JDK clients offer it with every request
        if b"expect" in index and not complete and self._has_turn():
            self._invite(head)
        return complete or bool(upgrade), chunked, upgrade

    def _invite(self, head: RequestHead) -> None:
        """`100 Continue` for a request whose turn it is, unless that is the upstream's to say; clients of HTTP/1.0 do not know it."""
        if head.index[b"expect"].lower() == b"100-continue" and head.version != "1.0" and not self.options.proxy_100_continue:
            self._out.append(wire.CONTINUE)
            self.flush()

    def _head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._fields)

    def on_body(self, data: bytes) -> None:
        self._overhead = 0
        self._left -= len(data)
        receiving = self._receiving
        if isinstance(receiving, Router):
            receiving.body(data)
        elif receiving is not None:
            receiving.body.append(data)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # the parser skips the body of a request that asks for an upgrade; `_after_upgrade` says what comes next
        if self._fields and self._head_size() > self.options.max_request_headers:
            raise _too_large()
        trailers = self._checked_trailers() if self._fields and self.options.enable_trailers else None
        receiving, self._receiving = self._receiving, None
        self._between = True
        self._read_by = NEVER
        self._reading = _HEAD if self._parser.should_keep_alive() else _STOPPED
        self._overhead = 0
        if isinstance(receiving, Router):
            receiving.end(trailers)
        elif receiving is not None:
            receiving.complete = True
            receiving.trailers = trailers

    def _checked_trailers(self) -> Fields:
        """The request's trailers that are passed on; raises TargetRejected."""
        return passed_on(checked_names(self.options, self._fields))

    # --- requests -----------------------------------------------------------------------------------------------------

    def _begin(
        self,
        head: RequestHead,
        complete: bool,
        chunked: bool,
        upgrade: bytes,
        refusal: LocalReply | None = None,
        fatal: bool = False,
    ) -> None:
        """Start the exchange of a request whose turn it is."""
        stats = self.options.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_active += 1
        self._served += 1
        exchange = Exchange(self.facts, head, monotonic(), wall_clock())
        self._version_10 = False
        if head.version == "1.0":
            self._version_10 = True
            exchange.protocol = "HTTP/1.0"
        self._close_after = fatal or bool(upgrade)
        if b"connection" in head.index or self._version_10:
            self._close_after |= self._asks_to_close(head)
        self._router = router = Router(self._runtime, self.options, self, exchange, chunked, upgrade)
        if not complete:
            self._receiving = router
            if self.options.request_timeout and self._read_by == NEVER:
                self._read_by = self._runtime.loop.time() + self.options.request_timeout
        if refusal is not None:
            router.complete = complete
            router.reply(refusal)
        else:
            router.start(complete)

    def _asks_to_close(self, head: RequestHead) -> bool:
        connection = head.index.get(b"connection")
        if self._version_10:
            return connection is None or b"keep-alive" not in connection.lower()
        return connection is not None and b"close" in connection.lower()

    def _busy(self) -> bool:
        return self._router is not None

    def _next(self) -> None:
        """The next pipelined request, if any."""
        if not self._queue or self._busy():
            return
        parsed = self._queue.popleft()
        complete = parsed.complete
        still_reading = self._receiving is parsed
        if still_reading and b"expect" in parsed.head.index:
            self._invite(parsed.head)
        self._begin(parsed.head, complete and not parsed.body, parsed.chunked, parsed.upgrade, parsed.refusal, parsed.fatal)
        router = self._router
        if router is not None:
            for data in parsed.body:
                router.body(data)
            if complete and parsed.body:
                router.end(parsed.trailers)
            elif still_reading:
                self._receiving = router
        self.resume_request()

    def _malformed(self, refusal: LocalReply) -> None:
        self.options.stats.downstream_cx_protocol_error += 1
        self._refuse(refusal)

    def _refuse(self, refusal: LocalReply) -> None:
        """What was read is no request, or not in time: answer when its turn comes, then close."""
        self._reading = Reading.REFUSED
        self._head_bytes = self._overhead = 0
        self._head_by = self._read_by = NEVER
        router = self._router
        if router is not None and self._receiving is router:  # the body of the request under way went wrong
            self._receiving = None
            self._close_after = True
            if not router.answering:
                router.refuse(refusal)
            else:
                router.client_left("http1.codec_error")
                self.abort()
            return
        head = RequestHead(b"-", self._url or b"-", b"", [])
        if router is None and not self._queue:
            self._begin(head, True, False, b"", refusal, True)
        else:
            self._queue.append(Pipelined(head, True, refusal=refusal, fatal=True))

    # --- upgrades -----------------------------------------------------------------------------------------------------

    def _after_upgrade(self, rest: bytes) -> None:
        """The parser stopped behind a head that asks for another protocol."""
        asking = self._queue[-1] if self._queue else self._router
        if self._reading is Reading.LINGER:
            return
        if asking is not None and asking.upgrade:
            self._reading = Reading.UPGRADE
            self._held_bytes = rest
        elif self._close_after:
            self._reading = Reading.STOPPED
        elif asking is not None:
            self._resume_plain(asking, rest)

    def _resume_plain(self, asking: "Router | Pipelined", rest: bytes) -> None:
        """The upgrade is ignored (h2c): parse on as if it had not been asked for, with the body's framing that the head gave."""
        length = asking.head.index.get(b"content-length", b"0")
        framing = b"transfer-encoding: chunked" if asking.chunked else b"content-length: " + length
        self._parser = httptools.HttpRequestParser(self)
        self._reading = Reading.RESUMED
        self._parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n")
        self._fields = []
        if self._reading is Reading.RESUMED:
            self._reading = Reading.BODY
        if rest:
            self.data_received(rest)

    def _hold(self, data: bytes) -> None:
        """Bytes sent before the 101 wait for it (envoy-behaviour 1.11)."""
        self._held_bytes += data
        if len(self._held_bytes) > self.scope.buffer_limit:
            self.pause_request()

    def tunnel(self, connection: UpstreamRequest, early: bytes) -> None:
        """Hand both transports to a relay; the exchange ends when the relay does."""
        self.flush()
        router = self._router
        assert router is not None
        held, self._held_bytes, self._unread = self._held_bytes + self._unread, b"", b""
        self._router = None
        self.options.stats.downstream_rq_active -= 1
        idle = router.idle_timeout()
        relay = Relay(self._runtime, idle_timeout=idle, ends=router.ends, count=router, on_end=router.on_tunnel_end)
        self._leave()
        ended = self._reading is Reading.STOPPED
        relay.join(self.transport, connection.leave(), to_client=early, to_upstream=held, client_ended=ended)

    # --- DownstreamStream ---------------------------------------------------------------------------------------------

    def finish(self) -> None:
        if self._chunking:
            trailers = self._trailers
            self._out.append(wire.last_chunk(trailers) if trailers else wire.LAST_CHUNK)
            self._chunking = False
        self.flush()
        router = self._router
        assert router is not None
        self._router = None
        options = self.options
        options.stats.ended(router.exchange.status)
        if self._close_after:
            self._linger()
        elif self._queue:
            self._runtime.loop.call_soon(self._next)  # not at once: a long pipeline must not become a deep stack
        elif self._reading is _HEAD and not self._between:
            self._await_head()
        elif options.max_connection_duration:
            self._await_request()
        elif options.idle_timeout:
            self.arm(self._runtime.loop.time() + options.idle_timeout)
        else:
            self.arm(NEVER)

    def _linger(self) -> None:
        """Close so that the client gets the last answer: our FIN first, and a while for it to stop sending (RFC 9112 9.6)."""
        incomplete = self._receiving is not None or self._reading in (Reading.BODY, Reading.REFUSED)
        self._reading = Reading.LINGER
        self._receiving = None
        self._read_by = NEVER
        self._unread = b""
        if not incomplete and not self._queue:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()  # what still comes is dropped; unread, it would make the system reset the connection
        self.arm(self._runtime.loop.time() + self.options.delayed_close_timeout)

    def pause_request(self) -> None:
        self._paused = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_request(self) -> None:
        if self._queue or self.transport.is_closing():
            return
        self._paused = False
        if not self._unread:
            self.transport.resume_reading()
        elif not self._feeding:
            self._feeding = True
            self._runtime.loop.call_soon(self._feed_on)

    def drain(self) -> None:
        """The listener is going away: an idle connection closes now, a busy one after its answer.

        One that has served nothing yet is not idle: its client has just opened it for a request, which is on its way.
        """
        if self._served and self._router is None and not self._queue and self._between and not self._unread:
            self.transport.close()


def _too_large() -> TargetRejected:
    return TargetRejected(431, "http1.headers_too_large", b"request headers too large")
