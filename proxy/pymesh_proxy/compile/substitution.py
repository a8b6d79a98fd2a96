"""RegexMatchAndSubstitute: a pattern, and what stands in the place of its matches."""

import re
from collections.abc import Sequence
from typing import Any

from .fields import Reader
from .strings import regex


def substitution(reader: Reader) -> tuple[Any, Sequence[bytes | int]]:
    """The pattern and its replacement; `\\1` in the substitution is a group, `\\0` the whole match."""
    reader.only("pattern", "substitution")
    pattern = regex(Reader(reader.message.pattern, reader.at("pattern"), reader.problems))
    parts = _replacement(reader.message.substitution)
    if parts is None or any(isinstance(part, int) and part > pattern.groups for part in parts):
        reader.refuse(
            "substitution", f"{reader.message.substitution!r}: a backslash needs a group's digit (of {pattern.groups}) or another"
        )
        parts = ()
    return pattern, parts


def _replacement(text: str) -> Sequence[bytes | int] | None:
    """Literal bytes and group numbers; None when a backslash is followed by anything but a digit or a backslash."""
    parts: list[bytes | int] = []
    for literal, escape in re.findall(r"([^\\]+)|\\(.?)", text, re.DOTALL):
        if literal:
            parts.append(literal.encode())
        elif escape.isdigit() or escape == "\\":
            parts.append(int(escape) if escape.isdigit() else b"\\")
        else:
            return None
    return parts
