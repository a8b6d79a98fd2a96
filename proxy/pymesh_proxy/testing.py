"""The proxy in memory: transports, a clock and a client/upstream pair, so that no test sleeps or binds a port.

    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        upstream = await mesh.accepted()
        upstream.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200 OK")
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any, TypeVar, cast

from .http.exchange import Downstream, Exchange
from .http.h1_server import ServerConnection
from .http.options import HttpOptions
from .http.route_slot import RouteSlot
from .http2.server import ServerConnection as Http2Connection
from .listener.scope import Scope
from .route.table import Forward, Route, RouteTable, Target
from .runtime import Runtime
from .upstream.config import Assignment, ClusterConfig, Discovery, EndpointConfig

_Player = TypeVar("_Player", bound=asyncio.Protocol)

_SETTLE_TURNS = 25
"""Loop turns after which everything that was going to happen without time passing has happened."""


class MemoryTransport(asyncio.Transport):
    """One end of a connection without a network. Bytes arrive in the other end's next loop turn."""

    def __init__(self, extra: dict[str, Any] | None = None) -> None:
        super().__init__(extra)
        self.peer: MemoryTransport
        self.protocol: asyncio.Protocol
        self.reading = True
        self.closing = False
        self._inbox: list[bytes] = []
        self._eof = False
        self._finished = False
        self._high = 64 * 1024
        self._full = False
        self._parting = False
        """Closed, with bytes on their way that the other end does not read."""

    @classmethod
    def pair(cls, **extra: Any) -> "tuple[MemoryTransport, MemoryTransport]":
        """Two connected ends; the second carries `extra` info."""
        one, other = cls(), cls(extra)
        one.peer, other.peer = other, one
        return one, other

    def attach(self, protocol: asyncio.BaseProtocol) -> None:
        """Give this end its protocol and tell it that the connection stands."""
        self.protocol = cast(asyncio.Protocol, protocol)
        self.protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def write(self, data: Any) -> None:
        if self.closing or not data:
            return
        if self._finished:
            raise RuntimeError("Cannot call write() after write_eof()")  # as asyncio's own
        self.peer._inbox.append(bytes(data))
        self.peer._wake()
        if not self._full and self.peer.waiting > self._high:
            self._full = True
            self.protocol.pause_writing()

    @property
    def waiting(self) -> int:
        """Bytes sent to this end that it has not read."""
        return sum(map(len, self._inbox))

    def _wake(self) -> None:
        asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        while self._inbox and self.reading and not self.closing:
            self._receive(self._inbox.pop(0))
        if not self._inbox and self.peer._full:
            self.peer._full = False
            self.peer.protocol.resume_writing()
        if not self._inbox and self.peer._parting:
            self.peer._lose(None)
        if self._eof and not self._inbox and self.reading and not self.closing:
            self._eof = False
            if not self.protocol.eof_received():
                self.close()

    def _receive(self, data: bytes) -> None:
        """To a protocol that reads into buffers of its own, as much as one of them takes; the rest waits."""
        protocol: Any = self.protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            protocol.data_received(data)
            return
        buffer: Any = protocol.get_buffer(-1)
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        if size < len(data):
            self._inbox.insert(0, data[size:])
        protocol.buffer_updated(size)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._finished = True
        self.peer._eof = True
        self.peer._wake()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        if not self.reading:
            self.reading = True
            self._wake()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        """The connection is lost when the other end has what was written, as a real one."""
        if self.closing or self.peer.reading or self.peer.closing or not self.peer.waiting:
            self._close(None)
        else:
            self.closing = self._parting = True
            self.write_eof()

    def abort(self) -> None:
        if self._parting:
            self._lose(None)
        else:
            self._close(None)

    def _lose(self, error: Exception | None) -> None:
        self._parting = False
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, error)

    def reset(self) -> None:
        """End the connection as a RST would: the other end gets an error."""
        self._close(None, ConnectionResetError("Connection reset by peer"))

    def _close(self, error: Exception | None, told: Exception | None = None) -> None:
        if self.closing:
            return
        self.closing = True
        loop = asyncio.get_running_loop()
        loop.call_soon(self.protocol.connection_lost, error)
        if self.peer._parting:
            self.peer._lose(told)
        elif told is None:
            self.write_eof()
        elif not self.peer.closing:
            self.peer.closing = True
            loop.call_soon(self.peer.protocol.connection_lost, told)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high if high is not None else self._high

    def get_write_buffer_size(self) -> int:
        return self.peer.waiting


