"""A host and a port, as every program here is given one."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or IP) and a port; to listen on, port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_ip(self) -> bool:
        return is_ip(self.host)


def parse(text: str) -> Address:
    """Read `HOST:PORT`, `[IPV6]:PORT` or `:PORT` (an empty host). Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def of_authority(text: str, port: int) -> Address:
    """Host and port of an authority (RFC 3986 3.2) or of a mere name; `port` where it has none."""
    try:
        return parse(text)
    except ValueError:
        return Address(text.removeprefix("[").removesuffix("]"), port)


def is_ip(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
