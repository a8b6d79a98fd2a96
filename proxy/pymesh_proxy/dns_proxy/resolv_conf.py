"""The servers and search domains of the machine's resolver (resolv.conf(5))."""

from collections.abc import Iterator
from dataclasses import dataclass

from pymesh import address

MAX_SERVERS = 3
"""More are left out, as the C library does."""
PORT = 53


@dataclass(frozen=True, slots=True)
class ResolvConf:
    """`servers` are IP and port."""

    servers: tuple[tuple[str, int], ...] = ()
    search: tuple[str, ...] = ()


def parse(text: str) -> ResolvConf:
    """Read the file's text. A server may have a port (`[address]:port`, as OpenBSD writes it); what is no server's address is left out."""
    words = [line.split() for line in text.splitlines() if line[:1] not in ("#", ";")]
    servers = [server for line in words for server in _servers(line)]
    search = [tuple(line[1:] if line[0] == "search" else line[1:2]) for line in words if line and line[0] in ("search", "domain")]
    return ResolvConf(tuple(servers[:MAX_SERVERS]), search[-1] if search else ())


def _servers(line: list[str]) -> Iterator[tuple[str, int]]:
    if len(line) < 2 or line[0] != "nameserver":
        return
    if address.is_ip(line[1]):
        yield line[1], PORT
    elif line[1].startswith("["):
        host, _, port = line[1][1:].partition("]")
        if address.is_ip(host) and port[:1] in ("", ":"):
            yield from ((host, number) for number in _port(port[1:]))


def _port(text: str) -> Iterator[int]:
    if not text:
        yield PORT
    elif text.isascii() and text.isdecimal() and 0 < int(text) <= 65535:
        yield int(text)
