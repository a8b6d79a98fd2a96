"""An application that speaks HTTP/1.1, HTTP/2 and lines of its own on one port, as each connection's first bytes ask for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events

from pymesh.local.ports import HOST

_PREFACE = b"PRI * HTTP/2.0"
LINE = b"\x01 a line of our own\n"


@asynccontextmanager
async def any_application(name: str) -> AsyncIterator[int]:
    """Its port. It answers with its name, what it was spoken to in, and, of a request, the headers that tell how it came."""
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(name), HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class _Connection(asyncio.Protocol):
    def __init__(self, name: str) -> None:
        self._name = name
        self._first = b""
        self._h2: h2.connection.H2Connection | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._h2 is not None:
            self._frames(self._h2, data)
            return
        self._first += data
        if self._first.startswith(_PREFACE):
            self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
            self._h2.initiate_connection()
            self._frames(self._h2, self._first)
        elif self._first.startswith(b"GET ") and self._first.endswith(b"\r\n\r\n"):
            lines = self._first.decode("latin-1").split("\r\n")[1:-2]
            body = self._told("HTTP/1.1", {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)})
            self._first = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        elif self._first == LINE:
            self._transport.write(self._told("lines", {}) + b"\n")

    def _frames(self, connection: h2.connection.H2Connection, data: bytes) -> None:
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                connection.send_headers(event.stream_id, [(":status", "200")])
                connection.send_data(event.stream_id, self._told("HTTP/2", dict(event.headers)), end_stream=True)
        self._transport.write(connection.data_to_send())

    def _told(self, spoken: str, headers: dict[str, str]) -> bytes:
        told = (headers.get(name, "-") for name in ("x-routed", "x-forwarded-client-cert"))
        return " ".join((self._name, spoken, *told)).encode()
