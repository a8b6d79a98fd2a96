"""Two ends of an HTTP/2 connection in memory: ours in either role, and the `h2` library as the other one."""

import asyncio
import struct
from dataclasses import replace

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import hpack

from pymesh_proxy.http2.connection import H2Connection
from pymesh_proxy.http2.settings import Http2Options
from pymesh_proxy.http2.stream import H2Stream
from pymesh_proxy.testing import MemoryTransport

GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/x"), (b":authority", b"a.test"), (b"accept", b"*/*")]
POST = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/x"), (b":authority", b"a.test")]
OK = [(b":status", b"200"), (b"server", b"s")]


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NAMES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION"]


def frame(kind, flags=0, stream_id=0, payload=b""):
    """A frame as bytes; `kind` by name or number."""
    number = NAMES.index(kind) if isinstance(kind, str) else kind
    return struct.pack(">LBL", len(payload) << 8 | number, flags, stream_id) + payload


def frames(data):
    """Bytes as (kind, flags, stream id, payload)."""
    found = []
    while data:
        word, flags, stream_id = struct.unpack_from(">LBL", data)
        end = 9 + (word >> 8)
        assert end <= len(data), "a frame is cut"
        found.append((NAMES[word & 0xFF], flags, stream_id, data[9:end]))
        data = data[end:]
    return found


def block(fields):
    """A field section without tables."""
    encoder = hpack.Encoder()
    return b"".join(encoder.encode([hpack.NeverIndexedHeaderTuple(*field)], huffman=False) for field in fields)


class Recorder(H2Stream):
    """A stream that writes down what happens to it; it consumes at once unless told to hold."""

    __slots__ = ("body", "ended", "events", "sections")

    def __init__(self, connection, stream_id=0):
        super().__init__(connection, stream_id)
        self.events = []
        self.sections = []
        self.body = b""
        self.ended = False

    def on_headers(self, fields, end):
        self.sections.append(list(fields))
        self.events.append("headers")
        self.ended |= end
        self.connection.heard(self)

    def on_data(self, data, end):
        self.body += data
        self.ended |= end
        if self.connection.consuming:
            self.consumed(len(data))
        self.connection.heard(self)

    def on_reset(self, code):
        self.events.append(("reset", code))

    def on_lost(self, reason):
        self.events.append(("lost", reason))

    def on_writable(self):
        self.events.append("writable")
        self.connection.writable(self)


class Ours(H2Connection):
    """Our end of a connection; `answer(stream)` is called whenever a stream has received something."""

    __slots__ = ("answer", "consuming", "events", "opened", "room")

    def __init__(self, *, client=False, answer=None, room=None, **settings):
        limits = {key: settings.pop(key) for key in ("buffer_limit", "max_header_bytes", "max_header_count") if key in settings}
        super().__init__(asyncio.get_running_loop(), replace(Http2Options(), **settings), client=client, **limits)
        self.answer = answer
        self.room = room
        self.consuming = True
        self.opened = {}
        self.events = []

    def open_stream(self, stream_id):
        stream = self.opened[stream_id] = Recorder(self, stream_id)
        return stream

    def ask(self, fields, end=True):
        stream = Recorder(self)
        stream.send_headers(fields, end)
        self.opened[stream.id] = stream
        return stream

    def heard(self, stream):
        if self.answer:
            self.answer(stream)

    def writable(self, stream):
        if self.room:
            self.room(stream)

    def on_settings(self):
        self.events.append("settings")

    def on_goaway(self, last_id, code):
        self.events.append(("goaway", last_id, code))

    def on_pong(self, opaque):
        self.events.append(("pong", opaque))

    def on_failed(self, code, reason):
        self.events.append(("failed", code, reason))


class Wire(asyncio.Protocol):
    """The far end as bytes: what was received, and a way to send."""

    def __init__(self, transport):
        self.transport = transport
        self.received = b""
        self.closed = False
        transport.attach(self)

    def data_received(self, data):
        self.received += data

    def eof_received(self):
        self.closed = True
        return True

    def connection_lost(self, exc):
        self.closed = True

    def send(self, data):
        self.transport.write(data)

    def take(self):
        taken, self.received = self.received, b""
        return taken


class Library(asyncio.Protocol):
    """The `h2` library at the far end."""

    def __init__(self, transport, *, client, **settings):
        self.transport = transport
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=client, header_encoding=None))
        values = {h2.settings.SettingCodes[key]: value for key, value in settings.items()}
        self.h2.local_settings = h2.settings.Settings(client=client, initial_values=values)
        self.events = []
        self.bodies = {}
        self.heads = {}
        self.trailers = {}
        self.ended = set()
        self.resets = {}
        self.consuming = True
        self.closed = False
        self.heard = None
        self.h2.initiate_connection()
        transport.attach(self)
        self.flush()

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            self.take(event)
            if self.heard:
                self.heard(event)
        self.flush()

    def take(self, event):
        self.events.append(event)
        if isinstance(event, (h2.events.RequestReceived, h2.events.ResponseReceived)):
            self.heads[event.stream_id] = [tuple(map(bytes, field)) for field in event.headers]
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers[event.stream_id] = [tuple(map(bytes, field)) for field in event.headers]
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
            if self.consuming:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.resets[event.stream_id] = event.error_code

    def eof_received(self):
        self.closed = True
        return True

    def connection_lost(self, exc):
        self.closed = True


async def settle(turns=25):
    """Let everything happen that needs no time."""
    for _ in range(turns):
        await asyncio.sleep(0)


def joined(ours):
    """Our end, attached; and the transport of the other."""
    theirs, mine = MemoryTransport.pair()
    theirs.attach(asyncio.Protocol())  # until the far end takes its place
    mine.attach(ours)
    return theirs


def server(**settings):
    """Our server and a wire to it."""
    ours = Ours(**settings)
    return ours, Wire(joined(ours))


def client(**settings):
    """Our client and a wire to it."""
    ours = Ours(client=True, **settings)
    return ours, Wire(joined(ours))


def with_library(*, client, theirs=None, **settings):
    """Our end (`client` says its role) and the library's."""
    ours = Ours(client=client, **settings)
    return ours, Library(joined(ours), client=not client, **(theirs or {}))


def pair(server_settings=None, client_settings=None):
    """Our client and our server."""
    mine, yours = Ours(client=True, **(client_settings or {})), Ours(**(server_settings or {}))
    one, other = MemoryTransport.pair()
    one.protocol, other.protocol = mine, yours
    one.attach(mine)
    other.attach(yours)
    return mine, yours
