"""Bodies of any size stream through two proxies, and none of the two grows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST
from tests.chain import OURS, Chain, chain

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
SIZE = 1024 * MIB
ALLOWED = 32 * MIB
PIECE = bytes(256 * 1024)
_PATIENCE = 50.0  # seconds


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Count what is uploaded and answer with the count; send SIZE bytes for a download, as fast as they are taken."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        count = 0
        if b"transfer-encoding" in head:
            count = await _count_chunks(reader)
        elif head.startswith(b"post"):
            while count < SIZE:
                count += len(await reader.read(len(PIECE)))
        await (_answer(writer, b"%d" % count) if head.startswith(b"post") else _download(writer, chunked=b"/chunked" in head))
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # the test that left has said what was wrong
    finally:
        writer.close()


async def _count_chunks(reader: asyncio.StreamReader) -> int:
    count = 0
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
        count += size
    return count


async def _answer(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


async def _download(writer: asyncio.StreamWriter, *, chunked: bool) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
    writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
    piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE
    for _ in range(SIZE // len(PIECE)):
        writer.write(piece)
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Chain]:
    server = await asyncio.start_server(_serve, HOST, 0, limit=MIB)
    async with server, chain(tmp_path_factory.mktemp("pair"), server.sockets[0].getsockname()[1], [OURS, OURS]) as running:
        await _request(running.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", read=PIECE)  # so that every module is loaded
        yield running


class Growth:
    """The most memory that each process took since the block began, beyond what it had then."""

    def __init__(self, running: Chain) -> None:
        self._processes = [Path(f"/proc/{child.pid}") for child in running.children]

    def __enter__(self) -> "Growth":
        self._before = [_kib(process, "VmRSS") for process in self._processes]
        for process in self._processes:
            (process / "clear_refs").write_text("5")  # the peak begins anew
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        grown = [_kib(process, "VmHWM") - before for process, before in zip(self._processes, self._before, strict=True)]
        if kind is None:
            print(grown)
        assert max(grown) * 1024 < ALLOWED, f"grown by {grown} KiB"


def _kib(process: Path, name: str) -> int:
    lines = (process / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


async def _request(port: int, head: bytes, *, body: bytes = b"", last: bytes = b"", read: bytes = b"") -> tuple[bytes, int]:
    """Send a head, SIZE bytes in the pieces given and what is last; returns the answer's head and the size of its body."""
    reader, writer = await asyncio.open_connection(HOST, port, limit=MIB)
    try:
        async with asyncio.timeout(_PATIENCE):
            writer.write(head)
            for _ in range(SIZE // len(PIECE) if body else 0):
                writer.write(body)
                await writer.drain()
            writer.write(last)
            answer = await reader.readuntil(b"\r\n\r\n")
            count = 0
            wanted = len(read) or SIZE
            while count < wanted and (data := await reader.read(MIB)):
                count += len(data)
            return answer, count
    finally:
        writer.close()


CHUNK = b"%x\r\n%b\r\n" % (len(PIECE), PIECE)
UPLOADS = {
    "length": (b"Content-Length: %d" % SIZE, PIECE, b""),
    "chunked": (b"Transfer-Encoding: chunked", CHUNK, b"0\r\n\r\n"),
}


@pytest.mark.parametrize("kind", UPLOADS)
async def test_an_upload_takes_no_memory(pair: Chain, kind: str) -> None:
    framing, piece, last = UPLOADS[kind]
    with Growth(pair):
        head = b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n"
        answer, count = await _request(pair.port, head, body=piece, last=last, read=b"%d" % SIZE)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert count == len(b"%d" % SIZE)


@pytest.mark.parametrize("path", [b"/", b"/chunked"])
async def test_a_download_takes_no_memory(pair: Chain, path: bytes) -> None:
    with Growth(pair):
        answer, count = await _request(pair.port, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert count >= SIZE


async def test_a_client_that_does_not_read_stops_the_server(pair: Chain) -> None:
    with Growth(pair):
        reader, writer = await asyncio.open_connection(HOST, pair.port, limit=4096)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(1)  # the server sends as fast as it may, for long enough to fill far more than is allowed
        writer.close()
