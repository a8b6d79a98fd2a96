"""HTTP/1 made by hypothesis, well-formed and not, and h11's reading of any bytes as the judge."""

import re
from dataclasses import dataclass

import h11
from hypothesis import strategies as st

_TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))
_VALUE = _VISIBLE + "\xe9\xff"
_PATH = "abcdefghijklmnopqrstuvwxyzABC0123456789-._~!$&'()*+,;=:@/"
_TAKEN = frozenset(
    ("host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "expect", "keep-alive", "proxy-connection", "trailer")
)
"""Names with a meaning of their own; messages have them where they say so."""

METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "TRACE", "PROPFIND", "REPORT")

Pairs = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class Message:
    """A request: `chunks` is its body in pieces, None for none; `chunked` says how the body is framed."""

    method: bytes
    target: bytes
    headers: Pairs
    chunks: tuple[bytes, ...] | None = None
    chunked: bool = False
    extension: bytes = b""
    trailers: Pairs = ()

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks or ())

    def wire(self, host: bytes = b"any.org") -> bytes:
        """The bytes of a well-formed request."""
        lines = [b"%b %b HTTP/1.1" % (self.method, self.target), b"Host: " + host, *map(b": ".join, self.headers)]
        if self.chunks is None:
            return b"\r\n".join([*lines, b"", b""])
        lines.append(b"Transfer-Encoding: chunked" if self.chunked else b"Content-Length: %d" % len(self.body))
        return b"\r\n".join([*lines, b"", b""]) + self.framed_body()

    def framed_body(self) -> bytes:
        """The body as it goes on the wire."""
        if not self.chunked:
            return self.body
        pieces = [b"%x%b\r\n%b\r\n" % (len(piece), self.extension, piece) for piece in self.chunks or () if piece]
        return b"".join([*pieces, b"0\r\n", *(b"%b: %b\r\n" % pair for pair in self.trailers), b"\r\n"])


def _bytes(alphabet: str, *, shortest: int = 0, longest: int = 12) -> st.SearchStrategy[bytes]:
    return st.text(alphabet, min_size=shortest, max_size=longest).map(lambda text: text.encode("latin-1"))


