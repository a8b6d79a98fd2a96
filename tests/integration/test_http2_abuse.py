"""HTTP/2 clients that mean harm, against a real proxy: cut off with the right code, in bounded memory, while others are served."""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import hpack
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from pymesh.local.ports import HOST
from pymesh.tasks import spawn
from tests.chain import Chain, chain

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_ENHANCE_YOUR_CALM = 11
_PATIENCE = 60.0  # seconds
_STARVED = 20.0
"""Seconds for which a busy machine may keep a neighbour waiting; one that is starved waits until the attack ends."""
_MIB = 1024 * 1024
_BIG = 4 * _MIB
"""Octets of the upstream's large answer."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chain]:
    app = web.Application()
    app.router.add_route("*", "/big", _big)
    app.router.add_route("*", "/{path:.*}", _small)
    async with TestServer(app) as upstream:
        assert upstream.port is not None
        async with chain(tmp_path_factory.mktemp("abuse"), upstream.port) as running:
            yield running


async def _big(request: web.Request) -> web.Response:
    return web.Response(body=b"x" * _BIG)


async def _small(request: web.Request) -> web.Response:
    return web.Response(body=b"hello")


def memory(proxy: Chain) -> int:
    """Resident bytes."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{proxy.children[0].pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def block(path: str = "/", method: str = "GET") -> bytes:
    fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a.test")]
    return bytes(hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields]))


def head(stream: int, path: str = "/", *, end: bool = True) -> HeadersFrame:
    return HeadersFrame(stream, block(path, "GET" if end else "POST"), flags=["END_HEADERS", *(["END_STREAM"] if end else [])])


