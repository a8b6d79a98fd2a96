"""An HTTP/1 server on every loopback address at once, that answers with the address it was asked at."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HOST = "127.0.0.1"


class _Named(asyncio.Protocol):
    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        name = transport.get_extra_info("sockname")[0].encode()
        self._answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nx-host: %s\r\n\r\n%s" % (len(name), name, name)

    def data_received(self, data: bytes) -> None:
        heads = (self._rest + data).split(b"\r\n\r\n")
        self._rest = heads.pop()
        self._transport.write(self._answer * len(heads))


@asynccontextmanager
async def named_hosts() -> AsyncIterator[int]:
    """The port."""
    server = await asyncio.get_running_loop().create_server(_Named, "0.0.0.0", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def answers(port: int, path: str, requests: int, at_once: int = 50) -> Counter[str]:
    """Who answered how many of the requests; an answer that does not come from a host counts under its status.

    `at_once` requests are sent before the first answer is read. Envoy closes connections on which it has several answers of its own to
    give at once.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    found: Counter[str] = Counter()
    for start in range(0, requests, at_once):
        batch = min(at_once, requests - start)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() * batch)
        for _ in range(batch):
            found[await _answer(reader)] += 1
    writer.close()
    return found


async def _answer(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    await reader.readexactly(int(fields.get("content-length", "0")))
    return fields.get("x-host") or head.split()[1]
