"""Clients and upstreams of a Mesh that speak HTTP/1 or HTTP/2 and are played by h11 and h2, alike to the tests that use them."""

import asyncio
from dataclasses import dataclass, field, replace

import h2.events
import h11
from h2.connection import ConnectionInputs, ConnectionState

from pymesh_proxy.http2.settings import Http2Options
from pymesh_proxy.testing import Mesh, static_cluster
from pymesh_proxy.upstream.config import UpstreamProtocol

from .ends import Library


@dataclass
class Message:
    """A request or an answer, as far as it has come. `start` has the pseudo-headers, or the first line as such."""

    start: dict = field(default_factory=dict)
    headers: dict = field(default_factory=dict)
    raw: list = field(default_factory=list)
    body: bytes = b""
    trailers: dict | None = None
    ended: bool = False
    reset: int | None = None
    interim: list = field(default_factory=list)

    @property
    def status(self):
        return int(self.start[":status"])


_SURVIVING = {
    (state, what): (None, state)
    for state in (ConnectionState.IDLE, ConnectionState.CLIENT_OPEN, ConnectionState.SERVER_OPEN)
    for what in (ConnectionInputs.RECV_GOAWAY, ConnectionInputs.SEND_GOAWAY)
}


def _texts(fields):
    return [(bytes(name).decode(), bytes(value).decode("latin-1")) for name, value in fields]


class H2Player(Library):
    """One end of an HTTP/2 connection."""

    def __init__(self, transport, *, client, consuming=True, **settings):
        self.messages = {}
        self.goaways = []
        self.pings = []
        super().__init__(transport, client=client, **settings)
        self.consuming = consuming
        # To h2 every GOAWAY is the end; in RFC 9113 6.8 the streams that are open go on.
        self.h2.state_machine._transitions = {**self.h2.state_machine._transitions, **_SURVIVING}

    def leave(self, last_id):
        """GOAWAY."""
        self.h2.close_connection(last_stream_id=last_id)
        self.flush()

    def take(self, event):
        super().take(event)
        stream_id = getattr(event, "stream_id", None)
        if isinstance(event, (h2.events.RequestReceived, h2.events.ResponseReceived)):
            message = self.message(stream_id)
            message.raw = _texts(event.headers)
            message.start = {name: value for name, value in message.raw if name[0] == ":"}
            message.headers = {name: value for name, value in message.raw if name[0] != ":"}
        elif isinstance(event, h2.events.InformationalResponseReceived):
            self.message(stream_id).interim.append(int(dict(_texts(event.headers))[":status"]))
        elif isinstance(event, h2.events.DataReceived):
            self.message(stream_id).body += event.data
        elif isinstance(event, h2.events.TrailersReceived):
            self.message(stream_id).trailers = dict(_texts(event.headers))
        elif isinstance(event, h2.events.StreamEnded):
            self.message(stream_id).ended = True
        elif isinstance(event, h2.events.StreamReset) and event.remote_reset:
            self.message(stream_id).reset = int(event.error_code)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.last_stream_id, int(event.error_code)))
        elif isinstance(event, h2.events.PingReceived):
            self.pings.append(event.ping_data)

    def message(self, stream_id):
        return self.messages.setdefault(stream_id, Message())

    def reset(self, stream_id, code=8):
        self.h2.reset_stream(stream_id, code)
        self.flush()

    def data(self, stream_id, data, end=False):
        self.h2.send_data(stream_id, data, end_stream=end)
        self.flush()

    def _send(self, stream_id, fields, body, trailers, end):
        last = end and trailers is None
        self.h2.send_headers(stream_id, fields, end_stream=last and not body)
        if body:
            self.h2.send_data(stream_id, body, end_stream=last)
        if trailers is not None:
            self.h2.send_headers(stream_id, list(trailers.items()), end_stream=True)
        self.flush()


class H2Client(H2Player):
    """A client of the mesh; its requests have their own streams."""

    def __init__(self, transport, **settings):
        super().__init__(transport, client=True, **settings)

    def ask(self, method="GET", path="/x", headers=(), body=b"", trailers=None, *, end=True, authority="a.test"):
        """Send a request; its answer is the value, filled in as it comes."""
        stream_id = self.h2.get_next_available_stream_id()
        start = [(":method", method), (":scheme", "http"), (":path", path), (":authority", authority)]
        self._send(stream_id, [*start, *headers], body, trailers, end)
        self.last = stream_id
        return self.message(stream_id)


