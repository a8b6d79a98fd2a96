"""Clients that send too much of what costs them little: bounded, answered or cut, and others are served meanwhile."""

import pytest

from pymesh_proxy.testing import Mesh

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def queue_of(mesh):
    """The pipelined requests that wait on the only connection."""
    (connection,) = mesh.scope._connections
    return connection._queue


async def test_a_pipeline_is_parsed_slice_by_slice():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET * 20_000)
        upstream = await mesh.accepted()
        await mesh.settle()
        assert len(queue_of(mesh)) < 1300
        for answered in range(1, 3000):
            upstream.send(OK)
            await mesh.settle()
            assert len(queue_of(mesh)) < 1300
            if answered % 1000 == 0:
                assert client.received.count(b"HTTP/1.1 200 OK") == answered


async def test_no_request_of_a_long_pipeline_is_lost():
    async with Mesh() as mesh:
        mesh.options.route.table = None
        client = mesh.connect()
        client.send(GET * 5_000 + b"nonsense\r\n\r\n" + GET)
        for _ in range(400):
            await mesh.settle()
        assert client.received.count(b"HTTP/1.1 404 Not Found") == 5_000
        assert client.received.count(b"HTTP/1.1 400 Bad Request") == 1
        assert client.hung_up


async def test_another_client_is_served_while_a_pipeline_is_parsed():
    async with Mesh() as mesh:
        mesh.options.route.table = None
        flood, other = mesh.connect(), mesh.connect()
        flood.send(GET * 5_000)
        other.send(GET)
        await mesh.settle()
        assert other.received.startswith(b"HTTP/1.1 404 ")
        assert flood.received.count(b"HTTP/1.1 404 ") < 100


async def test_a_large_body_in_a_crowd_of_requests_arrives_whole():
    body = bytes(range(256)) * 1024
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET * 3 + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body) + GET * 3)
        upstream = await mesh.accepted()
        for _ in range(7):
            for _ in range(20):
                await mesh.settle()
            upstream.send(OK)
        for _ in range(20):
            await mesh.settle()
        assert body in upstream.received
        assert client.received.count(b"HTTP/1.1 200 OK") == 7


async def test_a_body_of_tiny_chunks_arrives_whole():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
        upstream = await mesh.accepted()
        for _ in range(30):
            await mesh.settle()
        assert upstream.received.endswith(b"\r\n0\r\n\r\n")
        upstream.send(OK)
        await mesh.settle()
        assert mesh.exchanges[0].request_bytes == 50_000


async def test_a_slow_upstream_stops_a_crowd_of_chunks():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(CHUNKED)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.stop_reading()
        size = 10_000
        client.send(b"%x\r\n%b\r\n" % (size, bytes(size)) * 400 + b"0\r\n\r\n")
        for _ in range(10):
            await mesh.settle()
        assert client.paused
        assert upstream._transport.waiting < 2_000_000, "what the upstream does not take stays with the client"
        upstream.start_reading()
        for _ in range(300):
            await mesh.settle()
        assert upstream.received.endswith(b"0\r\n\r\n")


FRAMING = {
    "a chunk extension": b"5;x=" + b"v" * 70_000,
    "many chunk extensions": (b"1;x=" + b"v" * 100) * 1000,
    "trailers": b"0\r\n" + b"x: v\r\n" * 20_000,
    "a chunk size of zeros": b"0" * 70_000,
}


@pytest.mark.parametrize("flood", FRAMING.values(), ids=FRAMING)
@pytest.mark.parametrize("piece", [1_000, 1_000_000])
async def test_a_body_that_is_all_framing_is_cut_off(flood, piece):
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(CHUNKED + b"1\r\nx\r\n")
        upstream = await mesh.accepted()
        for position in range(0, len(flood), piece):
            client.send(flood[position : position + piece])
            await mesh.settle()
        await mesh.settle()
        assert client.received.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
        assert client.hung_up
        assert upstream.hung_up


HEADS = {
    "one endless line": b"GET /" + b"x" * 200_000,
    "one endless name": b"GET / HTTP/1.1\r\n" + b"x" * 200_000,
    "one endless value": b"GET / HTTP/1.1\r\nx: " + b"v" * 200_000,
    "endless headers": b"GET / HTTP/1.1\r\n" + b"x: v\r\n" * 40_000,
    "ten thousand headers": b"GET / HTTP/1.1\r\n" + b"x: v\r\n" * 9_000 + b"\r\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("piece", [1_000, 1_000_000])
async def test_a_head_without_end_is_431(head, piece):
    async with Mesh() as mesh:
        client = mesh.connect()
        for position in range(0, len(head), piece):
            client.send(head[position : position + piece])
            await mesh.settle()
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert client.hung_up
        assert mesh.loop.accepted.empty()


async def test_bytes_behind_a_refusal_are_dropped_until_the_client_has_read_it():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(b"nonsense\r\n\r\n" + GET * 20_000)
        for _ in range(10):
            await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 400 ")
        first = client.received
        client.send(GET * 20_000)
        for _ in range(10):
            await mesh.settle()
        assert not client.paused
        assert client._transport.peer.waiting == 0, "nothing is left unread, so that no reset outruns the answer"
        assert client.received == first
