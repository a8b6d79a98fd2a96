"""The requests of one HTTP/1.1 connection from a client: each has its turn, strictly one after the other (RFC 9112 9.3.2).

A request begins when the one before it has ended; until then it waits in the queue. What was no request waits there, too.
"""

from time import monotonic
from time import time as wall_clock
from typing import TYPE_CHECKING, Final

from ..filters import LocalReply
from ..tcp.reset import reset
from ..wheel import NEVER
from . import wire
from .exchange import Downstream, Exchange
from .h1_answers import Reading
from .h1_times import Timing
from .headers import RequestHead
from .options import HttpOptions
from .pipeline import Pipelined
from .router import Router
from .stream import UpstreamRequest

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime

_HEAD: Final = Reading.HEAD


class Turns(Timing):
    """What `ServerConnection` is to its requests: who is served, who waits, whose body is being read."""

    __slots__ = ("_begun", "_between", "_feeding", "_head_bytes", "_overhead", "_paused", "_receiving", "_unread", "_url")

    def __init__(self, runtime: "Runtime", options: HttpOptions, scope: "Scope", facts: Downstream) -> None:
        super().__init__(runtime, options, scope, facts)
        self._url = b""
        self._head_bytes = 0
        self._overhead = 0
        """Bytes of chunk framing and trailers since the last byte of a body: they carry nothing, and are bounded like a head."""
        self._receiving: Router | Pipelined | None = None
        """Who gets the body that is being read."""
        self._unread = b""
        """What was read and is not parsed yet; nothing more is read meanwhile."""
        self._feeding = False
        """Whether the next slice of it has its turn."""
        self._paused = False
        """Whether earlier requests or the upstream have to catch up before more is parsed."""
        self._begun = 0
        """Requests that were begun in this turn: some are answered at once, and a crowd of them would hold everybody up."""
        self._between = True
        """Whether the parser stands between two requests."""

    def _feed_on(self) -> None:
        """The next slice of what was read, unless earlier requests or the upstream have to catch up first."""
        raise NotImplementedError

    def tunnel(self, connection: UpstreamRequest, early: bytes) -> None:
        """Hand both transports to a relay; the exchange ends when the relay does."""
        raise NotImplementedError

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

    def pause_writing(self) -> None:
        self._full = True
        if self._router is not None:
            self._router.pause_answer()

    def resume_writing(self) -> None:
        self._full = False
        if self._router is not None:
            self._router.resume_answer()
        else:
            self._next()

    def _busy(self) -> bool:
        return self._router is not None

    def _next(self) -> None:
        """The next pipelined request, if any."""
        if not self._queue or self._full or self._busy() or self._reading is Reading.LINGER:
            return
        parsed = self._queue.popleft()
        self.resume_request()  # first: its upstream may stop it again
        complete = parsed.complete
        still_reading = self._receiving is parsed
        if still_reading and b"expect" in parsed.head.index:
            self._invite(parsed.head)
        receiving, read_by = self._receiving, self._read_by
        self._begin(parsed.head, complete and not parsed.body, parsed.chunked, parsed.upgrade, parsed.refusal, parsed.fatal)
        if complete:  # what is being read is another request
            self._receiving, self._read_by = receiving, read_by
        router = self._router
        if router is not None:
            for data in parsed.body:
                router.body(data)
            if complete and parsed.body:
                router.end(parsed.trailers)
            elif still_reading:
                self._receiving = router

    def _wait(self, parsed: Pipelined) -> None:
        """A request that has to wait for its turn, if only for the next one of the loop."""
        if self._router is None and not self._queue:
            self._runtime.loop.call_soon(self._next)
        self._queue.append(parsed)

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
                router.client_left("http1.codec_error", "DPE")
                self.abort()
            return
        head = RequestHead(b"-", self._url or b"-", b"", [])
        if router is None and not self._queue:
            self._begin(head, True, False, b"", refusal, True)
        else:
            self._queue.append(Pipelined(head, True, refusal=refusal, fatal=True))

    def _invite(self, head: RequestHead) -> None:
        """`100 Continue` for a request whose turn it is, unless that is the upstream's to say; clients of HTTP/1.0 do not know it."""
        if head.index[b"expect"].lower() == b"100-continue" and head.version != "1.0" and not self.options.proxy_100_continue:
            self._out.append(wire.CONTINUE)
            self.flush()

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
        if self._paused:
            self.resume_request()  # its upstream was slow to the end
        if self._close_after:
            self._linger()
        elif self._queue and not self._full:
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
            self._close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.transport.resume_reading()  # what still comes is dropped; unread, it would make the system reset the connection
        self._wait_for_client()

    def abort(self) -> None:
        self.flush()
        router, self._router = self._router, None
        if router is not None:
            self.options.stats.ended(router.exchange.status)
            response = router.exchange.response
            if self._version_10 and response is not None and b"content-length" not in response.index:
                reset(self.transport)  # an end in order would be the body's
                return
        self._close()  # no last chunk, no full length: the client sees that the answer is cut

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
