"""Clients that vanish without a word, as behind a cable that is pulled: the control plane finds out, however long it was silent before."""

import asyncio
import contextlib

import grpc.aio
import pytest

from pymesh.tasks import spawn
from pymesh.xds import types
from pymesh_control.ads import servicer

from .client import ask_delta
from .served import NODE, TIMEOUT, node, plaintext, read, stub

SHORTER = {"grpc.keepalive_time_ms": 100, "grpc.keepalive_timeout_ms": 2000, "grpc.http2.ping_timeout_ms": 2000}
"""The control plane's own options in milliseconds that a test can wait for, and a busy machine's client keep."""

_PING, _ACK = 6, 1
"""The type and flag of HTTP/2's frame (RFC 9113, 6.7)."""

PINGS = 5
"""More than a gRPC server sends by default while there is nothing to say."""


class Cable:
    """Stands between a client and the server, sees the server's pings, and can be pulled: then nothing passes and nothing is closed."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._pulled = asyncio.Event()
        self._streams: list[asyncio.StreamWriter] = []
        self.pings: asyncio.Queue[None] = asyncio.Queue()
        self.address = ""

    async def __aenter__(self) -> "Cable":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for one in self._streams:
            one.transport.abort()

    def pull(self) -> None:
        self._pulled.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._streams += [writer, back]
        upward = spawn(self._pass_on(reader, back), name="to the server")
        try:
            await self._watched(there, writer)
        finally:
            upward.cancel()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (data := await reader.read(65536)) and not self._pulled.is_set():
            writer.write(data)

    async def _watched(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass frames on, one after the other."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3]))
                if head[3] == _PING and not head[4] & _ACK:
                    self.pings.put_nowait(None)
                if not self._pulled.is_set():
                    writer.write(head + payload)


@pytest.fixture
def impatient(monkeypatch):
    assert SHORTER.keys() <= dict(servicer.OPTIONS).keys()
    monkeypatch.setattr(servicer, "OPTIONS", tuple((name, SHORTER.get(name, value)) for name, value in servicer.OPTIONS))


@pytest.mark.usefixtures("impatient")
async def test_a_client_that_vanishes_without_a_word_is_noticed_and_freed_also_after_a_long_silence():
    async with plaintext(cds={"a": "1"}) as served, Cable(served.address) as cable, grpc.aio.insecure_channel(cable.address) as channel:
        call = stub(channel).DeltaAggregatedResources()
        first = ask_delta(types.CLUSTER)
        first.node.CopyFrom(node())
        await call.write(first)
        await read(call)
        async with asyncio.timeout(TIMEOUT):
            assert await served.presence.seen.get() == ("arrived", NODE, None)
            for _ in range(PINGS):
                await cable.pings.get()
        assert [one.node.id for one in served.clients] == [NODE]
        cable.pull()
        async with asyncio.timeout(TIMEOUT):
            assert await served.presence.seen.get() == ("left", NODE)
        assert list(served.clients) == []
        call.cancel()
