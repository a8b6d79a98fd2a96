"""The reading side of an upstream's HTTP/1.1 connection: in slices where a read may hold thousands of chunks.

An upstream that sends a byte a chunk would keep the loop busy for as long as one read lasts, and everybody else waiting. Bodies whose
chunks nobody counts, since their length is known or the connection's end is theirs, pass as they came.
"""

import asyncio
from abc import abstractmethod
from typing import Final

_SLICE: Final = 32 * 1024
"""Bytes of a read that are parsed in one loop turn, where chunks have to be counted."""


class Sliced(asyncio.Protocol):
    """What `ClientConnection` is to its transport's reading side."""

    __slots__ = ("_feeding", "_paused", "_unread", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._unread = b""
        """What was read and is not parsed yet; nothing more is read meanwhile."""
        self._feeding = False
        """Whether the next slice of it has its turn."""
        self._paused = False
        """Whether the client has to catch up first."""

    @abstractmethod
    def _feed(self, data: bytes) -> None:
        """Parse what was read."""

    @abstractmethod
    def _counts_chunks(self) -> bool:
        """Whether what comes next are chunks."""

    @abstractmethod
    def _listening(self) -> bool:
        """Whether there is an exchange that wants more."""

    def data_received(self, data: bytes) -> None:
        if self._unread:
            self._unread += data
            if not self._feeding:
                self._feed_on()
        elif len(data) > _SLICE and self._counts_chunks() and self._listening():
            self._unread = data
            self._feed_on()
        else:
            self._feed(data)

    def _feed_on(self) -> None:
        """The next slice, and all of the rest if it turns out to need none; unless the client has to catch up first."""
        self._feeding = False
        while self._unread and not self._paused and self._listening():
            self._feed(self._piece(_SLICE if self._counts_chunks() else len(self._unread)))
            if self._unread and self._counts_chunks():
                break
        if self._unread and self._listening():
            self._wait()
            return
        self._unread = b""
        if not self._paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _piece(self, size: int) -> bytes:
        """So much of what is unread; all of it as it is, for a compiled slice is a copy even of the whole."""
        data = self._unread
        if size >= len(data):
            self._unread = b""
            return data
        self._unread = data[size:]
        return data[:size]

    def _wait(self) -> None:
        """Read nothing more until the rest has had its turns."""
        if not self.transport.is_closing():
            self.transport.pause_reading()
        if not self._paused:
            self._later()

    def _later(self) -> None:
        self._feeding = True
        asyncio.get_running_loop().call_soon(self._feed_on)

    def pause_reading(self) -> None:
        """The client reads slowly."""
        self._paused = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """It has caught up."""
        self._paused = False
        if self.transport.is_closing():
            return
        if not self._unread:
            self.transport.resume_reading()
        elif not self._feeding:
            self._later()
