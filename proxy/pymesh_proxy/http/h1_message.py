"""One exchange over an upstream's HTTP/1.1 connection: how far it is, what frames its request, and what is wrong with an answer."""

import enum
from typing import TYPE_CHECKING, Final

from .headers import Fields, RequestHead

if TYPE_CHECKING:
    from .attempts import Attempts

_BODILESS_METHODS: Final = frozenset((b"GET", b"HEAD", b"DELETE", b"CONNECT", b"TRACE"))
"""Methods that expect no body; any other without one goes up with `content-length: 0`, as by Envoy (RFC 9110 8.6)."""


class Stage(enum.Enum):
    """Where in an answer the connection is."""

    IDLE = "no request was sent"
    HEAD = "the head, or an interim answer before it"
    BODY = "the body"
    WHOLE = "ended, within the read that is being parsed"
    CLOSED = "the connection is gone"


class UnusableAnswer(ValueError):
    """The answer parses, but no safe proxy passes it on; the message says why."""


def request_fields(attempts: "Attempts", head: RequestHead) -> Fields:
    """The request's fields with what its body's framing or an upgrade needs on this hop."""
    fields = head.fields
    if attempts.chunked:
        fields = [*fields, (b"transfer-encoding", b"chunked")]
    elif attempts.complete and head.method not in _BODILESS_METHODS and b"content-length" not in head.index:
        fields = [*fields, (b"content-length", b"0")]
    if attempts.upgrade and head.method != b"CONNECT":
        fields = [*fields, (b"connection", b"Upgrade"), (b"upgrade", attempts.upgrade)]
    return fields
