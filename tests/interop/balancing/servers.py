"""Endpoints that answer with their own number, and a client that asks many things over one connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

HOST = "127.0.0.1"


class Endpoints:
    """Servers on ports of their own. A request with `fail: N` gets a 503 from the server of that number; one with `hold` no answer until
    `release`."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.arrived: asyncio.Queue[int] = asyncio.Queue()
        """Servers that hold a request, in the order in which the requests came."""
        self._released = asyncio.Event()

    def release(self) -> None:
        """Answer everything that is held."""
        self._released.set()
        self._released = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.ports.index(writer.get_extra_info("sockname")[1])
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if b"\r\nhold:" in head:
                    released = self._released
                    self.arrived.put_nowait(number)
                    await released.wait()
                status = b"503 Service Unavailable" if b"\r\nfail: %d\r\n" % number in head else b"200 OK"
                writer.write(b"HTTP/1.1 %b\r\ncontent-length: 1\r\n\r\n%d" % (status, number))
        writer.close()


@asynccontextmanager
async def endpoints(count: int) -> AsyncIterator[Endpoints]:
    """At most ten of them."""
    made = Endpoints()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            server = await asyncio.start_server(made.serve, HOST, 0)
            made.ports.append(server.sockets[0].getsockname()[1])
            stack.callback(server.close)
        yield made
        made.release()


class Asker:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def address(self) -> str:
        """`ip:port` at this end."""
        host, port = self._writer.get_extra_info("sockname")
        return f"{host}:{port}"

    def send(self, target: str, *headers: str) -> None:
        lines = [f"GET {target} HTTP/1.1", "host: any.org", *headers]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())

    async def answer(self) -> tuple[int, list[str]]:
        """The server's number, and the values of set-cookie."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = [line.partition(": ")[::2] for line in head[1:]]
        length = next(int(value) for name, value in pairs if name.lower() == "content-length")
        body = await self._reader.readexactly(length)
        assert head[0].split()[1] in ("200", "503"), head
        return int(body), [value for name, value in pairs if name.lower() == "set-cookie"]

    async def choices(self, requests: Sequence[tuple[str, ...]]) -> list[int]:
        """Which server each of the requests went to."""
        for request in requests:
            self.send(*request)
        return [(await self.answer())[0] for _ in requests]


@asynccontextmanager
async def asker(port: int, source: str = HOST) -> AsyncIterator[Asker]:
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(source, 0))
    try:
        yield Asker(reader, writer)
    finally:
        writer.close()
