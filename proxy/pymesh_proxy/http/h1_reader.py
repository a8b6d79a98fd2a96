"""The reading side of an HTTP/1.1 connection to an upstream: answers, known by their bytes or parsed.

httptools parses; its strictness (llhttp's) is what keeps a malformed answer from being taken for two. Anything that is not
exactly one whole answer to our request ends the connection instead of going back to the pool.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

import httptools

from ..errors import Cause
from . import wire
from .forwarding import read_response
from .h1_known import KnownAnswer
from .h1_message import Stage, UnusableAnswer
from .h1_slices import Sliced
from .headers import Fields, ResponseHead
from .stream import Framing
from .trailers import passed_on

if TYPE_CHECKING:
    from ..upstream.cluster import Cluster
    from ..upstream.exclusive import ExclusivePool
    from .attempts import Attempts

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


class AnswerReader(Sliced):
    """What `ClientConnection` is to the bytes that come. While `attempts` is set, they are the answer to that exchange."""

    __slots__ = (
        "_fields", "_framing", "_head_bytes", "_keep", "_known", "_length", "_overhead", "_parser", "_passing", "_recognised", "_rest",
        "_switch", "attempts", "pool", "stage",
    )  # fmt: skip

    def __init__(self, pool: "ExclusivePool") -> None:
        super().__init__()
        # First what only the parser asks: compiled, attributes lie in this order, and the others' beside those of `ClientConnection`.
        self._parser = httptools.HttpResponseParser(self)
        self._fields: Fields = []
        self._recognised: KnownAnswer | None = None
        """What the answer that is being parsed begins with."""
        self._switch: ResponseHead | None = None
        """A 101 that the request asked for: the connection changes hands behind it."""
        self._framing = _NONE
        self._length = 0
        """The content length of the answer under way, if it has one."""
        self._rest = 0
        """Bytes of a body of known length that are still to come."""
        self._overhead = 0
        """Bytes of chunk framing and trailers since the last byte of a body: they carry nothing, and are bounded like a head."""
        self._head_bytes = 0
        self._keep = True
        """Whether the connection may serve another request after this answer."""
        self._passing = False
        """The rest of a body goes past the parser."""
        self._known: KnownAnswer | None = None
        """The head of the last answer that can be known again."""
        self.pool = pool
        self.attempts: Attempts | None = None
        self.stage = _IDLE

    @abstractmethod
    def _next(self, attempts: "Attempts") -> None:
        """The answer is whole."""

    @abstractmethod
    def _spoke_unasked(self) -> None:
        """An idle connection has nothing to say; whatever this is, it is no answer."""

    def _listening(self) -> bool:
        return self.attempts is not None and self.stage is not _CLOSED

    def _counts_chunks(self) -> bool:
        return self.stage is _HEAD or (self.stage is _BODY and self._framing is _CHUNKED)

    def _feed(self, data: bytes) -> None:
        cluster = self.pool.cluster
        cluster.upstream_cx_rx_bytes_total += len(data)
        attempts = self.attempts
        if attempts is None:
            self._spoke_unasked()
            return
        if self._passing:
            self._pass_body(attempts, data)
            return
        if self.stage is _HEAD and not self._head_bytes:
            known = self._recognise(cluster, data)
            if known is not None:
                response = known.answers(attempts, len(data))
                if response is not None:
                    self._replay(attempts, response, data[len(known.head) :])
                    return
            self._recognised = known
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
            self._remember(cluster, data)
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
        self._next(attempts)

    def _recognise(self, cluster: "Cluster", data: bytes) -> KnownAnswer | None:
        """The known head with which a read begins: this connection's last one, or its cluster's."""
        known = self._known
        if known is not None and data.startswith(known.head):
            return known
        latest = cluster.latest_answer
        if latest is None or latest is known or not data.startswith(latest.head):
            return None
        self._known = latest
        return latest

    def _remember(self, cluster: "Cluster", data: bytes) -> None:
        """Note the head of an answer that came whole in one read, to know it when it comes again."""
        if self._recognised is not None:
            self._recognised = None
        elif self._framing is _LENGTH and self._keep and self._head_bytes == len(data):
            self._known = cluster.latest_answer = KnownAnswer(data[: len(data) - self._length], self._length)

    def _replay(self, attempts: "Attempts", response: ResponseHead, body: bytes) -> None:
        """An answer whose head is known."""
        self.stage = _BODY
        attempts.on_head(response, _LENGTH)
        if self.attempts is not attempts:
            return  # the exchange wants another attempt
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
        if self._recognised is not None and framing is _LENGTH and not attempts.upgrade:
            self._recognised.note(response, attempts.options)
        if attempts.exchange.head.method == b"HEAD":
            self._framing = _NONE
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
