"""An HTTP/2 connection's reads, cut into frames: so many in a loop turn, so that nobody waits for a peer with thousands of tiny ones."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from .errors import ConnectionBroken
from .frames import DEFAULT_MAX_FRAME_SIZE, FRAME_SIZE_ERROR, HEADER_SIZE, PREFACE, PROTOCOL_ERROR, read_uint24, read_uint31
from .phase import CLOSED

if TYPE_CHECKING:
    from .connection import H2Connection

FRAMES_PER_TURN: Final = 64
"""Frames of one connection that are handled in one loop turn: legal tiny frames starve the others otherwise (DESIGN 3, rule 10)."""


class FrameCutter(ABC):
    """What `Inbound` is to the octets that come; `_take` is given each frame: the whole buffer, and where the payload stands in it."""

    __slots__ = ("_buffer", "_connection", "_continuing", "_left", "_position", "_preface")

    def __init__(self, connection: "H2Connection") -> None:
        self._connection = connection
        self._buffer = b""
        self._position = 0
        """Where in the buffer the next turn begins."""
        self._preface = b"" if connection.client else PREFACE
        """What of the client's preface has not come yet."""
        self._continuing = False
        """The rest of the buffer waits for its turn, and reading is paused."""
        self._left = 0
        """What may still be done in this turn, in frames."""

    @abstractmethod
    def _take(self, kind: int, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        """One frame. Raises ConnectionBroken."""

    def feed(self, data: bytes) -> None:
        """What was read."""
        self._buffer = self._buffer + data if self._buffer else data
        if not self._continuing:
            self._work()

    def _work(self) -> None:
        connection = self._connection
        connection.hold()
        try:
            connection.flood.check_unsent()
            if self._preface and not self._take_preface():
                return
            self._take_frames()
        except ConnectionBroken as broken:
            connection.fail(broken.code, broken.reason)
        finally:
            connection.flush()

    def _continue(self) -> None:
        """The next turn."""
        self._continuing = False
        connection = self._connection
        if connection.phase == CLOSED:
            return
        try:
            self._work()
        except Exception:
            connection.transport.abort()  # as the loop does when data_received raises
            raise
        if not self._continuing and connection.phase != CLOSED:
            connection.transport.resume_reading()

    def _take_preface(self) -> bool:
        expected = self._preface
        size = min(len(self._buffer), len(expected))
        if self._buffer[:size] != expected[:size]:
            raise ConnectionBroken(PROTOCOL_ERROR, "not the preface of HTTP/2")
        self._buffer = self._buffer[size:]
        self._preface = expected[size:]
        return not self._preface

    def _take_frames(self) -> None:
        """Up to FRAMES_PER_TURN frames; the rest of the buffer waits."""
        connection = self._connection
        data = self._buffer
        size = len(data)
        position = self._position
        self._left = FRAMES_PER_TURN
        while size - position >= HEADER_SIZE:
            length = read_uint24(data, position)
            start = position + HEADER_SIZE
            end = start + length
            if length > DEFAULT_MAX_FRAME_SIZE:
                raise ConnectionBroken(FRAME_SIZE_ERROR, f"a frame of {length} octets")
            if end > size:
                break
            if self._left <= 0:
                self._position = position
                self._yield()
                return
            self._left -= 1
            kind = data[position + 3]
            flags = data[position + 4]
            stream_id = read_uint31(data, position + 5)
            position = end
            self._take(kind, flags, stream_id, data, start, end)
            if connection.phase == CLOSED:
                self._buffer = b""
                return
        self._position = 0
        self._buffer = data[position:] if position else data

    def _yield(self) -> None:
        """Let the loop serve others before the next frames of this connection, and read no more until then."""
        if not self._continuing:
            self._continuing = True
            self._connection.transport.pause_reading()
            self._connection.later(self._continue)
