"""What a route asks of a request, as closures over its head: path, headers, query parameters, a share of the traffic."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..http.headers import RequestHead
from .table import Match

if TYPE_CHECKING:
    from ..http.exchange import Exchange

BytesTest = Callable[[bytes], bool]
_DECIMAL = re.compile(rb"[+-]?[0-9]{1,19}")

_PSEUDO: dict[bytes, Callable[[RequestHead], list[bytes]]] = {
    b":method": lambda head: [head.method],
    b":path": lambda head: [head.path],
    b":authority": lambda head: [head.authority],
    b":scheme": lambda head: [head.scheme],
    b"host": lambda head: [head.authority],
}


def prefix(text: str, case_sensitive: bool = True) -> Match:
    """The path without its query begins with a text; with an empty one every path does."""
    wanted = text.encode()
    if b"?" in wanted:
        return _never
    if not wanted:
        return lambda head, random: head.path != b""  # a CONNECT has no path, and only `is_connect` is for it
    if case_sensitive:
        return lambda head, random: head.path.startswith(wanted)
    lowered = wanted.lower()
    return lambda head, random: head.path[: len(lowered)].lower() == lowered


def exact(text: str, case_sensitive: bool = True) -> Match:
    """The path without its query is a text."""
    wanted = text.encode()
    if b"?" in wanted:
        return _never
    if case_sensitive:
        with_query = wanted + b"?"
        return lambda head, random: head.path == wanted or head.path.startswith(with_query)
    lowered = wanted.lower()
    return lambda head, random: path_of(head.path).lower() == lowered


def segments(text: str, case_sensitive: bool = True) -> Match:
    """The path without its query is a text, or goes on after it with a slash."""
    wanted = text.encode() if case_sensitive else text.lower().encode()
    below = wanted + b"/"

    def test(head: RequestHead, random: int) -> bool:
        path = path_of(head.path) if case_sensitive else path_of(head.path).lower()
        return path == wanted or path.startswith(below)

    return test


def pattern(regex: Any) -> Match:
    """A regular expression matches the whole path without its query."""
    matches = regex.fullmatch
    return lambda head, random: head.path != b"" and matches(path_of(head.path)) is not None


def is_connect(head: RequestHead, random: int) -> bool:
    """The request asks for a tunnel."""
    return head.method == b"CONNECT"


def header_present(name: str, wanted: bool) -> Match:
    """A header is there, or is not."""
    read = header_values(name)
    return lambda head, random: bool(read(head)) is wanted


def header_value(name: str, test: BytesTest, *, invert: bool = False, missing_is_empty: bool = False) -> Match:
    """One of a header's lines passes a test (inverted: none does). A missing header never matches, unless it counts as empty."""
    read = header_values(name)

    def matches(head: RequestHead, random: int) -> bool:
        values = read(head) or ([b""] if missing_is_empty else [])
        return bool(values) and any(map(test, values)) is not invert

    return matches


def header_values(name: str) -> Callable[[RequestHead], list[bytes]]:
    """Reads every line of a header; pseudo headers come from the request line."""
    key = name.lower().encode()
    return _PSEUDO.get(key) or (lambda head: head.get_all(key))


def number_between(start: int, end: int) -> BytesTest:
    """A decimal integer in [start, end)."""

    return lambda value: _DECIMAL.fullmatch(value) is not None and start <= int(value) < end


def query(name: str, test: BytesTest | None, *, present: bool = True) -> Match:
    """The first query parameter of a name passes a test; without a test, that it is there (or is not). Nothing is decoded."""
    key = name.encode()

    def matches(head: RequestHead, random: int) -> bool:
        value = query_value(head.path, key)
        if test is None:
            return (value is not None) is present
        return value is not None and test(value)

    return matches


def query_value(path: bytes, key: bytes) -> bytes | None:
    """The raw value of the first query parameter of a name; empty when it has no `=`."""
    for part in path.partition(b"?")[2].split(b"&"):
        name, _, value = part.partition(b"=")
        if name == key and part:
            return value
    return None


def certificate(wanted: bool) -> "Callable[[Exchange], bool]":
    """The client has shown a certificate, or has not. One that is shown has been verified, or there would be no request."""
    return lambda exchange: (exchange.downstream.peer is not None) is wanted


def is_grpc(head: RequestHead, random: int) -> bool:
    """content-type is `application/grpc` or `application/grpc+...`, and no gRPC-Web."""
    value = head.get(b"content-type")
    return value is not None and (value == b"application/grpc" or value.startswith(b"application/grpc+"))


def share(numerator: int, denominator: int) -> Match:
    """A share of the requests, by their random number."""
    return lambda head, random: random % denominator < numerator


def every(conditions: Sequence[Match]) -> Match:
    """All of the conditions, asked in order; a single one is its own closure, so that the common route costs one call."""
    match conditions:
        case [only]:
            return only
        case [first, second]:
            return lambda head, random: first(head, random) and second(head, random)
    return lambda head, random: all(test(head, random) for test in conditions)


def path_of(target: bytes) -> bytes:
    """A request target without its query."""
    return target.partition(b"?")[0]


def _never(head: RequestHead, random: int) -> bool:
    return False
