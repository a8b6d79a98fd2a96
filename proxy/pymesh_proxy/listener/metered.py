"""A connection whose listener has an access log: what passes is counted, and its end is told. Between the socket (or TLS) and
whatever treats the connection, both ways; connections of other listeners do without."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

from ..http.exchange import Downstream
from ..tcp.proxy import TcpConnection
from ..tcp.session import Phase, Session


class Metered(asyncio.Transport, asyncio.Protocol):
    """Towards the socket a protocol, towards the connection a transport."""

    __slots__ = ("_inner", "_protocol", "_received", "_sent", "_session", "_watchers")

    def __init__(self, protocol: asyncio.Protocol, facts: Downstream, watchers: tuple[Callable[[Session], Any], ...]) -> None:
        """Each of the `watchers` is called once, when the connection has ended."""
        super().__init__()
        self._protocol = protocol
        self._inner: asyncio.Transport
        self._watchers = watchers
        self._received = self._sent = 0
        own = protocol.session if isinstance(protocol, TcpConnection) else None
        self._session = own or Session(downstream=facts, started=time.monotonic(), started_wall=time.time())
        """A TCP proxy's own, which knows its upstream."""

    def __repr__(self) -> str:
        return f"<Metered {self._protocol!r} received={self._received} sent={self._sent}>"

    # --- the socket's side --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner = cast(asyncio.Transport, transport)
        self._protocol.connection_made(self)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)
        session = self._session
        if session.phase is Phase.OPEN:  # a TCP proxy has closed and counted its own
            session.bytes_received, session.bytes_sent = self._received, self._sent
            session.phase = Phase.CLOSED
            session.ended = time.monotonic()
        for watch in self._watchers:
            watch(session)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    # --- the connection's side ----------------------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def write(self, data: Any) -> None:
        self._sent += len(data)
        self._inner.write(data)

    def can_write_eof(self) -> bool:
        return self._inner.can_write_eof()

    def write_eof(self) -> None:
        self._inner.write_eof()

    def close(self) -> None:
        self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._inner.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)
