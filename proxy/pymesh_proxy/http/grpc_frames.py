"""Counting gRPC messages as their bytes go by: each has a flag, four bytes of length, and so many more (gRPC's HTTP/2 mapping)."""

from abc import abstractmethod
from collections.abc import Callable

from ..filters import LocalReply

_PREFIX = 5
"""Bytes before a message."""


class BodyTap:
    """What a filter has to do with the pieces of a body as they go by."""

    __slots__ = ("refusal",)

    def __init__(self) -> None:
        self.refusal: LocalReply | None = None
        """The answer to a request that cannot go on; set by `feed`."""

    @abstractmethod
    def feed(self, data: bytes, end: bool) -> bytes:
        """What goes on of the next piece; `end`: it is the last."""

    @abstractmethod
    def then(self, following: "BodyTap") -> "BodyTap":
        """This one, and another for what goes on."""


class FrameCounter(BodyTap):
    """Tells how many messages begin in each piece of a body, wherever it was cut."""

    __slots__ = ("_left", "_prefix", "_told")

    def __init__(self, told: Callable[[int], None]) -> None:
        super().__init__()
        self._told = told
        self._prefix = b""
        """What there is of the prefix that is being read."""
        self._left = 0
        """Bytes of the message that are still to come."""

    def then(self, following: BodyTap) -> BodyTap:
        return following

    def feed(self, data: bytes, end: bool) -> bytes:
        begun = 0
        position = 0
        while position < len(data):
            if self._left:
                passed = min(self._left, len(data) - position)
                self._left -= passed
                position += passed
                continue
            if not self._prefix:
                begun += 1
            part = data[position : position + _PREFIX - len(self._prefix)]
            self._prefix += part
            position += len(part)
            if len(self._prefix) == _PREFIX:
                self._left = int.from_bytes(self._prefix[1:], "big")
                self._prefix = b""
        if begun:
            self._told(begun)
        return data
