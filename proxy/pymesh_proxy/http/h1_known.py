"""Heads of answers that are known by their bytes.

Servers repeat themselves within a second (the Date) and beyond, and parsing is a large part of an exchange; a comparison finds out.
A connection knows the head that it has seen last. The connections of a cluster share what they know, for its endpoints say the same:
with many of them each connection is asked so seldom that it would have to parse nearly every answer, and its own copy of a head
would lie in memory that no cache holds any more.
"""

from typing import TYPE_CHECKING

from .headers import ResponseHead

if TYPE_CHECKING:
    from .attempts import Attempts
    from .options import HttpOptions


class KnownAnswer:
    """The head of an answer that came whole, with its body, in one read; what it says is noted when it comes again."""

    __slots__ = ("head", "length", "options", "response")

    def __init__(self, head: bytes, length: int) -> None:
        self.head = head
        """The bytes of the head, with the empty line at its end."""
        self.length = length
        """The content length that it tells."""
        self.response: ResponseHead | None = None
        """What it was parsed to, untouched."""
        self.options: HttpOptions | None = None
        """The manager by whose rules it was read."""

    def __repr__(self) -> str:
        return f"<KnownAnswer {self.head!r}>"

    def note(self, response: ResponseHead, options: "HttpOptions") -> None:
        """What the head says, for a manager: a copy is kept."""
        self.response = response.copy()
        self.response.remember_lines()
        self.options = options

    def answers(self, attempts: "Attempts", size: int) -> ResponseHead | None:
        """The head, to be edited, of an answer of so many bytes; None if it has to be parsed.

        The head must have been read for the same manager, all of the body be here, and the request one whose answer has a body: what
        follows the head is something else after HEAD, CONNECT and upgrades.
        """
        response = self.response
        if response is None or self.options is not attempts.options or size != len(self.head) + self.length:
            return None
        if attempts.upgrade or attempts.exchange.head.method == b"HEAD":
            return None
        return response.copy()
