"""gRPC-Web on its way through (gRPC's PROTOCOL-WEB): to the upstream a call of gRPC, to the client a body that ends in a frame of trailers.

Browsers see no trailers, so these become the last frame of the body. In text mode bodies are base64. Where Envoy's grpc_web filter goes
further than the protocol, what it does was measured on Envoy 1.40.
"""

import base64
import binascii
from typing import Final
from urllib.parse import quote_from_bytes

from ..filters import LocalReply
from .exchange import Exchange
from .grpc import is_grpc
from .grpc_frames import BodyTap
from .headers import Fields, ResponseHead
from .stream import DownstreamStream, Framing
from .translated import TranslatedStream

BINARY: Final = frozenset((b"application/grpc-web", b"application/grpc-web+proto"))
TEXT: Final = frozenset((b"application/grpc-web-text", b"application/grpc-web-text+proto"))

_TRAILERS: Final = b"\x80"
_PREFIX: Final = 5
_QUANTUM: Final = 4
_LONGEST: Final = 16 * 1024
"""Bytes of an answer that is no gRPC's which are told in grpc-message."""
_GRPC_OF_HTTP: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""gRPC's statuses for HTTP's (gRPC's http-grpc-status-mapping); any other is UNKNOWN."""
_PLAIN: Final = bytes(range(0x20, 0x7F)).replace(b"%", b"")
_BAD: Final = b"Bad gRPC-web request, invalid base64 data."


class TextRequest(BodyTap):
    """The body of a request in text mode, which goes on as bytes."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""
        """The beginning of a quantum of four."""

    def take(self, data: bytes, end: bool) -> bytes:
        data = self._rest + data
        whole = len(data) // _QUANTUM * _QUANTUM
        self._rest = data[whole:]
        if end and self._rest:
            self.refusal = _refusal("grpc_base_64_decode_failed_bad_size")
            return b""
        try:
            return _decoded(data[:whole])
        except binascii.Error:
            self.refusal = _refusal("grpc_base_64_decode_failed")
            return b""


def _refusal(details: str) -> LocalReply:
    return LocalReply(status=400, body=_BAD, details=details)


def _decoded(text: bytes) -> bytes:
    """Pieces of base64 behind one another, each of which may end in padding: clients encode message by message."""
    parts = []
    while text:
        padded = text.find(b"=")
        size = len(text) if padded < 0 else (padded // _QUANTUM + 1) * _QUANTUM
        parts.append(base64.b64decode(text[:size], validate=True))
        text = text[size:]
    return b"".join(parts)


class TextFrames:
    """Frames in base64, each by itself, as far as they have come: no more than five bytes are held back, however large a frame is."""

    __slots__ = ("_left", "_prefix", "_rest")

    def __init__(self) -> None:
        self._prefix = b""
        """What there is of the next frame's flag and length."""
        self._left = 0
        """Bytes of the frame that are still to come."""
        self._rest = b""
        """The beginning of a group of three."""

    def encoded(self, data: bytes) -> bytes:
        """The next piece."""
        parts: list[bytes] = []
        while data:
            if not self._left:
                missing = _PREFIX - len(self._prefix)
                self._prefix += data[:missing]
                data = data[missing:]
                if len(self._prefix) < _PREFIX:
                    break
                self._left = int.from_bytes(self._prefix[1:], "big")
                self._add(parts, self._prefix)
                self._prefix = b""
            else:
                part = data[: self._left]
                data = data[len(part) :]
                self._left -= len(part)
                self._add(parts, part)
        return b"".join(parts)

    def _add(self, parts: list[bytes], data: bytes) -> None:
        data = self._rest + data
        size = len(data) // 3 * 3 if self._left else len(data)
        self._rest = data[size:]
        parts.append(base64.b64encode(data[:size]))


class GrpcWebAnswer(TranslatedStream):
    """The client's side of a call: takes the answer of gRPC and gives that of gRPC-Web."""

    __slots__ = ("_exchange", "_frames", "_head", "_plain", "_size", "_text")

    def __init__(self, inner: DownstreamStream, exchange: Exchange, *, text: bool) -> None:
        super().__init__(inner)
        self._exchange = exchange
        self._text = text
        self._frames = TextFrames()
        self._head: ResponseHead | None = None
        """Of an answer that is no gRPC's, held until its body is known."""
        self._plain: list[bytes] = []
        self._size = 0

    def __repr__(self) -> str:
        return f"<GrpcWebAnswer {'text' if self._text else 'binary'} {self._exchange!r}>"

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        kind = response.index.get(b"content-type")
        ends = framing is Framing.NONE
        translatable = _is_grpc_answer(response, ends=ends) or kind in BINARY or kind in TEXT
        response.set(b"content-type", b"application/grpc-web-text+proto" if self._text else b"application/grpc-web+proto")
        if not translatable:
            self._head = response
            return
        if not ends:
            response.remove(b"content-length")
            framing = Framing.CHUNKED
        self._inner.send_head(response, framing)

    def send_body(self, data: bytes) -> None:
        if self._head is not None:
            if self._size < _LONGEST:
                self._plain.append(data[: _LONGEST - self._size])
                self._size += len(data)
        elif self._text:
            encoded = self._frames.encoded(data)
            if encoded:
                self._inner.send_body(encoded)
        else:
            self._inner.send_body(data)

    def send_trailers(self, fields: Fields) -> None:
        if self._head is not None:
            return
        lines = b"".join(name.lower() + b":" + value + b"\r\n" for name, value in fields)
        frame = _TRAILERS + len(lines).to_bytes(_PREFIX - 1, "big") + lines
        self._inner.send_body(base64.b64encode(frame) if self._text else frame)

    def finish(self) -> None:
        head = self._head
        if head is not None:
            self._head = None
            self._tell(head)
            self._inner.send_head(head, Framing.LENGTH)
        self._inner.finish()

    def _tell(self, head: ResponseHead) -> None:
        """Make of an answer that is no gRPC's one of a call that failed."""
        head.set(b"grpc-status", b"%d" % _GRPC_OF_HTTP.get(head.status, 2))
        if self._plain:
            head.set(b"grpc-message", quote_from_bytes(b"".join(self._plain), safe=_PLAIN).encode())
        head.set(b"content-length", b"0")


def _is_grpc_answer(response: ResponseHead, *, ends: bool) -> bool:
    """An answer without a body is gRPC's by its grpc-status, another by its content type."""
    if ends:
        return b"grpc-status" in response.index
    return response.status == 200 and is_grpc(response)
