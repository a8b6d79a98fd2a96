"""A stream that carries another protocol (CONNECT, RFC 9113 8.5, and its extension, RFC 8441), in the shape of a transport.

So a tunnel's two ends are joined by the same relay, whether they are connections or streams.
"""

import asyncio
from typing import Any, cast

from .frames import CANCEL
from .stream import CLOSED, LOCAL, H2Stream


class StreamTransport(asyncio.Transport):
    """Bytes both ways over one stream's DATA. The stream's owner passes on what comes by the methods at the end."""

    __slots__ = ("_held", "_paused", "_protocol", "_stream")

    def __init__(self, stream: H2Stream) -> None:
        super().__init__()
        self._stream = stream
        self._protocol: asyncio.Protocol | None = None
        self._paused = True
        """Until a protocol asks for bytes."""
        self._held: list[bytes] = []
        """What came meanwhile; its window is not given back before it is passed on."""

    # --- asyncio's side -----------------------------------------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def write(self, data: Any) -> None:
        if not self._stream.send_data(bytes(data), False) and self._protocol is not None:
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._stream.send_data(b"", True)

    def close(self) -> None:
        """END_STREAM behind what was written, and nothing more is read."""
        stream = self._stream
        stream.parting = CANCEL  # the peer need not send its rest
        if stream.state == LOCAL:
            stream.reset(CANCEL)
        else:
            stream.send_data(b"", True)
            if stream.state != CLOSED:
                stream.linger()
        self._gone(None)

    def abort(self) -> None:
        self._stream.reset(CANCEL)
        self._gone(None)

    def is_closing(self) -> bool:
        return self._stream.state == CLOSED

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        held, self._held = self._held, []
        for data in held:
            self._deliver(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The stream has its connection's."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket":
            return default  # it is not the stream's to change: others share it
        return self._stream.connection.transport.get_extra_info(name, default)

    # --- the stream's side --------------------------------------------------------------------------------------------

    def received(self, data: bytes, end: bool) -> None:
        """DATA has come."""
        if data and (self._paused or self._held):
            self._held.append(data)
        elif data:
            self._deliver(data)
        if end and self._protocol is not None and not self._protocol.eof_received():
            self.close()

    def _deliver(self, data: bytes) -> None:
        self._stream.consumed(len(data))
        if self._protocol is not None:
            self._protocol.data_received(data)

    def writable(self) -> None:
        """There is room again."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def lost(self) -> None:
        """The stream was reset, or its connection has ended."""
        self._gone(ConnectionResetError("the stream was reset"))

    def _gone(self, exc: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            self._stream.connection.later(lambda: protocol.connection_lost(exc))
