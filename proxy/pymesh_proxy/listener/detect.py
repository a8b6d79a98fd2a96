"""What a connection speaks, from its first bytes: a TLS ClientHello (with server name and ALPN), HTTP, or something else.

Pure functions over a prefix of the stream; NEED_MORE says that the prefix is too short to tell. They are Envoy's
tls_inspector and http_inspector.
"""

import enum
import re
from dataclasses import dataclass

MAX_CLIENT_HELLO = 16 * 1024
"""Envoy's tls_inspector gives up beyond this; post-quantum key shares make hellos of 2 KiB common."""

_HANDSHAKE = 0x16
_CLIENT_HELLO = 0x01
_SERVER_NAME = 0
_ALPN = 16

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(
    rb"(" + _TOKEN + rb")[ \t]+([\x00-\x08\x0b-\x1f!-\x7f]+)(?:[ \t]+HTTP/([0-9]\.[0-9]))?[ \t]*"
)
_BEGINNING = re.compile(_TOKEN + rb"([ \t].*)?", re.DOTALL)
_TARGET = re.compile(rb"[/*].*|[A-Za-z][A-Za-z0-9+.-]*://.+", re.DOTALL)
_AUTHORITY = re.compile(rb"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
"""As tolerant as Envoy's parser: any method, no version at all, any that reads like one."""

_MAX_REQUEST_LINE = 8 * 1024


class Verdict(enum.Enum):
    NEED_MORE = "need more"
    NO = "no"


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a TLS client asks for."""

    server_name: str = ""
    alpn: tuple[str, ...] = ()


class _Short(Exception):
    """The bytes end before the structure does."""


class _Reader:
    """Big-endian fields with bounds."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._end = len(data)

    def take(self, count: int) -> bytes:
        if self._position + count > self._end:
            raise _Short
        self._position += count
        return self._data[self._position - count : self._position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def take_all(self) -> bytes:
        return self.take(self.left)

    def block(self, size: int) -> "_Reader":
        """A length of `size` bytes, and what it spans."""
        return _Reader(self.take(self.number(size)))

    @property
    def left(self) -> int:
        return self._end - self._position


def client_hello(data: bytes) -> ClientHello | Verdict:
    """The ClientHello that `data` begins with (RFC 8446 4.1.2), possibly spread over several records."""
    if data[:1] != bytes((_HANDSHAKE,)):
        return Verdict.NO if data else Verdict.NEED_MORE
    if len(data) > 1 and data[1] != 3:
        return Verdict.NO
    message = b""
    records = _Reader(data)
    try:
        while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
            if records.take(1)[0] != _HANDSHAKE:
                return Verdict.NO
            records.take(2)
            message += records.block(2).take_all()
            if len(message) > MAX_CLIENT_HELLO or (message and message[0] != _CLIENT_HELLO):
                return Verdict.NO
    except _Short:
        return Verdict.NEED_MORE if len(data) <= MAX_CLIENT_HELLO else Verdict.NO
    try:
        return _hello(_Reader(message[4:]))
    except (_Short, UnicodeDecodeError):
        return Verdict.NO


def _hello(body: _Reader) -> ClientHello:
    body.take(2 + 32)
    body.block(1)
    body.block(2)
    body.block(1)
    server_name = ""
    alpn: tuple[str, ...] = ()
    if not body.left:
        return ClientHello()
    extensions = body.block(2)
    while extensions.left:
        kind = extensions.number(2)
        content = extensions.block(2)
        if kind == _SERVER_NAME and content.left:
            names = content.block(2)
            if names.number(1) == 0:
                server_name = names.block(2).take_all().decode("ascii").lower()
        elif kind == _ALPN:
            alpn = _protocols(content.block(2))
    return ClientHello(server_name, alpn)


def _protocols(names: _Reader) -> tuple[str, ...]:
    found = []
    while names.left:
        found.append(names.block(1).take_all().decode("ascii"))
    return tuple(found)


def http(data: bytes) -> str | Verdict:
    """`http/1.0` (or none, or any other), `http/1.1` or `h2c`; NO when the first line cannot be HTTP's."""
    if data.startswith(_PREFACE):
        return "h2c"
    if _PREFACE.startswith(data):
        return Verdict.NEED_MORE
    line, newline, _ = data.partition(b"\n")
    if not newline:
        return Verdict.NEED_MORE if len(line) <= _MAX_REQUEST_LINE and _BEGINNING.fullmatch(line) else Verdict.NO
    found = _REQUEST_LINE.fullmatch(line.removesuffix(b"\r"))
    if found is None:
        return Verdict.NO
    method, target, version = found.groups()
    if (_AUTHORITY if method == b"CONNECT" else _TARGET).fullmatch(target) is None:
        return Verdict.NO
    return "http/1.1" if version == b"1.1" else "http/1.0"
