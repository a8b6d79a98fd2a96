"""An HTTP/1.1 connection from a client: requests in, answers out, strictly one after the other.

httptools parses what arrives; pipelined requests wait in a queue that is bounded by one read, since reading stops while it
is not empty. Each request is driven by a Router, to which this is the DownstreamStream.
"""

import asyncio
from typing import TYPE_CHECKING, Final, cast

import httptools

from .. import rescue
from ..errors import Cause
from ..http2.frames import PREFACE
from ..http2.server import ServerConnection as Http2Connection
from ..wheel import NEVER
from .exchange import Downstream
from .h1_answers import Reading
from .h1_repeats import head_of, is_whole
from .h1_request import checked, checked_names, refusal_of, spares_connection
from .h1_switch import Switching
from .headers import Fields, RequestHead
from .options import Codec, HttpOptions
from .pipeline import Pipelined
from .request_target import TargetRejected
from .router import Router
from .stream import DownstreamStream
from .trailers import passed_on

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime


_BODY_OR_SWITCH: Final = frozenset((b"content-length", b"transfer-encoding", b"upgrade", b"expect"))
"""Without one of these a request is complete with its head."""


_SLICE: Final = 32 * 1024
"""Bytes that are parsed in one loop turn, but for a body whose length is known: those are passed on as they came."""

_AT_ONCE: Final = 16
"""Requests of one read that are begun as they are parsed; further ones wait for their turn."""

# Enum members as globals: the hot path compares with them several times a request.
_HEAD: Final = Reading.HEAD
_BODY: Final = Reading.BODY
_STOPPED: Final = Reading.STOPPED


class ServerConnection(Switching, DownstreamStream):
    """One client's connection."""

    __slots__ = ("_last_head", "_left", "_length", "_passing", "_repeated", "_repeats", "_sniffing", "_surplus")

    def __init__(self, runtime: "Runtime", options: HttpOptions, scope: "Scope", facts: Downstream) -> None:
        super().__init__(runtime, options, scope, facts)
        self._sniffing = options.codec is Codec.AUTO
        """The first bytes have not come; they may be HTTP/2's preface (RFC 9113 3.3)."""
        self._left = 0
        """Bytes of a body of known length that are still to come."""
        self._last_head = b""
        """The bytes of a head with which the last read between two requests began."""
        self._surplus = 0
        """Bytes of the read being parsed behind them."""
        self._repeats = False
        """Whether the read being parsed begins with the same head as the one before."""
        self._repeated: RequestHead | None = None
        """What `_last_head` was parsed to, untouched: a request without a body, or with one of a known length."""
        self._length = 0
        """That length."""
        self._passing = False
        """The body being read belongs to a head that was not parsed, and goes past the parser, too."""

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
        data = self._unread
        if size < len(data):
            data, self._unread = data[:size], data[size:]
        else:
            self._unread = b""  # a compiled slice is a copy, even of the whole
        self._feed(data)
        if not self._paused:
            self.resume_request()

    def _feed(self, data: bytes) -> None:
        self._begun = 0
        reading = self._reading
        if reading is _HEAD:
            idle = self._between and self._router is None and not self._queue and not self._full
            if idle and self._last_head and data.startswith(self._last_head):
                self._surplus = len(data) - len(self._last_head)
                if self._repeated is None:
                    self._repeats = True
                elif self._surplus <= self._length:
                    self._replay(self._repeated.copy(), data)
                    return
            else:
                self._last_head = head_of(data) if idle else b""
                self._repeated = None
                self._repeats = False
            self._head_bytes += len(data)
        elif reading is _BODY:
            if self._passing:
                data = self._pass_body(data)
                if not data or self._reading is not _HEAD:
                    return
                self._head_bytes += len(data)
            else:
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
        if not self._between and self._reading is _HEAD and self._router is None:
            self._await_head()
        if self._head_bytes > self.options.max_request_headers or self._overhead > self.options.max_request_headers:
            self._malformed(refusal_of(_too_large()))
        if self._queue:
            self.pause_request()

    def _replay(self, head: RequestHead, data: bytes) -> None:
        """A request with the same head as the one before: known without parsing it."""
        if not self._length:
            self._begin(head, True, False, b"")
            return
        self._between = False
        self._reading = _BODY
        self._left = self._length
        self._passing = True
        self._begin(head, False, False, b"")
        if self._surplus and self._reading is _BODY:
            self._pass_body(data[len(self._last_head) :])

    def _pass_body(self, data: bytes) -> bytes:
        """Hand on what there is of a body whose length is known; returns what follows it."""
        rest = data[self._left :]
        if rest:
            data = data[: self._left]
        self._left -= len(data)
        receiving = self._receiving
        ended = self._left == 0
        if ended:
            self._passing = False
            self._receiving = None
            self._between = True
            self._read_by = NEVER
            self._reading = _HEAD
        if isinstance(receiving, Router):
            receiving.body(data, ended)
        return rest

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
        self.scope.counts.total -= 1
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

    def drain(self) -> None:
        """The listener is going away: an idle connection closes now, a busy one after its answer.

        One that has served nothing yet is not idle: its client has just opened it for a request, which is on its way.
        """
        if self._served and self._router is None and not self._queue and self._between and not self._unread:
            self._close()

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
                self._keep_parsed(head, not (chunked or upgrade or b"expect" in head.index))
            self._begin(head, complete, chunked, upgrade)
        else:
            self._keep_parsed(head, False)
            self._receiving = parsed = Pipelined(head, complete, chunked, upgrade)
            self._wait(parsed)

    def _has_turn(self) -> bool:
        """Whether a request that was just read can begin."""
        return self._router is None and not self._queue and self._begun < _AT_ONCE and not self._full

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
        if self._has_turn():
            self._begun += 1
            self._begin(head, True, False, b"", refusal)
        else:
            self._wait(Pipelined(head, True, refusal=refusal))

    def _keep_parsed(self, head: RequestHead, plain: bool) -> None:
        """Keep what the repeated head is, if its request is alone in its read, on a connection that goes on."""
        length = int(head.index.get(b"content-length", b"0"))
        alone = self._repeated is None and self._surplus <= length and is_whole(self._last_head, len(head.fields))
        if plain and alone and self._parser.should_keep_alive():
            self._repeated = head.copy()
            self._repeated.remember_lines()
            self._length = length
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
        if self._reading is not _BODY and self._reading is not Reading.RESUMED:
            return  # answered before it was whole: what the parser still finds in this read is dropped
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


def _too_large() -> TargetRejected:
    return TargetRejected(431, "http1.headers_too_large", b"request headers too large")
