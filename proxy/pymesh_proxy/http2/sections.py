"""Field sections as a connection receives them: decoded, checked, and remembered while the peer repeats itself.

A section that leaves the compression table as it was means the same each time its octets come, until the table changes.
"""

from typing import Final, TypeVar

from .errors import ConnectionBroken
from .fields import check_request, check_response, check_trailers
from .frames import ENHANCE_YOUR_CALM
from .hpack import Decoder, Fields

_REMEMBERED: Final = 64
"""Sections of one kind."""

_REMEMBERED_SIZE: Final = 1024
"""Octets of the longest of them."""


_Known = TypeVar("_Known")


class Assembly:
    """A field section in pieces: HEADERS, and CONTINUATION until END_HEADERS (RFC 9113 6.10)."""

    __slots__ = ("_pieces", "end", "size", "stream_id")

    def __init__(self, stream_id: int, end: bool, piece: bytes) -> None:
        self.stream_id = stream_id
        self.end = end
        """END_STREAM of the HEADERS."""
        self._pieces = [piece]
        self.size = len(piece)

    def __repr__(self) -> str:
        return f"<Assembly of stream {self.stream_id} pieces={len(self._pieces)} size={self.size}>"

    @property
    def continuations(self) -> int:
        """Which CONTINUATION comes next."""
        return len(self._pieces)

    def add(self, piece: bytes) -> None:
        """A CONTINUATION's payload."""
        self._pieces.append(piece)
        self.size += len(piece)

    def block(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


class SectionReader:
    """The reading end of one connection's field sections. What it returns is shared: to be read, or copied before it is edited."""

    __slots__ = ("_allow_connect", "_at", "_changed", "_max_block", "_requests", "_responses", "_trailers", "decoder")

    def __init__(self, decoder: Decoder, *, max_block: int, allow_connect: bool) -> None:
        self.decoder = decoder
        self._max_block = max_block
        """Octets of an encoded section; more ends the connection before they are collected."""
        self._allow_connect = allow_connect
        self._at = 0
        """The table's state that the memories belong to."""
        self._changed = False
        """Whether the section decoded last changed it."""
        self._requests: dict[bytes, tuple[Fields, int]] = {}
        self._responses: dict[bytes, tuple[Fields, int, int]] = {}
        self._trailers: dict[bytes, Fields] = {}

    def request(self, block: bytes) -> tuple[Fields, int]:
        """Fields and content length."""
        known = self._requests.get(block)
        if known is None:
            fields = self.decode(block)
            known = fields, check_request(fields, allow_connect=self._allow_connect)
            if self._worth(block, self._requests):
                self._requests[block] = known
        return known

    def response(self, block: bytes) -> tuple[Fields, int, int]:
        """Fields, status and content length."""
        known = self._responses.get(block)
        if known is None:
            fields = self.decode(block)
            known = fields, *check_response(fields)
            if self._worth(block, self._responses):
                self._responses[block] = known
        return known

    def trailers(self, block: bytes) -> Fields:
        """Fields."""
        known = self._trailers.get(block)
        if known is None:
            known = check_trailers(self.decode(block))
            if self._worth(block, self._trailers):
                self._trailers[block] = known
        return known

    def decode(self, block: bytes) -> Fields:
        """Fields that are not going to be used, or not yet; keeps the table in step with the peer's."""
        self.check_size(len(block))
        try:
            return self.decoder.decode(block)
        finally:
            self._changed = self.decoder.changes != self._at
            if self._changed:
                self._forget()

    def check_size(self, size: int) -> None:
        """Octets of an encoded section, collected so far."""
        if size > self._max_block:
            raise ConnectionBroken(ENHANCE_YOUR_CALM, f"a field section of more than {self._max_block} octets")

    def _worth(self, block: bytes, memory: dict[bytes, _Known]) -> bool:
        """Whether to remember the section just decoded: it is short, and did not itself change the table. Makes room."""
        if self._changed or len(block) > _REMEMBERED_SIZE:
            return False
        if len(memory) >= _REMEMBERED:
            memory.clear()
        return True

    def _forget(self) -> None:
        self._at = self.decoder.changes
        self._requests.clear()
        self._responses.clear()
        self._trailers.clear()
