"""What clients and upstreams do wrong on real connections: answered or cut, and the proxy serves on."""

import asyncio
import re

import pytest

from tests.mesh import HOST, Mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")

_PATIENCE = 30.0  # seconds


async def exchange(port: int, request: bytes) -> bytes:
    """Send bytes, and read until the other side closes; TimeoutError when it never does."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        async with asyncio.timeout(_PATIENCE):
            return await reader.read()
    finally:
        writer.close()


def outbound(mesh: Mesh) -> int:
    """Where the caller's application sends its requests."""
    return int(mesh.reviews.rpartition(":")[2])


HEAD = b"POST / HTTP/1.1\r\nHost: reviews\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: reviews\r\n\r\n"

MALFORMED = {
    "Content-Length and Transfer-Encoding": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "Transfer-Encoding and Content-Length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + SMUGGLED,
    "a coding hidden behind a tab": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "a bare line feed": b"GET / HTTP/1.1\r\nHost: reviews\nX-A: b\r\n\r\n" + SMUGGLED,
    "bare line feeds only": b"GET / HTTP/1.1\nHost: reviews\n\n" + SMUGGLED,
    "a folded line": b"GET / HTTP/1.1\r\nHost: reviews\r\nX-A: b\r\n c\r\n\r\n" + SMUGGLED,
    "a NUL in a value": b"GET / HTTP/1.1\r\nHost: reviews\r\nX-A: b\x00c\r\n\r\n" + SMUGGLED,
    "a NUL in a name": b"GET / HTTP/1.1\r\nHost: reviews\r\nX\x00A: b\r\n\r\n" + SMUGGLED,
    "a NUL in the target": b"GET /\x00 HTTP/1.1\r\nHost: reviews\r\n\r\n" + SMUGGLED,
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: reviews\r\nContent-Length : 40\r\n\r\n" + SMUGGLED,
    "no HTTP at all": b"\x80\x00\x01\x02 nonsense\r\n\r\n",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_request_gets_400_and_nothing_behind_it_is_read(mesh: Mesh, request_: bytes) -> None:
    answer = await exchange(outbound(mesh), request_)
    assert statuses(answer) == [400]
    assert b"connection: close" in answer
    assert await mesh.version(mesh.reviews) == "v1"


async def test_a_bad_chunk_gets_400_or_a_cut_and_nothing_behind_it_is_read(mesh: Mesh) -> None:
    body = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n" + SMUGGLED
    assert statuses(await exchange(outbound(mesh), HEAD + body)) == [400]


TOO_LARGE = {
    "one long header": [b"x-long: " + b"v" * 70_000],
    "too many headers": [b"x-%d: v" % number for number in range(150)],
}


@pytest.mark.parametrize("headers", TOO_LARGE.values(), ids=TOO_LARGE)
async def test_a_head_over_the_limit_gets_431_and_a_closed_connection(mesh: Mesh, headers: list[bytes]) -> None:
    request = b"\r\n".join([b"GET / HTTP/1.1", b"Host: reviews", *headers, b"", b""])
    answer = await exchange(outbound(mesh), request)
    assert statuses(answer) == [431]


async def test_an_endless_head_is_cut_off(mesh: Mesh) -> None:
    answer = await exchange(outbound(mesh), b"GET / HTTP/1.1\r\nx: " + b"v" * 1_000_000)
    assert statuses(answer) == [431]


def statuses(answer: bytes) -> list[int]:
    """The status codes of all responses on a connection."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 ([0-9]{3}) ", answer)]


async def test_an_upstream_that_resets_within_its_body_is_not_taken_for_complete(mesh: Mesh) -> None:
    answer = await exchange(outbound(mesh), b"GET /cut HTTP/1.1\r\nHost: reviews\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert statuses(head) == [200]
    assert b"content-length: 1000" in head.lower()
    assert body == b"part"
    assert await mesh.version(mesh.reviews) == "v1"


async def test_a_client_that_leaves_within_an_answer_costs_nobody_else(mesh: Mesh) -> None:
    reader, writer = await asyncio.open_connection(HOST, outbound(mesh))
    writer.write(b"GET /drip?n=500 HTTP/1.1\r\nHost: reviews\r\n\r\n")
    assert await reader.readuntil(b"drop\n")
    writer.transport.abort()
    assert await mesh.version(mesh.reviews) == "v1"
