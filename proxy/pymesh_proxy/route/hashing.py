"""What a request is told apart by where a hash decides about its endpoint: a route's hash policies, as closures.

The numbers are Envoy's, bit for bit: xxHash64 of the bytes as they came, and one rotation between policies, so that two that find the
same do not cancel each other out.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from ..upstream.balancing.hashes import xx_hash
from .conditions import header_values, query_value
from .cookies import NewCookie, cookie_value

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from ..http.headers import ResponseHead

HashKey = Callable[["Exchange"], int | None]
"""64 bits of an exchange; None when it has nothing of what was asked for."""

_MASK: Final = 2**64 - 1
_NUMBER = re.compile(rb"[ \t]*\+?[0-9]{1,20}[ \t]*")
_COOKIES: Final = "generated cookies"
"""The exchange's note of the set-cookie lines that its answer gets."""


def combined(policies: Sequence[tuple[HashKey, bool]]) -> HashKey:
    """All policies in their order; one that is terminal ends the search once there is a hash, its own or an earlier one."""

    def read(exchange: "Exchange") -> int | None:
        key: int | None = None
        for policy, terminal in policies:
            found = policy(exchange)
            if found is not None:
                key = found if key is None else ((key << 1 | key >> 63) & _MASK) ^ found
            if terminal and key is not None:
                break
        return key

    return read


def header(name: str, rewrite: Callable[[bytes], bytes] | None) -> HashKey:
    """A header; of several lines, in whatever order they came, each hash is the seed of the next."""
    lines = header_values(name)

    def read(exchange: "Exchange") -> int | None:
        values = lines(exchange.head)
        if not values:
            return None
        key = 0
        for value in sorted(values if rewrite is None else map(rewrite, values)):
            key = xx_hash(value, key)
        return key

    return read


def cookie(name: str, new: NewCookie | None) -> HashKey:
    """A cookie; the client of a request without one gets `new`, which is the same for all requests of its connection."""
    wanted = name.encode()

    def read(exchange: "Exchange") -> int | None:
        value = cookie_value(exchange.head, wanted)
        if not value and new is not None:
            connection = exchange.downstream
            text = f"{xx_hash((connection.remote_address + connection.local_address).encode()):016x}"
            _promise(exchange, new.line(text))
            value = text.encode()
        return xx_hash(value) if value else None

    return read


def query_parameter(name: str) -> HashKey:
    """The first query parameter of a name; nothing is decoded."""
    wanted = name.encode()

    def read(exchange: "Exchange") -> int | None:
        value = query_value(exchange.head.path, wanted)
        return None if value is None else xx_hash(value)

    return read


def header_number(name: str) -> HashKey:
    """The decimal number of 64 bits that the only line of a header holds; it is taken as it is."""
    lines = header_values(name)

    def read(exchange: "Exchange") -> int | None:
        values = lines(exchange.head)
        if len(values) != 1 or _NUMBER.fullmatch(values[0]) is None:
            return None
        number = int(values[0])
        return number if number <= _MASK else None

    return read


def source_ip(exchange: "Exchange") -> int | None:
    """The trusted client address."""
    return ip_hash(exchange.remote_address)


def ip_hash(address: str) -> int | None:
    """The IP of `ip:port`; None for a Unix socket."""
    ip = address.rpartition(":")[0]
    return xx_hash(ip.strip("[]").encode()) if ip else None


def _promise(exchange: "Exchange", line: bytes) -> None:
    notes = exchange.notes
    promised = notes.get(_COOKIES, ()) if notes is not None else ()
    exchange.note(_COOKIES, (*promised, line))


def hand_out(exchange: "Exchange", response: "ResponseHead") -> None:
    """Give the cookies that were made for a request to its answer."""
    if exchange.notes is not None:
        for line in exchange.notes.get(_COOKIES, ()):
            response.add(b"set-cookie", line)
