"""The PROXY protocol (HAProxy's specification), both versions: who really connected, told by a proxy before us, and told on by us.

Pure functions over bytes. What the specification forbids is refused even where Envoy lets it pass: signs and leading zeros in a
port, scope ids, blanks at the end, datagrams.
"""

import ipaddress
import re
import socket
import struct
from dataclasses import dataclass

from ..errors import ProxyError
from .detect import Verdict

Address = tuple[str, int]

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V1 = b"PROXY "
MAX_V1 = 107
"""A line of version 1 with its end, at most (specification, 2.1)."""

_HEAD = len(SIGNATURE) + 4
_V1_LINE = re.compile(rb"PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n")
_LOCAL, _PROXIED = 0x20, 0x21
_FAMILIES = {0x11: (4, struct.Struct("!4s4sHH")), 0x21: (16, struct.Struct("!16s16sHH"))}
"""TCP over IPv4 and IPv6, as version 2 numbers them."""


class Malformed(ProxyError):
    """The bytes begin like a PROXY header and are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The listener filter's settings."""

    optional: bool = False
    """allow_requests_without_proxy_protocol."""
    versions: frozenset[int] = frozenset({1, 2})
    """Those that are not disallowed."""
    passed: frozenset[int] | None = frozenset()
    """pass_through_tlvs: the types that go on to upstreams which are told too; None means all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a proxy before us said. No source: the connection is its own (LOCAL, UNKNOWN), and the peer's address stays."""

    version: int
    size: int
    """Bytes it takes."""
    source: Address | None = None
    destination: Address | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()

    def passed(self, rules: Rules) -> tuple[tuple[int, bytes], ...]:
        """What goes on to upstreams."""
        return tuple(pair for pair in self.tlvs if rules.passed is None or pair[0] in rules.passed)


def parse(data: bytes, rules: Rules) -> Header | Verdict:
    """The header that `data` begins with; NO when there is none and none is needed. Raises Malformed."""
    if 2 in rules.versions and (data.startswith(SIGNATURE) or SIGNATURE.startswith(data)):
        return _version_2(data)
    if 1 in rules.versions and (data.startswith(_V1) or _V1.startswith(data)):
        return _version_1(data)
    if rules.optional:
        return Verdict.NO
    raise Malformed("no PROXY header")


def _version_1(data: bytes) -> Header | Verdict:
    end = data.find(b"\n", 0, MAX_V1) + 1
    if not end:
        if len(data) >= MAX_V1:
            raise Malformed("the line does not end")
        return Verdict.NEED_MORE
    line = data[:end]
    if line.endswith(b"\r\n") and (line == b"PROXY UNKNOWN\r\n" or line.startswith(b"PROXY UNKNOWN ")):
        return Header(version=1, size=end)
    match = _V1_LINE.fullmatch(line)
    if match is None:
        raise Malformed("the line does not read PROXY TCP4 or TCP6, two addresses, two ports")
    family, source, destination, source_port, destination_port = (part.decode("ascii") for part in match.groups())
    return Header(
        version=1,
        size=end,
        source=(_ip(source, family), _port(source_port)),
        destination=(_ip(destination, family), _port(destination_port)),
    )


def _ip(text: str, family: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Malformed(f"{text} is no IP address") from None
    if str(address.version) != family:
        raise Malformed(f"{text} is no address of TCP{family}")
    return _text(address.packed)


def _text(packed: bytes) -> str:
    """As the system writes it, which Python's own text of mapped addresses is not before 3.13."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _port(text: str) -> int:
    port = int(text)
    if port > 65535:
        raise Malformed(f"{port} is no port")
    return port


def _version_2(data: bytes) -> Header | Verdict:
    if len(data) < _HEAD:
        return Verdict.NEED_MORE
    command, family, length = struct.unpack_from("!BBH", data, len(SIGNATURE))
    if command not in (_LOCAL, _PROXIED):
        raise Malformed(f"version and command are {command:#04x}, not 0x20 or 0x21")
    if command == _PROXIED and family not in _FAMILIES:
        raise Malformed(f"the address family {family:#04x} is neither TCP over IPv4 nor over IPv6")
    size = _HEAD + length
    if len(data) < size:
        return Verdict.NEED_MORE
    if command == _LOCAL:
        return Header(version=2, size=size)
    return _proxied(data[_HEAD:size], family, size)


def _proxied(body: bytes, family: int, size: int) -> Header:
    _, layout = _FAMILIES[family]
    if len(body) < layout.size:
        raise Malformed("the addresses are cut short")
    source, destination, source_port, destination_port = layout.unpack_from(body)
    return Header(
        version=2,
        size=size,
        source=(_text(source), source_port),
        destination=(_text(destination), destination_port),
        tlvs=tuple(_tlvs(body[layout.size :])),
    )


def _tlvs(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        if len(data) < 3 or len(data) < 3 + (length := int.from_bytes(data[1:3], "big")):
            raise Malformed("a TLV is cut short")
        found.append((data[0], data[3 : 3 + length]))
        data = data[3 + length :]
    return found


def version_1(source: Address | None, destination: Address | None) -> bytes:
    """A header of version 1; addresses of two families, or none, are UNKNOWN."""
    family = _family(source, destination)
    if family is None or source is None or destination is None:
        return b"PROXY UNKNOWN\r\n"
    return f"PROXY TCP{family} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n".encode("ascii")


def version_2(source: Address | None, destination: Address | None, tlvs: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    """A header of version 2; addresses of two families, or none, make it LOCAL."""
    family = _family(source, destination)
    extra = b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in tlvs)
    if family is None or source is None or destination is None:
        return SIGNATURE + struct.pack("!BBH", _LOCAL, 0, len(extra)) + extra
    code = 0x11 if family == 4 else 0x21
    addresses = _FAMILIES[code][1].pack(_packed(source), _packed(destination), source[1], destination[1])
    return SIGNATURE + struct.pack("!BBH", _PROXIED, code, len(addresses) + len(extra)) + addresses + extra


def _family(source: Address | None, destination: Address | None) -> int | None:
    if source is None or destination is None:
        return None
    try:
        versions = {ipaddress.ip_address(source[0]).version, ipaddress.ip_address(destination[0]).version}
    except ValueError:  # a Unix socket's peer has no address
        return None
    return versions.pop() if len(versions) == 1 else None


def _packed(address: Address) -> bytes:
    return ipaddress.ip_address(address[0]).packed
