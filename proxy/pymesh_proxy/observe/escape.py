"""Making what a peer sent safe to stand in a line of text.

A request may carry quotes, CR LF or terminal escapes; written as they came they would forge log lines (CWE-117). Nothing a
peer sends can end a quoted field or a line.
"""

import re
from typing import Final

_unsafe: Final = re.compile(rb"[^ !#-\[\]-~]").search
"""Whatever needs an escape, and what is not ASCII."""


def escape(raw: bytes | str) -> str:
    """`raw` with quotes, backslashes, control characters and bytes that are not UTF-8 written as backslash escapes."""
    if isinstance(raw, bytes):
        if _unsafe(raw) is None:
            return raw.decode("ascii")  # nearly always, and the cheapest way to know
        text = raw.decode("utf-8", "surrogateescape")
    else:
        text = raw
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join(map(_escape_character, text))


KNOWN: Final[dict[bytes | str, str]] = {}
"""What `remember` has escaped: methods, hosts and user agents come again and again, and a look-up is cheaper than escaping."""

_KNOWN_LIMIT = 4096

_SURROGATES = chr(0xDC80), chr(0xDCFF)
"""What `surrogateescape` makes of bytes that are not UTF-8."""


def remember(raw: bytes | str) -> str:
    """`escape`, kept in KNOWN."""
    if len(KNOWN) >= _KNOWN_LIMIT:
        KNOWN.clear()
    KNOWN[raw] = text = escape(raw)
    return text


def _escape_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if _SURROGATES[0] <= character <= _SURROGATES[1]:  # a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


_BLANKS = bytes(ord(" ") if byte in b"\r\n\0" else byte for byte in range(256))


def one_line(raw: bytes) -> bytes:
    """`raw` fit to be a header's value: what would end the line or the string becomes a space."""
    return raw.translate(_BLANKS)
