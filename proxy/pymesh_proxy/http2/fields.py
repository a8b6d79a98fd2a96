"""Which field sections are messages (RFC 9113 8.2, 8.3), stated once for requests, responses and trailers.

This runs for every head that is not a repetition, so names go through one dictionary of those known to be good, and all
values through one `translate`.
"""

import re
from typing import Final

from .errors import Malformed
from .hpack import Fields

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_AUTHORITY: Final = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=:%\[\]]+")
_SCHEME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*")
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_STATUS: Final = re.compile(rb"[1-9][0-9][0-9]")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")

_CONTROLS: Final = bytes(range(9)) + bytes(range(10, 32)) + b"\x7f"
_VISIBLE: Final = bytes(range(0x21, 0x7F))

_NAMES_LIMIT: Final = 4096
"""Sound names remembered."""

_REMEMBERED_SIZE: Final = 64
"""Octets of the longest name or authority that is remembered."""

NO_LENGTH: Final = -1
"""The message does not tell how long its body is."""

_PLAIN, _CONNECTION, _TE, _CONTENT_LENGTH, _HOST = range(5)

_KINDS: Final[dict[bytes, int]] = {
    b"connection": _CONNECTION,
    b"keep-alive": _CONNECTION,
    b"proxy-connection": _CONNECTION,
    b"transfer-encoding": _CONNECTION,
    b"upgrade": _CONNECTION,
    b"te": _TE,
    b"content-length": _CONTENT_LENGTH,
    b"host": _HOST,
}
"""What is to be asked about a field of this name; grows with the sound names seen."""

_METHODS: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"CONNECT"))
_SCHEMES: Final = frozenset((b"http", b"https"))

_AUTHORITIES_LIMIT: Final = 1024
"""Sound authorities remembered."""

_authorities: Final[set[bytes]] = set()

_NO_TRAILERS: Final = frozenset((b"content-length", b"host"))

_REQUEST_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))


def check_request(fields: Fields, *, allow_connect: bool = False) -> int:
    """The content length, or NO_LENGTH. Raises Malformed. `allow_connect`: whether `:protocol` has been offered (RFC 8441)."""
    pseudo: dict[bytes, bytes] = {}
    start = 0
    for name, value in fields:
        if name not in _REQUEST_PSEUDO:
            break
        if name in pseudo:
            raise Malformed(f"{name.decode()} twice")
        pseudo[name] = value
        start += 1
    _check_target(pseudo, allow_connect)
    _check_values(fields)
    length, host = _check_names(fields, start)
    if b":authority" not in pseudo:
        pseudo[b":authority"] = host
    if pseudo[b":authority"] not in _authorities:
        _check_authority(pseudo[b":authority"])
    return length


def _check_authority(authority: bytes) -> None:
    if not _AUTHORITY.fullmatch(authority):
        raise Malformed("no sound authority")
    if len(_authorities) >= _AUTHORITIES_LIMIT:
        _authorities.clear()
    if len(authority) <= _REMEMBERED_SIZE:
        _authorities.add(authority)


def _check_target(pseudo: dict[bytes, bytes], allow_connect: bool) -> None:
    """RFC 9113 8.3.1, 8.5 and RFC 8441 4."""
    method = pseudo.get(b":method")
    if method is None or (method not in _METHODS and not _TOKEN.fullmatch(method)):
        raise Malformed("no sound :method")
    protocol = pseudo.get(b":protocol")
    if protocol is not None and not (allow_connect and method == b"CONNECT" and protocol):
        raise Malformed("an unexpected :protocol")
    path = pseudo.get(b":path")
    scheme = pseudo.get(b":scheme")
    if method == b"CONNECT" and protocol is None:
        if path is not None or scheme is not None or b":authority" not in pseudo:
            raise Malformed("CONNECT takes an :authority and nothing else")
        return
    if scheme is None or (scheme not in _SCHEMES and not _SCHEME.fullmatch(scheme)):
        raise Malformed("no sound :scheme")
    if path is None or path.translate(None, _VISIBLE) or not (path.startswith(b"/") or (path == b"*" and method == b"OPTIONS")):
        raise Malformed("no sound :path")


def check_response(fields: Fields) -> tuple[int, int]:
    """Status and content length (or NO_LENGTH). Raises Malformed."""
    if not fields or fields[0][0] != b":status" or not _STATUS.fullmatch(fields[0][1]):
        raise Malformed("no sound :status")
    status = int(fields[0][1])
    if status == 101:
        raise Malformed("101, which HTTP/2 does not have (RFC 9113 8.6)")
    _check_values(fields)
    return status, _check_names(fields, 1)[0]


def check_trailers(fields: Fields) -> Fields:
    """The trailers without what would frame or route a message (RFC 9110 6.5.1). Raises Malformed."""
    _check_values(fields)
    length, host = _check_names(fields, 0)
    if length != NO_LENGTH or host:
        return [field for field in fields if field[0] not in _NO_TRAILERS]
    return fields


def _check_values(fields: Fields) -> None:
    """RFC 9113 8.2.1: no NUL, CR or LF, nor other controls that no HTTP/1 parser takes; no blanks around."""
    text = b"\n".join([value for _, value in fields])
    if len(text.translate(None, _CONTROLS)) != len(text) - max(len(fields) - 1, 0):
        raise Malformed("a control character in a field's value")
    if b" " in text or b"\t" in text:
        framed = b"\n" + text.replace(b"\t", b" ") + b"\n"
        if b"\n " in framed or b" \n" in framed:
            raise Malformed("blanks around a field's value")


def _check_names(fields: Fields, start: int) -> tuple[int, bytes]:
    """Content length and host of the fields behind the pseudo-headers."""
    length = NO_LENGTH
    host = b""
    for name, value in fields[start:] if start else fields:
        kind = _KINDS.get(name)
        if kind == _PLAIN:
            continue
        if kind is None:
            _check_new_name(name)
        elif kind == _CONNECTION:
            raise Malformed(f"the connection-specific field {name.decode()}")
        elif kind == _TE:
            if value.lower() != b"trailers":
                raise Malformed("te with another value than trailers")
        elif kind == _CONTENT_LENGTH:
            if length != NO_LENGTH or not _LENGTH.fullmatch(value):
                raise Malformed("no sound content-length")
            length = int(value)
        elif host:
            raise Malformed("host twice")
        else:
            host = value
    return length, host


def _check_new_name(name: bytes) -> None:
    if not _NAME.fullmatch(name):
        where = "a pseudo-header that is unknown or out of place" if name.startswith(b":") else "a name that is no lower-case token"
        raise Malformed(f"{where}: {name[:64]!r}")
    if len(_KINDS) < _NAMES_LIMIT and len(name) <= _REMEMBERED_SIZE:
        _KINDS[name] = _PLAIN
