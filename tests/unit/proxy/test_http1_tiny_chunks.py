"""An upstream that sends next to nothing a chunk: others get their turns, and not a byte is lost."""

import asyncio

import pytest

from pymesh_proxy.testing import Mesh

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = 30_000
FLOOD = HEAD + b"1\r\nx\r\n" * CHUNKS + b"0\r\n\r\n"


async def asked(mesh, request=GET):
    client = mesh.connect()
    client.send(request)
    upstream = await mesh.accepted()
    await mesh.settle()
    return client, upstream


async def turns(mesh, many=400):
    for _ in range(many):
        await mesh.settle()


async def test_another_client_is_served_while_chunks_are_parsed():
    async with Mesh() as mesh:
        client, upstream = await asked(mesh)
        other, its_upstream = await asked(mesh)
        upstream.send(FLOOD)
        its_upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert other.received.startswith(b"HTTP/1.1 200 ")
        assert client.received.count(b"\r\nx\r\n") < CHUNKS / 3
        await turns(mesh)
        assert client.received.count(b"\r\nx\r\n") == CHUNKS
        assert client.received.endswith(b"\r\n0\r\n\r\n")


async def test_the_connection_serves_another_request_afterwards():
    async with Mesh() as mesh:
        client, upstream = await asked(mesh)
        upstream.send(FLOOD)
        await turns(mesh)
        client.received = b""
        client.send(GET)
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await mesh.settle()
        assert client.received.endswith(b"ok")
        assert mesh.loop.accepted.empty()


async def test_what_follows_the_last_chunk_is_not_taken_for_an_answer():
    async with Mesh() as mesh:
        client, upstream = await asked(mesh)
        upstream.send(FLOOD + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged" + bytes(40_000))
        await turns(mesh)
        assert client.received.endswith(b"\r\n0\r\n\r\n")
        assert upstream.hung_up
        client.received = b""
        client.send(GET)
        second = await mesh.accepted()
        await mesh.settle()
        second.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await mesh.settle()
        assert client.received.endswith(b"ok")


async def test_a_client_that_reads_slowly_makes_the_rest_wait():
    async with Mesh() as mesh:
        mesh.scope.buffer_limit = 4096
        client, upstream = await asked(mesh)
        client.stop_reading()
        upstream.send(FLOOD)
        await turns(mesh, 50)
        assert upstream.paused
        client.start_reading()
        await turns(mesh)
        assert client.received.count(b"\r\nx\r\n") == CHUNKS
        assert not upstream.paused


async def test_an_upstream_that_hangs_up_in_between_is_told_of():
    async with Mesh() as mesh:
        client, upstream = await asked(mesh)
        upstream.send(FLOOD[:150_000])
        upstream.close()
        await turns(mesh)
        assert client.hung_up
        assert not client.received.endswith(b"0\r\n\r\n")
        assert mesh.exchanges[0].flags == "UPE"


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000\r\n", b"Connection: close\r\n"])
async def test_a_large_body_passes_as_it_came(framing):
    async with Mesh() as mesh:
        client, upstream = await asked(mesh)
        upstream.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n" + bytes(1_000_000))
        upstream.finish()
        await turns(mesh, 10)
        assert client.received.count(b"\0") == 1_000_000
