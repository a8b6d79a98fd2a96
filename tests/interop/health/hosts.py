"""Upstreams that do as they are told, and what a proxy's admin interface says of them."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from pymesh.local.ports import HOST
from tests.interop.connections.twins import Twin


class Host:
    """One HTTP/1.1 server. `act` is an answer's status with headers behind it (`503`, `200 x-a: b`), `reset`, `half` or `hang`."""

    def __init__(self, act: str = "200") -> None:
        self.act = act
        self.heads: list[str] = []
        """The requests, as they came."""
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                self._answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter) -> None:
        kind, _, headers = self.act.partition(" ")
        if kind == "hang":
            return
        if kind == "half":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        if kind in ("reset", "half"):
            asyncio.get_running_loop().call_later(0.02, self._reset, writer)
            return
        lines = [f"HTTP/1.1 {kind} X", f"x-host: {self.port}", "content-length: 2", *filter(None, headers.split("|"))]
        writer.write("\r\n".join([*lines, "", "ok"]).encode())

    @staticmethod
    def _reset(writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@asynccontextmanager
async def serving(*hosts: Host) -> AsyncIterator[None]:
    """Give each a port and have it answer there."""
    servers = []
    for host in hosts:
        servers.append(await asyncio.start_server(host.serve, HOST, host.port))
        host.port = servers[-1].sockets[0].getsockname()[1]
    try:
        yield
    finally:
        for server in servers:
            server.close()


class Admin:
    """What one of the two says of a cluster."""

    def __init__(self, twin: Twin, session: aiohttp.ClientSession) -> None:
        self._url = f"http://{HOST}:{twin.ports['ADMIN']}"
        self._session = session

    async def flags(self, cluster: str) -> dict[int, str]:
        """`health_flags` by port."""
        lines = await self.lines(cluster)
        found = (line.split("::") for line in lines if "::health_flags::" in line)
        return {int(address.rpartition(":")[2]): flags for _, address, _, flags in found}

    async def lines(self, cluster: str) -> list[str]:
        async with self._session.get(f"{self._url}/clusters") as answer:
            return [line for line in (await answer.text()).splitlines() if line.startswith(f"{cluster}::")]

    async def json(self, cluster: str) -> dict[str, object]:
        async with self._session.get(f"{self._url}/clusters?format=json") as answer:
            document = json.loads(await answer.text())
        return next(one for one in document["cluster_statuses"] if one["name"] == cluster)

    async def stats(self, cluster: str, family: str) -> dict[str, int]:
        """Numbers other than zero of `cluster.<cluster>.<family>.`."""
        prefix = f"cluster.{cluster}.{family}."
        async with self._session.get(f"{self._url}/stats?filter=^{prefix}") as answer:
            pairs = (line.removeprefix(prefix).split(": ") for line in (await answer.text()).splitlines())
            return {name: int(value) for name, value in pairs if value != "0"}

    async def names(self, cluster: str, family: str) -> set[str]:
        """All statistics of that family."""
        async with self._session.get(f"{self._url}/stats?filter=^cluster.{cluster}.{family}.") as answer:
            return {line.partition(":")[0] for line in (await answer.text()).splitlines()}