class H2Upstream(H2Player):
    """A server behind the mesh."""

    def __init__(self, transport, **settings):
        super().__init__(transport, client=False, **settings)

    def asked(self, number=-1):
        """The request that came as the given one."""
        return list(self.messages.values())[number]

    def answer(self, number=-1, status=200, headers=(), body=b"", trailers=None, *, end=True):
        stream_id = list(self.messages)[number]
        self._send(stream_id, [(":status", str(status)), *headers], body, trailers, end)
        return stream_id


class H1Player(asyncio.Protocol):
    """One end of an HTTP/1.1 connection."""

    role: type

    def __init__(self, transport):
        self.transport = transport
        self.h11 = h11.Connection(self.role)
        self.messages = []
        self.closed = False
        self.received = b""
        transport.attach(self)

    def data_received(self, data):
        self.received += data
        self.h11.receive_data(data)
        self.pull()

    def pull(self):
        while True:
            event = self.h11.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return
            message = self.messages[-1] if self.messages else None
            if isinstance(event, h11.Request):
                headers = _texts(event.headers)
                start = {":method": event.method.decode(), ":path": event.target.decode(), ":authority": dict(headers)["host"]}
                self.messages.append(Message(start, dict(headers), headers))
            elif isinstance(event, h11.Response):
                message.raw = _texts(event.headers)
                message.start, message.headers = {":status": str(event.status_code)}, dict(message.raw)
            elif isinstance(event, h11.InformationalResponse):
                message.interim.append(event.status_code)
            elif isinstance(event, h11.Data):
                message.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                message.ended = True
                message.trailers = dict(_texts(event.headers)) or None

    def eof_received(self):
        self.closed = True
        return True

    def connection_lost(self, exc):
        self.closed = True

    def put(self, *events):
        for event in events:
            self.transport.write(self.h11.send(event))

    def _body(self, body, trailers, end):
        if body:
            self.put(h11.Data(data=body))
        if end:
            self.put(h11.EndOfMessage(headers=list((trailers or {}).items())))


class H1Client(H1Player):
    role = h11.CLIENT

    def ask(self, method="GET", path="/x", headers=(), body=b"", trailers=None, *, end=True, authority="a.test"):
        """Send a request; its answer is the value, filled in as it comes."""
        if self.messages:
            self.h11.start_next_cycle()
        framing = [("Transfer-Encoding", "chunked")] if body or trailers or not end else []
        if any(name.lower() == "content-length" for name, _ in headers):
            framing = []
        self.messages.append(Message())
        self.put(h11.Request(method=method, target=path, headers=[("Host", authority), *headers, *framing]))
        self._body(body, trailers, end)
        return self.messages[-1]


class H1Upstream(H1Player):
    role = h11.SERVER

    def asked(self, number=-1):
        return self.messages[number]

    def answer(self, number=-1, status=200, headers=(), body=b"", trailers=None, *, end=True):
        names = {name.lower() for name, _ in headers}
        framing = [("Transfer-Encoding", "chunked")] if "content-length" not in names and (body or trailers or not end) else []
        self.put(h11.Response(status_code=status, headers=[*headers, *framing]))
        self._body(body, trailers, end)
        if end and self.h11.their_state is h11.DONE:
            self.h11.start_next_cycle()
            self.pull()


CLIENTS = {"HTTP/1": H1Client, "HTTP/2": H2Client}
UPSTREAMS = {"HTTP/1": H1Upstream, "HTTP/2": H2Upstream}


def mesh(up="HTTP/2", *, cluster=None, addresses=(("10.0.0.1", 80),), **options):
    """A Mesh whose cluster speaks `up`; `cluster` has further settings of it."""
    settings = {"enable_trailers": True, **(cluster or {})}
    if up == "HTTP/2":
        settings = {"protocol": UpstreamProtocol.HTTP2, **settings}
    return Mesh(cluster=static_cluster("up", *addresses, **settings), **{"enable_trailers": True, **options})


def http2(**settings):
    """Http2Options."""
    return replace(Http2Options(), **settings)


def client(running, down="HTTP/2", **settings):
    """A client that speaks `down`."""
    kind = CLIENTS[down]
    return running.connect(http2=down == "HTTP/2").become(lambda transport: kind(transport, **settings))


async def upstream(running, up="HTTP/2", **settings):
    """The next upstream connection, played by one that speaks `up`."""
    kind = UPSTREAMS[up]
    played = (await running.accepted()).become(lambda transport: kind(transport, **settings))
    await running.settle()
    return played
