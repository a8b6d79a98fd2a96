"""A stream that carries another protocol (CONNECT, RFC 9113 8.5, and its extension, RFC 8441)."""

from typing import Any

from ..http.body_transport import BodyTransport
from .frames import CANCEL
from .stream import CLOSED, LOCAL, H2Stream


class StreamTransport(BodyTransport):
    """Bytes both ways over one stream's DATA. The stream's owner passes on what comes; its window is given back when a reader has it."""

    __slots__ = ("_stream",)

    def __init__(self, stream: H2Stream) -> None:
        super().__init__()
        self._stream = stream

    def write(self, data: Any) -> None:
        if not self._stream.send_data(bytes(data), False) and self._protocol is not None:
            self._protocol.pause_writing()

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

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "socket":
            return default  # it is not the stream's to change: others share it
        return self._stream.connection.transport.get_extra_info(name, default)

    def _deliver(self, data: bytes) -> None:
        self._stream.consumed(len(data))
        super()._deliver(data)

    def writable(self) -> None:
        """There is room again."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def lost(self) -> None:
        """The stream was reset, or its connection has ended."""
        self._gone(ConnectionResetError("the stream was reset"))

    def _gone(self, exc: Exception | None) -> None:
        protocol = self._part()
        if protocol is not None:
            self._stream.connection.later(lambda: protocol.connection_lost(exc))
