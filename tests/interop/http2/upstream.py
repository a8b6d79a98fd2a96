"""An HTTP/2 server played by the `h2` library, which tells what it was asked and can fail in every way that a server can.

The first segment of the path says what it does; anything else is answered with the request as JSON.
"""

import asyncio
import json
from collections.abc import Callable

import h2.config
import h2.connection
import h2.events
import h2.settings
from hyperframe.frame import HeadersFrame

_Headers = list[tuple[str, str]]
JSON: _Headers = [(":status", "200"), ("content-type", "application/json"), ("x-secret", "s"), ("server", "up")]


class Http2Upstream:
    """`async with Http2Upstream() as upstream`: serves on `upstream.port` of loopback."""

    def __init__(self) -> None:
        self.port = 0

    async def __aenter__(self) -> "Http2Upstream":
        self._server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="latin-1", validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1, h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 65535},
        )
        self.heads: dict[int, _Headers] = {}
        self.bodies: dict[int, bytes] = {}
        self.trailers: dict[int, _Headers] = {}
        self.unsent: dict[int, bytes] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self.take(event)
        self.flush()

    def take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self.heads[event.stream_id] = list(event.headers)
                self.bodies[event.stream_id] = b""
                self.begin(event.stream_id)
            case h2.events.DataReceived():
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.data and self.tunnels(event.stream_id):
                    self.h2.send_data(event.stream_id, b"<" + event.data + b">")
            case h2.events.TrailersReceived():
                self.trailers[event.stream_id] = list(event.headers)
            case h2.events.StreamEnded():
                self.respond(event.stream_id)
            case h2.events.WindowUpdated():
                for stream_id in list(self.unsent):
                    self.pour(stream_id)

    def tunnels(self, stream_id: int) -> bool:
        return dict(self.heads[stream_id])[":method"] == "CONNECT"

    def begin(self, stream_id: int) -> None:
        """What does not wait for the request's end."""
        path = dict(self.heads[stream_id]).get(":path", "")
        if self.tunnels(stream_id):
            self.h2.send_headers(stream_id, [(":status", "200"), ("x-up", "1")])
            self.h2.send_data(stream_id, b"EARLY")
        elif path == "/early":
            self.h2.send_headers(stream_id, [(":status", "413"), ("content-length", "3")])
            self.h2.send_data(stream_id, b"big", end_stream=True)

    def respond(self, stream_id: int) -> None:
        path = dict(self.heads[stream_id]).get(":path", "")
        if self.tunnels(stream_id):
            self.h2.end_stream(stream_id)
        elif path.startswith("/status/"):
            self.h2.send_headers(stream_id, [(":status", path.split("/")[2]), ("x-secret", "s")], end_stream=True)
        elif path in _ANSWERS:
            _ANSWERS[path](self, stream_id)
        elif path not in ("/early", "/slow"):
            self.echo(stream_id)

    def echo(self, stream_id: int) -> None:
        head = self.heads[stream_id]
        document = {
            "headers": sorted([name, value] for name, value in head),
            "body": self.bodies[stream_id].decode("latin-1"),
            "trailers": self.trailers.get(stream_id),
        }
        body = json.dumps(document, sort_keys=True).encode()
        bodiless = dict(head)[":method"] == "HEAD"
        self.h2.send_headers(stream_id, [*JSON, ("content-length", str(len(body)))], end_stream=bodiless)
        if not bodiless:
            self.h2.send_data(stream_id, body, end_stream=True)

    def pour(self, stream_id: int) -> None:
        rest = self.unsent.pop(stream_id)
        while rest and (size := min(self.h2.local_flow_control_window(stream_id), 16384, len(rest))) > 0:
            self.h2.send_data(stream_id, rest[:size], end_stream=size == len(rest))
            rest = rest[size:]
        if rest:
            self.unsent[stream_id] = rest


def _big(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "200")])
    connection.unsent[stream_id] = b"0123456789" * 30000
    connection.pour(stream_id)


def _trailers(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "200")])
    connection.h2.send_data(stream_id, b"body")
    connection.h2.send_headers(stream_id, [("x-trailer", "t")], end_stream=True)


def _bare_trailers(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "200")])
    connection.h2.send_headers(stream_id, [("x-trailer", "t")], end_stream=True)


def _hints(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "103"), ("link", "</a>")])
    connection.h2.send_headers(stream_id, [(":status", "200"), ("content-length", "2")])
    connection.h2.send_data(stream_id, b"ok", end_stream=True)


def _reset(connection: _Connection, stream_id: int) -> None:
    connection.h2.reset_stream(stream_id, 2)


def _refuse(connection: _Connection, stream_id: int) -> None:
    connection.h2.reset_stream(stream_id, 7)


def _cut(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "200")])
    connection.h2.send_data(stream_id, b"part")
    connection.flush()
    asyncio.get_running_loop().call_later(0.1, _cut_off, connection, stream_id)


def _cut_off(connection: _Connection, stream_id: int) -> None:
    connection.h2.reset_stream(stream_id, 2)
    connection.flush()


def _hang_up(connection: _Connection, stream_id: int) -> None:
    connection.transport.close()


def _cut_hang_up(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "200")])
    connection.h2.send_data(stream_id, b"part")
    connection.flush()
    asyncio.get_running_loop().call_later(0.1, connection.transport.close)


def _malformed(connection: _Connection, stream_id: int) -> None:
    block = connection.h2.encoder.encode([(":status", "200"), ("Upper", "x")])
    connection.transport.write(HeadersFrame(stream_id, block, flags=["END_HEADERS", "END_STREAM"]).serialize())


def _short(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "200"), ("content-length", "10")])
    connection.flush()
    connection.transport.write(b"\x00\x00\x04\x00\x01" + stream_id.to_bytes(4, "big") + b"part")


def _unmodified(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "304"), ("etag", '"e"'), ("content-length", "10")], end_stream=True)


def _cookies(connection: _Connection, stream_id: int) -> None:
    connection.h2.send_headers(stream_id, [(":status", "200"), ("set-cookie", "a=1"), ("set-cookie", "b=2")], end_stream=True)


def _goaway(connection: _Connection, stream_id: int) -> None:
    """A connection that has served others leaves without having looked at this request; a fresh one answers it."""
    if stream_id == 1:
        connection.echo(stream_id)
    else:
        connection.h2.close_connection(last_stream_id=stream_id - 2)


_ANSWERS: dict[str, Callable[[_Connection, int], None]] = {
    "/big": _big,
    "/trailers": _trailers,
    "/bare-trailers": _bare_trailers,
    "/hints": _hints,
    "/reset": _reset,
    "/refuse": _refuse,
    "/cut": _cut,
    "/hang-up": _hang_up,
    "/cut-hang-up": _cut_hang_up,
    "/malformed": _malformed,
    "/short": _short,
    "/unmodified": _unmodified,
    "/cookies": _cookies,
    "/goaway": _goaway,
}
