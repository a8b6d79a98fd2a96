"""URI templates, as paths are matched by them and rewritten with them: `/users/{id}/{rest=**}`.

A segment is literal, `*` (one segment), `**` (any rest), or a variable that holds such segments. What Envoy takes beyond that, operators
within a segment, is not understood here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LITERAL = re.compile(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=]+")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,15}")
_VARIABLE = re.compile(r"\{([^{}=]*)(?:=([^{}]*))?\}")
_CHARACTERS = r"a-zA-Z0-9\-._~%!$&'()+,;:@=*"
_OPERATORS = {"*": f"[{_CHARACTERS}]+", "**": f"[{_CHARACTERS}/]*"}
_MOST_VARIABLES = 5


class Malformed(ValueError):
    """A template that cannot be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template to match by: an RE2 pattern with one group a variable, in order."""

    pattern: str
    variables: tuple[str, ...]


def template(text: str) -> Template:
    """Read a template to match by; raises Malformed."""
    if not text.startswith("/"):
        raise Malformed(f"{text!r} must begin with a slash")
    variables: list[str] = []
    segments = _split(text[1:])
    if "" in segments[:-1]:
        raise Malformed(f"{text!r} has an empty segment")
    pattern = "".join("/" + _segment(segment, variables) for segment in segments)
    if len(variables) > _MOST_VARIABLES:
        raise Malformed(f"{text!r} has more than {_MOST_VARIABLES} variables")
    return Template(pattern, tuple(variables))


def _split(text: str) -> list[str]:
    """Segments; the slashes within a variable's braces are its own."""
    return re.findall(r"(?:\{[^{}]*\}|[^/])+|(?<=/)(?=/|$)|^$", text) if text else [""]


def _segment(segment: str, variables: list[str]) -> str:
    found = _VARIABLE.fullmatch(segment)
    if found is None:
        return _plain(segment)
    name, inside = found.groups()
    if not _NAME.fullmatch(name):
        raise Malformed(f"{name!r} is no name of a variable: a letter, then letters, digits and underscores, 16 at most")
    if name in variables:
        raise Malformed(f"two variables are called {name!r}")
    if inside == "":
        raise Malformed(f"the variable {name!r} stands for nothing")
    variables.append(name)
    return f"({'/'.join(map(_plain, (inside or '*').split('/')))})"


def _plain(segment: str) -> str:
    if segment in _OPERATORS:
        return _OPERATORS[segment]
    if segment and not _LITERAL.fullmatch(segment):
        raise Malformed(f"{segment!r} is no segment: one is literal, *, ** or a variable in braces")
    return re.escape(segment)


def replacement(text: str, variables: Sequence[str]) -> list[bytes | int]:
    """Read a template to rewrite with, as literal bytes and the numbers of the variables' groups; raises Malformed."""
    if not text.startswith("/") or "//" in text:
        raise Malformed(f"{text!r} must begin with a slash and have no empty segment")
    parts: list[bytes | int] = []
    for literal, name in re.findall(r"([^{}]+)|\{([^{}]*)\}", text):
        if literal:
            parts.append(literal.encode())
        elif name in variables:
            parts.append(variables.index(name) + 1)
        else:
            raise Malformed(f"the match has no variable {name!r}")
    rest = re.sub(r"\{[^{}]*\}", "", text)
    if not re.fullmatch(r"[a-zA-Z0-9\-._~%!$&'()+,;:@=*/]*", rest):
        raise Malformed(f"{text!r} has characters that no path has")
    return parts
