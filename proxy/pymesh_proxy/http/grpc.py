"""What is gRPC's own among requests: its content type, and the time that a client gives a call (gRPC's HTTP/2 mapping, Timeout)."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .headers import Headers, RequestHead

if TYPE_CHECKING:
    from .exchange import Exchange

_TIMEOUT: Final = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def is_grpc(head: Headers) -> bool:
    """`application/grpc`, alone or with a message format behind a plus."""
    kind = head.index.get(b"content-type")
    return kind is not None and kind.startswith(b"application/grpc") and kind[16:17] in (b"", b"+", b";")


TRANSLATED: Final = "translated"
"""Noted of exchanges whose client speaks something else, whatever its request has become."""


def is_call(exchange: "Exchange") -> bool:
    """Whether the client made a call of gRPC."""
    return is_grpc(exchange.head) and (exchange.notes is None or TRANSLATED not in exchange.notes)


def timeout_of(head: RequestHead) -> float | None:
    """Seconds of `grpc-timeout`; None without one, or with one that is malformed."""
    value = head.index.get(b"grpc-timeout")
    found = _TIMEOUT.fullmatch(value) if value is not None else None
    return None if found is None else int(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True, slots=True)
class TimeoutRule:
    """How a route reads `grpc-timeout`: what it is capped at (0: not at all), and what is taken off for the way."""

    maximum: float
    offset: float = 0.0

    def apply(self, asked: float) -> float:
        """Seconds for the call, 0 for no limit; `asked` is 0 where the client sets none."""
        if asked > self.offset:
            asked -= self.offset
        if self.maximum and (not asked or asked > self.maximum):
            return self.maximum
        return asked
