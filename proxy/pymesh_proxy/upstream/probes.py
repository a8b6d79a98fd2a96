"""What checks say to an endpoint and hear from it: HTTP/1.1, HTTP/2 and bare TCP, a connection at a time.

A connection that fails is an OSError; what came is for `health_check` to judge.
"""

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import cast

import httptools

from ..http.headers import Fields
from ..http2.connection import H2Connection
from ..http2.frames import CANCEL
from ..http2.settings import Http2Options
from ..http2.stream import H2Stream


@dataclass(slots=True)
class ProbeAnswer:
    """An answer as far as a check looks at it; names are in small letters."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    """Of a repeated name, the last."""
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    keep: bool = True
    """Another request may follow on the connection."""


class Wire(ABC):
    """A connection that carries one check after the other."""

    @property
    @abstractmethod
    def usable(self) -> bool:
        """Whether the next check may use it."""

    @abstractmethod
    async def ask(self, fields: Fields, body: bytes, limit: int) -> ProbeAnswer:
        """Send a request, whose fields begin with the pseudo ones, and wait for all of its answer. `limit`: of the body that is
        kept, 0 for none. Raises ConnectionError.
        """

    @abstractmethod
    def close(self) -> None:
        """Nothing more is wanted of it."""


class _Connection(asyncio.Protocol):
    """A connection of a check's own, which nothing outlives."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None

    def close(self) -> None:
        """Nothing more is wanted of it."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)


class Http1Wire(_Connection, Wire):
    """One request after the other; an answer that is none ends the connection."""

    def __init__(self) -> None:
        super().__init__()
        self._parser = httptools.HttpResponseParser(self)
        self._answer = ProbeAnswer()
        self._limit = 0
        self._heard: asyncio.Future[ProbeAnswer] | None = None
        self._trailing = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and self._answer.keep

    async def ask(self, fields: Fields, body: bytes, limit: int) -> ProbeAnswer:
        if self._transport is None:
            raise ConnectionError("the connection is closed")
        pseudo, rest = dict(fields[:4]), fields[4:]
        lines = [b"%b %b HTTP/1.1" % (pseudo[b":method"], pseudo[b":path"]), b"host: " + pseudo[b":authority"]]
        self._answer, self._limit, self._trailing = ProbeAnswer(), limit, False
        self._parser = httptools.HttpResponseParser(self)
        self._heard = asyncio.get_running_loop().create_future()
        self._transport.write(b"\r\n".join([*lines, *(b"%b: %b" % pair for pair in rest), b"", body]))
        if pseudo[b":method"] == b"HEAD":
            self._limit = -1
        return await self._heard

    def data_received(self, data: bytes) -> None:
        if self._heard is None or self._heard.done():
            self.close()  # nothing was asked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(ConnectionError("the answer is no HTTP"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer.status and b"content-length" not in self._answer.headers and b"transfer-encoding" not in self._answer.headers:
            self.on_message_complete()  # its end was the connection's
        else:
            self._fail(exc or ConnectionError("the connection was closed"))

    def _fail(self, error: Exception) -> None:
        self.close()
        if self._heard is not None and not self._heard.done():
            self._heard.set_exception(error)

    # --- the parser's side --------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        (self._answer.trailers if self._trailing else self._answer.headers)[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = int(self._parser.get_status_code())
        if status < 200:
            self._answer = ProbeAnswer()
            return
        self._answer.status = status
        self._trailing = True
        self._answer.keep = bool(self._parser.should_keep_alive())
        if self._limit < 0:
            self.on_message_complete()

    def on_body(self, data: bytes) -> None:
        if not self._limit or len(self._answer.body) < self._limit:
            self._answer.body += data

    def on_message_complete(self) -> None:
        if self._answer.status and self._heard is not None and not self._heard.done():
            self._answer.body = self._answer.body[: self._limit] if self._limit > 0 else self._answer.body
            self._heard.set_result(self._answer)


class Http2Wire(Wire, H2Connection):
    """Streams one after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, options: Http2Options) -> None:
        super().__init__(loop, options, client=True)
        self._usable = True

    @property
    def usable(self) -> bool:
        return self._usable

    async def ask(self, fields: Fields, body: bytes, limit: int) -> ProbeAnswer:
        if not self._usable:
            raise ConnectionError("the connection is closed")
        stream = _ProbeStream(self, limit)
        stream.bodiless = (b":method", b"HEAD") in fields
        stream.send_headers(fields, not body)
        if body:
            stream.send_data(body, True)
        try:
            return await stream.heard
        finally:
            stream.reset(CANCEL)

    def close(self) -> None:
        self._usable = False
        if self.phase and not self.transport.is_closing():
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._usable = False
        super().connection_lost(exc)

    def on_goaway(self, last_id: int, code: int) -> None:
        self._usable = False

    def on_failed(self, code: int, reason: str) -> None:
        self._usable = False


class _ProbeStream(H2Stream):
    def __init__(self, wire: Http2Wire, limit: int) -> None:
        super().__init__(wire)
        self._limit = limit
        self._answer = ProbeAnswer()
        self.heard: asyncio.Future[ProbeAnswer] = asyncio.get_running_loop().create_future()

    def on_headers(self, fields: Fields, end: bool) -> None:
        answer = self._answer
        if answer.status:
            answer.trailers.update(fields)
        elif (status := int(dict(fields)[b":status"])) >= 200:
            answer.status = status
            answer.headers.update(fields)
        if end:
            self._end()

    def on_data(self, data: bytes, end: bool) -> None:
        self.consumed(len(data))
        if not self._limit or len(self._answer.body) < self._limit:
            self._answer.body += data
        if end:
            self._end()

    def _end(self) -> None:
        if not self.heard.done():
            self.heard.set_result(self._answer)

    def on_reset(self, code: int) -> None:
        self._fail(f"the stream was reset with code {code}")

    def on_lost(self, reason: str) -> None:
        self._fail(reason)

    def on_writable(self) -> None:
        """A check's request is small: nothing waits."""

    def _fail(self, reason: str) -> None:
        if not self.heard.done():
            self.heard.set_exception(ConnectionError(reason))


class TcpWire(_Connection):
    """Bytes out, bytes in."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = b""
        self._news: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether the next check may use it."""
        return self._transport is not None

    async def talk(self, send: bytes, receive: tuple[bytes, ...]) -> None:
        """Send, and wait until what is to be received has come, in its order and with anything around it. Raises ConnectionError."""
        if self._transport is not None:
            self._transport.write(send)
        while not contains(self._heard, receive):
            if self._transport is None:
                raise ConnectionError("the connection was closed")
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        self._heard = b""

    def data_received(self, data: bytes) -> None:
        self._heard = (self._heard + data)[-_REMEMBERED:]
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


_REMEMBERED = 64 * 1024
"""Bytes of a TCP check's answer that are looked at."""


def contains(heard: bytes, pieces: tuple[bytes, ...]) -> bool:
    """Whether all pieces occur one behind the other, with anything between them."""
    start = 0
    for piece in pieces:
        found = heard.find(piece, start)
        if found < 0:
            return False
        start = found + len(piece)
    return True