_names = _bytes(_TOKEN, shortest=1).filter(lambda name: name.decode().lower() not in _TAKEN and not name.lower().startswith(b"x-"))
_values = st.one_of(_bytes(_VALUE), st.builds(b"%b \t %b".__mod__, st.tuples(_bytes(_VALUE, shortest=1), _bytes(_VALUE, shortest=1))))
headers: st.SearchStrategy[Pairs] = st.lists(st.tuples(_names, _values), max_size=5).map(tuple)
_paths = _bytes(_PATH, longest=20).map(lambda rest: b"/" + rest)
_queries = st.one_of(st.just(b""), _bytes(_PATH + "?%", longest=10).map(lambda rest: b"?" + rest))
targets = st.builds(bytes.__add__, _paths, _queries)
bodies = st.one_of(st.none(), st.lists(st.binary(max_size=40), max_size=4).map(tuple))
_extensions = st.sampled_from([b"", b"", b";a=b", b";name", b';q="x y"'])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Well-formed requests."""
    chunks = draw(bodies)
    chunked = chunks is not None and draw(st.booleans())
    return Message(
        draw(st.sampled_from(METHODS)).encode(),
        draw(targets),
        draw(headers),
        chunks,
        chunked,
        draw(_extensions) if chunked else b"",
        draw(headers) if chunked else (),
    )


_SPICES = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"0", b"\x0b", b"\x7f", b"\xff", b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding : chunked\r\n", b"Host: other.org\r\n", b"\r\n\r\n", b"chunked", b"HTTP/1.1",
    b"0\r\n\r\n", b"GET /smuggled HTTP/1.1\r\nHost: any.org\r\n\r\n",
)  # fmt: skip


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """One or two requests with a few bytes put in, left out or replaced: mostly malformed."""
    data = b"".join(message.wire() for message in draw(st.lists(messages(), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        cut = draw(st.sampled_from([0, 0, 0, 1, 1, 2, 5]))
        data = data[:start] + draw(st.sampled_from([b"", *_SPICES])) + data[start + cut :]
    return data


@dataclass(frozen=True)
class Read:
    """A request as h11 reads it: header names in small letters."""

    method: bytes
    target: bytes
    headers: Pairs
    body: bytes


def read_requests(stream: bytes) -> tuple[list[Read], bool]:
    """The whole requests in a stream, and whether h11 refuses what comes behind them."""
    found: list[Read] = []
    try:
        while True:
            connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
            connection.receive_data(_repaired(stream))
            read = _read_one(connection)
            if read is None:
                return found, False
            found.append(read)
            if connection.their_state is h11.MUST_CLOSE:
                return found, False
            stream = connection.trailing_data[0]
    except h11.RemoteProtocolError:
        return found, True


_LINE_ENDS = re.compile(rb"\A[\r\n]+")
_SPACES = re.compile(rb"\A([A-Z]+) +([^ \r\n]+) +HTTP/")


def _repaired(stream: bytes) -> bytes:
    """Without what RFC 9112 2.2 and 3 let a server skip and h11 does not: line ends before a request, more spaces than two in its line."""
    return _SPACES.sub(rb"\1 \2 HTTP/", _LINE_ENDS.sub(b"", stream))


def _read_one(connection: h11.Connection) -> Read | None:
    """The next request; None when there is no whole one."""
    request, body = None, b""
    while True:
        match connection.next_event():
            case h11.Request() as request:
                pass
            case h11.Data() as event:
                body += bytes(event.data)
            case h11.EndOfMessage():
                assert request is not None
                return Read(request.method, request.target, tuple((bytes(name), bytes(value)) for name, value in request.headers), body)
            case _:
                return None


@dataclass(frozen=True)
class Answer:
    """A response; `framing` is how its body ends: `length`, `chunked`, `close` or `none`."""

    status: int
    headers: Pairs
    chunks: tuple[bytes, ...]
    framing: str
    interim: tuple[int, ...] = ()

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def wire(self) -> bytes:
        """The bytes of a well-formed answer; one framed by `close` ends with the connection."""
        early = b"".join(b"HTTP/1.1 %d Early\r\nx-early: 1\r\n\r\n" % status for status in self.interim)
        lines = [b"HTTP/1.1 %d Reason" % self.status, *map(b": ".join, self.headers)]
        body = self.body
        if self.framing == "length":
            lines.append(b"Content-Length: %d" % len(body))
        elif self.framing == "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            body = b"".join([*(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in self.chunks if piece), b"0\r\n\r\n"])
        return early + b"\r\n".join([*lines, b"", body])


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Well-formed answers to GET."""
    status = draw(st.sampled_from([200, 201, 204, 304, 301, 404, 418, 500, 599]))
    bodiless = status in (204, 304)
    return Answer(
        status,
        draw(headers),
        () if bodiless else draw(st.lists(st.binary(max_size=40), max_size=3).map(tuple)),
        "none" if bodiless else draw(st.sampled_from(["length", "chunked", "close"])),
        draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2).map(tuple)),
    )


@st.composite
def broken_answers(draw: st.DrawFn) -> bytes:
    """An answer with a few bytes put in, left out or replaced, or cut: mostly malformed."""
    data = draw(answers()).wire()
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        cut = draw(st.sampled_from([0, 0, 1, 2, 5, 1000]))
        data = data[:start] + draw(st.sampled_from([b"", *_SPICES, b"HTTP/1.1 200 OK\r\n\r\n"])) + data[start + cut :]
    return data


_REASON = re.compile(rb"^(HTTP/1\.[01] \d{3}) [^\r\n]*", re.MULTILINE)
"""Reason phrases mean nothing, are not passed on, and h11 is particular about them."""


@dataclass(frozen=True)
class ReadAnswer:
    """An answer as h11 reads it; `whole` says that its end was seen."""

    status: int
    headers: Pairs
    body: bytes
    whole: bool


def read_answer(stream: bytes) -> ReadAnswer | None:
    """The answer to a GET in a stream that has ended; None when there is none, or h11 refuses its head."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "any.org")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(_REASON.sub(rb"\1 Reason", _LINE_ENDS.sub(b"", stream)))
    connection.receive_data(b"")
    head: h11.Response | None = None
    body = b""
    try:
        while True:
            match connection.next_event():
                case h11.Response() as head:
                    pass
                case h11.Data() as event:
                    body += bytes(event.data)
                case h11.EndOfMessage():
                    return _read_answer(head, body, whole=True)
                case h11.InformationalResponse():
                    pass
                case _:
                    return _read_answer(head, body, whole=False)
    except h11.RemoteProtocolError:
        return _read_answer(head, body, whole=False)


def _read_answer(head: h11.Response | None, body: bytes, *, whole: bool) -> ReadAnswer | None:
    if head is None:
        return None
    return ReadAnswer(head.status_code, tuple((bytes(name), bytes(value)) for name, value in head.headers), body, whole)
