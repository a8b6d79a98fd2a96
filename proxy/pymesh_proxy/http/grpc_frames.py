"""Counting gRPC messages as their bytes go by: each has a flag, four bytes of length, and so many more (gRPC's HTTP/2 mapping)."""

from abc import abstractmethod
from collections.abc import Callable

from ..filters import LocalReply

_PREFIX = 5
"""Bytes before a message."""


class BodyTap:
    """What a filter does with the pieces of a body as they go by."""

    __slots__ = ("_following", "on_end", "refusal")

    def __init__(self) -> None:
        self._following: BodyTap | None = None
        self.refusal: LocalReply | None = None
        """The answer to a request that cannot go on; set by `feed`."""
        self.on_end: Callable[[], None] | None = None
        """Called when the last piece has gone on."""

    def feed(self, data: bytes, end: bool) -> bytes:
        """What goes on of the next piece; `end`: it is the last."""
        data = self.take(data, end)
        following = self._following
        if following is None or self.refusal is not None:
            return data
        data = following.feed(data, end)
        self.refusal = following.refusal
        return data

    @abstractmethod
    def take(self, data: bytes, end: bool) -> bytes:
        """This one's part of it."""

    def then(self, following: "BodyTap") -> "BodyTap":
        """This one, and another for what goes on."""
        if self._following is None:
            self._following = following
        else:
            self._following.then(following)
        return self


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

    def take(self, data: bytes, end: bool) -> bytes:
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
