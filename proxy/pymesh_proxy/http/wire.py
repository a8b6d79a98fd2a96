"""Bytes of HTTP/1.1 heads and chunks: tables made once, joins instead of formatting."""

import re
from http import HTTPStatus
from typing import Final

from .headers import Fields


def _reason(code: int) -> bytes:
    try:
        return HTTPStatus(code).phrase.encode()
    except ValueError:
        return b"Unknown"  # what Envoy writes for a code without a standard phrase


STATUS_LINE: Final = {code: b"HTTP/1.1 %d %b\r\n" % (code, _reason(code)) for code in range(100, 1000)}
STATUS_LINE_10: Final = {code: b"HTTP/1.0 %d %b\r\n" % (code, _reason(code)) for code in range(100, 1000)}

CONTINUE: Final = STATUS_LINE[100] + b"\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"

BODILESS: Final = frozenset((204, 304))
"""Statuses whose answers never have a body (RFC 9110 6.4.1), besides 1xx and answers to HEAD."""


_WORD: Final = re.compile(rb"(?<![a-z0-9])[a-z]")
_PROPER_LIMIT: Final = 1024
_proper: Final[dict[bytes, bytes]] = {}
"""Names that were seen, in proper case; the same few come again and again."""


def proper_case(fields: Fields) -> Fields:
    """The fields with names like `X-Request-Id`, for peers that compare names with case (header_key_format)."""
    return [(_proper.get(name) or _proper_name(name), value) for name, value in fields]


def _proper_name(name: bytes) -> bytes:
    if len(_proper) >= _PROPER_LIMIT:
        _proper.clear()
    _proper[name] = proper = _WORD.sub(lambda letter: letter[0].upper(), name.lower())
    return proper


_NUMBERS: Final = tuple(b"%d" % number for number in range(1000))


def number(value: int) -> bytes:
    """Decimal digits; small numbers, as milliseconds are, stand ready."""
    return _NUMBERS[value] if 0 <= value < 1000 else b"%d" % value


_field: Final = b": ".join


def request_head(method: bytes, path: bytes, lines: bytes) -> bytes:
    """A request's head, ending in the empty line."""
    return b"".join((method, b" ", path, b" HTTP/1.1\r\n", lines, b"\r\n"))


def response_head(status_line: bytes, lines: bytes) -> bytes:
    """A response's head, ending in the empty line."""
    return b"".join((status_line, lines, b"\r\n"))


def last_chunk(trailers: Fields) -> bytes:
    """The end of a chunked body with trailers."""
    return b"0\r\n%b\r\n\r\n" % b"\r\n".join(map(_field, trailers))


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
