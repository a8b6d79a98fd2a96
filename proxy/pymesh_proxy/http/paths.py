"""Path normalisation, done once, before routing: policy, router and upstream see the same bytes (envoy-behaviour 1.7).

The steps and their order are Envoy's: escaped slashes, then RFC 3986 normalisation, then merging of slashes. The query is
never touched.
"""

import re

from .options import EscapedSlashes

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile(rb"%(?:2[Ff]|5[Cc])")
_SLASHES = re.compile(rb"//+")
_PLAIN = re.compile(rb"/[A-Za-z0-9_~!$&'()*+,=:@/-]*+\Z")
"""Paths that normalisation cannot change: no dot, escape, backslash or parameter in them."""


class PathRejected(ValueError):
    """The path cannot be normalised safely; answered with 400."""


class PathRedirect(Exception):
    """The client is to come back with the unescaped path."""

    def __init__(self, location: bytes) -> None:
        super().__init__(location)
        self.location = location


def normalize(target: bytes, *, normalize_path: bool, merge_slashes: bool, escaped: EscapedSlashes) -> bytes:
    """The path and query to route on; raises PathRejected or PathRedirect."""
    path, mark, query = target.partition(b"?")
    unescaped = path if escaped is EscapedSlashes.KEEP_UNCHANGED else _escaped_slashes(path, escaped)
    if normalize_path and not _PLAIN.match(unescaped):
        unescaped = _dot_segments(_decode_unreserved(unescaped).replace(b"\\", b"/"))
    if merge_slashes:
        unescaped = _SLASHES.sub(b"/", unescaped)
    if escaped is EscapedSlashes.UNESCAPE_AND_REDIRECT and _ESCAPED_SLASH.search(path):
        raise PathRedirect(unescaped + mark + query)
    return unescaped + mark + query


def _escaped_slashes(path: bytes, action: EscapedSlashes) -> bytes:
    if not _ESCAPED_SLASH.search(path):
        return path
    if action is EscapedSlashes.REJECT_REQUEST:
        raise PathRejected("escaped slash in the path")
    return _ESCAPED_SLASH.sub(lambda found: b"/" if found[0][1:2] == b"2" else b"\\", path)


def _decode_unreserved(path: bytes) -> bytes:
    def decode(found: re.Match[bytes]) -> bytes:
        byte = int(found[1], 16)
        if byte == 0:
            raise PathRejected("%00 in the path")
        return bytes((byte,)) if byte in _UNRESERVED else found[0]

    return _ESCAPE.sub(decode, path)


def _dot_segments(path: bytes) -> bytes:
    """Resolve `.` and `..`, also with parameters behind them (`..;x`), as Envoy does from 1.40 on."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for position, segment in enumerate(segments):
        name = segment.partition(b";")[0] if segment.startswith(b".") else segment
        if name not in (b".", b".."):
            kept.append(segment)
            continue
        if name == b"..":
            if not kept and segment == b"..":
                raise PathRejected("the path climbs above its root")
            del kept[-1:]  # at the root a `..;x` goes nowhere, as measured on Envoy 1.40
        if position == len(segments) - 1:
            kept.append(b"")
    return b"/" + b"/".join(kept)
