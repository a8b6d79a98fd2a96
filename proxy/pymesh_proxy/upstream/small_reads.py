"""Small reads from an upstream: what lands before reading can stop is what each of many waiting answers costs in memory."""

import asyncio
from typing import Any, Final, cast

from ..tls.layer import TlsLayer

SIZE: Final = 16 * 1024
"""Bytes of one such read, as many as Envoy's; the event loop's own reads are of up to 250 KiB."""

_buffer: Final = memoryview(bytearray(SIZE))
"""One for all connections: a read is passed on before the next one begins."""


class SmallReads(asyncio.BufferedProtocol):
    """Stands between a socket's transport and its protocol, and gives it no more than SIZE bytes at a time."""

    __slots__ = ("protocol",)

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def get_buffer(self, sizehint: int) -> Any:
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.protocol.data_received(bytes(_buffer[:nbytes]))

    def eof_received(self) -> bool | None:
        return self.protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self.protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self.protocol.resume_writing()


def read_small(transport: asyncio.Transport, small: bool) -> None:
    """Read a connection in small pieces from now on, or as it comes. It must not be paused."""
    sock = transport.carrier if isinstance(transport, TlsLayer) else transport
    if sock.is_closing():
        return
    protocol = sock.get_protocol()
    sock.pause_reading()  # an event loop chooses how to read when reading begins
    if isinstance(protocol, SmallReads):
        protocol = protocol.protocol
    sock.set_protocol(SmallReads(cast(asyncio.Protocol, protocol)) if small else protocol)
    sock.resume_reading()