class Abuser:
    """A connection that says anything; `codes` are those of the GOAWAYs that came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.codes: list[int] = []
        self._heads = 0

    @classmethod
    async def meet(cls, port: int, **settings: int) -> "Abuser":
        met = cls(*await asyncio.open_connection(HOST, port, limit=4096))
        met.writer.write(_PREFACE + SettingsFrame(0, settings={4: settings.get("window", 65535)}).serialize())
        return met

    async def send(self, frames: Iterable[Frame | bytes]) -> None:
        """All of them, as far as the proxy takes them."""
        pieces = (frame if isinstance(frame, bytes) else frame.serialize() for frame in frames)
        try:
            while (piece := b"".join(itertools.islice(pieces, 256))) and not self.writer.is_closing():
                self.writer.write(piece)
                await self.writer.drain()
                await asyncio.sleep(0)  # what the sockets take waits for nothing, and the neighbour has its turns in this loop, too
        except ConnectionError:
            return

    async def listen(self) -> None:
        """Until the proxy closes."""
        buffer = b""
        try:
            while data := await self.reader.read(65536):
                buffer = self._take(buffer + data)
        except ConnectionError:
            return

    def _take(self, buffer: bytes) -> bytes:
        while len(buffer) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(buffer[:9]))
            if len(buffer) < 9 + length:
                break
            frame.parse_body(memoryview(buffer[9 : 9 + length]))
            buffer = buffer[9 + length :]
            if isinstance(frame, GoAwayFrame):
                self.codes.append(frame.error_code)
            self._heads += isinstance(frame, HeadersFrame)
        return buffer

    def heads(self) -> int:
        """Answers that have begun."""
        return self._heads


class Neighbour:
    """A client that keeps asking while something else goes on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.served = 0
        self.slowest = 0.0

    async def ask(self) -> None:
        """One request on a connection of its own."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        reader, writer = await asyncio.open_connection(HOST, self._port)
        try:
            writer.write(b"GET /fine HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"hello")
        finally:
            writer.close()
        self.served += 1
        self.slowest = max(self.slowest, loop.time() - started)

    async def keep_asking(self) -> None:
        while True:
            await self.ask()


async def attack(proxy: Chain, frames: Iterable[Frame | bytes], *, deaf: bool = False, **settings: int) -> Abuser:
    """Send them beside a neighbour, until the proxy has closed; it must be served, and nothing may pile up."""
    before = memory(proxy)
    neighbour = Neighbour(proxy.port)
    asking = spawn(neighbour.keep_asking(), name="neighbour")
    abuser = await Abuser.meet(proxy.port, **settings)
    try:
        async with asyncio.timeout(_PATIENCE):
            if deaf:
                await abuser.send(frames)
                await abuser.listen()
            else:
                await asyncio.gather(abuser.send(frames), abuser.listen())
        await neighbour.ask()
    finally:
        abuser.writer.transport.abort()
        asking.cancel()
    assert neighbour.slowest < _STARVED
    assert memory(proxy) - before < 32 * _MIB
    return abuser


def _opened_and_reset(count: int) -> Iterable[Frame]:
    for number in range(count):
        yield head(2 * number + 1)
        yield RstStreamFrame(2 * number + 1, 8)


def _made_to_reset(count: int) -> Iterable[Frame | bytes]:
    """CVE-2025-8671: the proxy is made to reset the stream itself."""
    for number in range(count):
        stream = 2 * number + 1
        yield head(stream)
        yield b"\x00\x00\x04\x08\x00" + stream.to_bytes(4, "big") + b"\x00\x00\x00\x00"


def _continued(count: int, piece: bytes) -> Iterable[Frame]:
    yield HeadersFrame(1, block(), flags=["END_STREAM"])
    for _ in range(count):
        yield ContinuationFrame(1, piece)


def _after_head(*frames: Frame, times: int) -> Iterable[Frame]:
    yield head(1, end=False)
    for _ in range(times):
        yield from frames


FLOODS: dict[str, Iterable[Frame | bytes]] = {
    "streams that are reset at once": _opened_and_reset(3000),
    "streams that the proxy is made to reset": _made_to_reset(3000),
    "CONTINUATION of one octet": _continued(100_000, b"\x82"),
    "CONTINUATION of 16 KiB": _continued(2000, b"\x82" * 16384),
    "CONTINUATION without payload": _continued(100_000, b""),
    "DATA without payload": _after_head(DataFrame(1, b""), times=10_000),
    "PRIORITY": _after_head(PriorityFrame(1, depends_on=3), times=50_000),
    "WINDOW_UPDATE": _after_head(WindowUpdateFrame(0, 1), times=50_000),
}


@pytest.mark.parametrize("frames", FLOODS.values(), ids=FLOODS)
async def test_a_flood_ends_its_connection_and_nobody_elses(proxy: Chain, frames: Iterable[Frame | bytes]) -> None:
    assert (await attack(proxy, frames)).codes == [_ENHANCE_YOUR_CALM]


UNREAD: dict[str, Iterable[Frame | bytes]] = {
    "PING": (PingFrame(0, b"12345678") for _ in range(2_000_000)),
    "SETTINGS": (SettingsFrame(0, settings={4: 65535}) for _ in range(2_000_000)),
}


@pytest.mark.parametrize("frames", UNREAD.values(), ids=UNREAD)
async def test_answers_that_the_client_does_not_read_do_not_pile_up(proxy: Chain, frames: Iterable[Frame | bytes]) -> None:
    """As soon as the sockets are full the connection is given up; the GOAWAY could not be read either."""
    await attack(proxy, frames, deaf=True)


async def test_streams_with_closed_windows_hold_little_of_their_answers(proxy: Chain) -> None:
    before = memory(proxy)
    abuser = await Abuser.meet(proxy.port, window=0)
    listening = spawn(abuser.listen(), name="listen")
    try:
        await abuser.send(head(2 * number + 1, "/big") for number in range(100))
        neighbour = Neighbour(proxy.port)
        async with asyncio.timeout(_PATIENCE):
            while abuser.heads() < 100:
                await neighbour.ask()
        assert neighbour.slowest < _STARVED
        assert memory(proxy) - before < 128 * _MIB, "of 400 MiB of answers"
    finally:
        listening.cancel()
        abuser.writer.transport.abort()


async def test_windows_that_open_by_one_octet_cost_nobody_else(proxy: Chain) -> None:
    abuser = await Abuser.meet(proxy.port, window=1)
    listening = spawn(abuser.listen(), name="listen")
    neighbour = Neighbour(proxy.port)
    try:
        await abuser.send(head(2 * number + 1, "/big") for number in range(20))
        for _ in range(50):
            await abuser.send(WindowUpdateFrame(2 * number + 1, 1) for number in range(20))
            await neighbour.ask()
        assert neighbour.served == 50
        assert neighbour.slowest < _STARVED
    finally:
        listening.cancel()
        abuser.writer.transport.abort()