class MemoryLoop:
    """The part of an event loop that the proxy asks for, with a clock that only moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.refusing: set[tuple[str, int]] = set()
        self.hanging: set[tuple[str, int]] = set()
        self.accepted: asyncio.Queue[Peer] = asyncio.Queue()
        self._order = itertools.count()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        return asyncio.get_running_loop().call_soon(callback, *args)

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, asyncio.get_running_loop())
        heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells its loop; a cancelled handle is skipped when its time comes."""

    def advance(self, seconds: float) -> None:
        """Let time pass and run what falls due, in order."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, handle = heapq.heappop(self._timers)
            self.now = max(self.now, when)
            if not handle.cancelled():
                handle._run()
        self.now = end

    async def create_connection(
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: Any
    ) -> tuple[MemoryTransport, asyncio.Protocol]:
        """Connect to a Peer that the test takes from `accepted`."""
        if (host, port) in self.refusing:
            raise ConnectionRefusedError(111, "Connection refused")
        if (host, port) in self.hanging:
            await asyncio.Event().wait()
        theirs, ours = MemoryTransport.pair(sockname=("127.0.0.1", 50000), peername=(host, port))
        peer = Peer(theirs, (host, port))
        protocol = factory()
        ours.attach(protocol)
        self.accepted.put_nowait(peer)
        return ours, protocol


class Peer(asyncio.Protocol):
    """A client or an upstream, as a test plays it."""

    def __init__(self, transport: MemoryTransport, address: tuple[str, int] = ("", 0)) -> None:
        self.address = address
        self.received = b""
        self.ended = False
        """The proxy has sent its FIN."""
        self.closed = False
        self._transport = transport
        transport.attach(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pass

    def data_received(self, data: bytes) -> None:
        self.received += data

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    def become(self, player: Callable[["MemoryTransport"], _Player]) -> _Player:
        """Another protocol, which attaches itself, plays this peer from here on; it gets what has been received."""
        playing = player(self._transport)
        if self.received:
            playing.data_received(self.received)
        return playing

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    def finish(self) -> None:
        """Send a FIN and keep reading."""
        self._transport.write_eof()

    def close(self) -> None:
        self._transport.close()

    def reset(self) -> None:
        self._transport.reset()

    def stop_reading(self) -> None:
        self._transport.pause_reading()

    def start_reading(self) -> None:
        self._transport.resume_reading()

    @property
    def paused(self) -> bool:
        """Whether the proxy has stopped reading from this peer."""
        return not self._transport.peer.reading

    @property
    def hung_up(self) -> bool:
        """Whether the proxy has ended the connection, politely or not."""
        return self.ended or self.closed or self._transport.peer.closing


def forward_to(cluster: str, *, timeout: float = 0.0, **action: Any) -> Route:
    """A route that proxies everything to one cluster; further members are Forward's."""
    return Route(name="test", action=Forward(targets=((1, Target(cluster=cluster)),), total_weight=1, timeout=timeout, **action))


def static_cluster(name: str, *addresses: tuple[str, int], **settings: Any) -> ClusterConfig:
    """A STATIC cluster of the given endpoints."""
    endpoints = tuple(EndpointConfig(host=host, port=port) for host, port in addresses)
    return ClusterConfig(name=name, discovery=Discovery.STATIC, assignment=Assignment(cluster=name, endpoints=endpoints), **settings)


class Mesh(AbstractAsyncContextManager["Mesh"]):
    """One HTTP connection manager in front of one cluster `up`, all in memory."""

    def __init__(self, *, route: Route | None = None, cluster: ClusterConfig | None = None, **options: Any) -> None:
        self.loop = MemoryLoop()
        self.runtime = Runtime(cast(asyncio.AbstractEventLoop, self.loop))
        self.runtime.clusters.put(cluster or static_cluster("up", ("10.0.0.1", 80)))
        self.exchanges: list[Exchange] = []
        chosen = route or forward_to("up")
        routes = ((lambda head, draw: True, chosen),)
        slot = RouteSlot("test", RouteTable("test", lambda authority: routes))
        base = HttpOptions(route=slot, stats=self.runtime.http_stats("test"), observers=(self.exchanges.append,))
        self.options = replace(base, **options)
        self.scope = Scope("test", "", 64 * 1024)

    async def __aenter__(self) -> "Mesh":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.runtime.wheel.close()

    def connect(self, *, http2: bool = False) -> Peer:
        """A client's connection to the listener; `http2`: as behind ALPN."""
        theirs, ours = MemoryTransport.pair(peername=("192.0.2.7", 40000), sockname=("192.0.2.1", 8080))
        client = Peer(theirs)
        facts = Downstream(remote_address="192.0.2.7:40000", local_address="192.0.2.1:8080")
        kind = Http2Connection if http2 else ServerConnection
        ours.attach(kind(self.runtime, self.options, self.scope, facts))
        return client

    async def accepted(self) -> Peer:
        """The next connection that the proxy makes to an upstream, when what is said on it at once has arrived."""
        peer = await asyncio.wait_for(self.loop.accepted.get(), 30)
        for _ in range(2):
            await asyncio.sleep(0)
        return peer

    async def settle(self) -> None:
        """Let everything happen that needs no time to pass."""
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and what follows from it happen."""
        self.loop.advance(seconds)
        await self.settle()
