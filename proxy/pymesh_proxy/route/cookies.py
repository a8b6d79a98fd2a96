"""Cookies that say where a client belongs: read from a request, and given to who has none yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..http.headers import RequestHead


def cookie_value(head: RequestHead, name: bytes) -> bytes:
    """The first cookie of a name, without the quotes around it; empty when there is none."""
    for line in head.get_all(b"cookie"):
        for pair in line.split(b";"):
            key, equals, value = pair.partition(b"=")
            if equals and key.lstrip(b" ") == name:
                quoted = len(value) >= 2 and value.startswith(b'"') and value.endswith(b'"')
                return value[1:-1] if quoted else value
    return b""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCookie:
    """A cookie to be set; `ttl` in whole seconds, 0 for as long as the client's session lasts."""

    name: str
    ttl: int
    path: str = ""
    attributes: Sequence[tuple[str, str]] = ()
    """Names with values, or with empty ones."""

    def line(self, value: str) -> bytes:
        """The value of the set-cookie header."""
        parts = [f'{self.name}="{value}"']
        if self.ttl:
            parts.append(f"Max-Age={self.ttl}")
        if self.path:
            parts.append(f"Path={self.path}")
        parts += [f"{name}={text}" if text else name for name, text in self.attributes]
        return "; ".join([*parts, "HttpOnly"]).encode()
