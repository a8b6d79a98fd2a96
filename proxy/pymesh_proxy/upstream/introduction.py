"""The PROXY header with which a connection to an endpoint begins, where its cluster asks for one."""

import asyncio
from typing import TYPE_CHECKING, cast

from ..listener import proxy_protocol
from .config import ProxyHeader

if TYPE_CHECKING:
    from ..http.exchange import Downstream


def introduction(config: ProxyHeader, downstream: "Downstream | None") -> bytes:
    """The header's bytes; a connection of our own is introduced as such."""
    source = destination = None
    tlvs: tuple[tuple[int, bytes], ...] = ()
    if downstream is not None:
        source, destination = _address(downstream.remote_address), downstream.original_destination
        tlvs = tuple(pair for pair in downstream.proxied_tlvs if config.tlvs is None or pair[0] in config.tlvs)
    if config.version == 1:
        return proxy_protocol.version_1(source, destination)
    return proxy_protocol.version_2(source, destination, tlvs)


def _address(text: str) -> proxy_protocol.Address:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port or 0)


class Introduced(asyncio.Protocol):
    """Writes the header before anything else, and steps aside."""

    def __init__(self, protocol: asyncio.Protocol, header: bytes) -> None:
        self._protocol = protocol
        self._header = header

    def __repr__(self) -> str:
        return f"<Introduced {self._protocol!r}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        socket = cast(asyncio.Transport, transport)
        socket.write(self._header)
        socket.set_protocol(self._protocol)
        self._protocol.connection_made(socket)
