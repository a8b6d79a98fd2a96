"""What is a part of something larger (a stream of HTTP/2, the bodies of an exchange) in the shape of a transport.

So the relay that joins connections joins these, too.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import cast


class BodyTransport(ABC):
    """Bytes both ways. What comes while its reader is slow is held, and so is the end behind it.

    It is no heir of asyncio's class: that has a slot, `_extra`, where a compiled object has the table of its methods.
    """

    __slots__ = ("_held", "_over", "_paused", "_protocol")

    def __init__(self) -> None:
        self._protocol: asyncio.Protocol | None = None
        self._paused = True
        """Until a protocol asks for bytes."""
        self._held: list[bytes] = []
        self._over = False
        """The other end has said its last, and the protocol has not been told."""

    @property
    def as_transport(self) -> asyncio.Transport:
        """To those who know nothing but connections."""
        return cast(asyncio.Transport, self)

    @abstractmethod
    def close(self) -> None:
        """As a transport's."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: B027  no class has any
        """What this is a part of has its own."""

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        while self._held and not self._paused:
            self._deliver(self._held.pop(0))
        self._tell_end()

    def received(self, data: bytes, end: bool = False) -> None:
        """Bytes have come, the last ones if `end`."""
        if data and (self._paused or self._held):
            self._held.append(data)
        elif data:
            self._deliver(data)
        if end:
            self._over = True
            self._tell_end()

    def _deliver(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.data_received(data)

    def _tell_end(self) -> None:
        if self._over and not (self._paused or self._held) and self._protocol is not None:
            self._over = False
            if not self._protocol.eof_received():
                self.close()

    def _part(self) -> asyncio.Protocol | None:
        """The protocol, which is told nothing more by this."""
        protocol, self._protocol = self._protocol, None
        return protocol
