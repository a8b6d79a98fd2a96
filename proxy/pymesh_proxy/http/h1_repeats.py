"""What a client's HTTP/1.1 connection compares, to know a head that it has parsed already when it comes again.

Clients on a kept-alive connection repeat themselves (probes, scrapes, polls, calls of one method), and parsing is a large part of an
exchange; one comparison finds out.
"""

from typing import Final

_LIMIT: Final = 4096
"""Bytes of a head that is compared."""

_LAST_CONTROL: Final = 0x20


def head_of(data: bytes) -> bytes:
    """The head with which a read begins, if it ends in it, else nothing. Empty lines before a request are no head."""
    end = data.find(b"\r\n\r\n", 0, _LIMIT)
    if end < 0 or data[0] <= _LAST_CONTROL:
        return b""
    return data if end + 4 == len(data) else data[: end + 4]


def is_whole(head: bytes, fields: int) -> bool:
    """Whether the parser saw the end of a head where `head_of` did: a line for the request, one for each field, and the empty one."""
    return head.count(b"\n") == fields + 2
