"""Filters behind one that waits: what has come of the body meanwhile is theirs, too."""

import base64

import pytest

from .conftest import counted, typed

POST = b"POST /a/b HTTP/1.1\r\nHost: a\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DELAY = typed("fault.v3.HTTPFault", delay={"fixed_delay": "2s", "percentage": {"numerator": 100}})
WEB = typed("grpc_web.v3.GrpcWeb")
PIECES = pytest.mark.parametrize("before", [0, 2, 4, 8])


def buffer(limit):
    return typed("buffer.v3.Buffer", max_request_bytes=limit)


async def in_two(proxy, head, body, before):
    """Send so much of a body while the first filter waits, the rest behind that; the client."""
    client = proxy.connect()
    client.send(head + body[:before])
    await proxy.settle()
    await proxy.advance(3)
    client.send(body[before:])
    await proxy.settle()
    return client


@PIECES
async def test_a_request_that_is_held_has_the_length_of_all_of_its_body(mesh, before):
    """A shorter one would make another request of the rest."""
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (b"abcdefgh"[:before], b"abcdefgh"[before:]) if part]
    async with mesh(delay=DELAY, hold=buffer(10)) as proxy:
        sent = chunks[0] if before else b""
        await in_two(proxy, POST + b"Transfer-Encoding: chunked\r\n\r\n", b"".join(chunks) + b"0\r\n\r\n", len(sent))
        head, _, body = (await proxy.accepted()).received.partition(b"\r\n\r\n")
        assert b"content-length: 8" in head
        assert b"chunked" not in head
        assert body == b"abcdefgh"


@PIECES
async def test_a_body_is_too_large_with_what_came_before(mesh, before):
    async with mesh(delay=DELAY, hold=buffer(7)) as proxy:
        client = await in_two(proxy, POST + b"Content-Length: 8\r\n\r\n", b"abcdefgh", before)
        assert client.received.startswith(b"HTTP/1.1 413 ")
        assert [told.details for told in proxy.exchanges] == ["request_payload_too_large"]
        assert proxy.loop.accepted.empty()


async def test_a_client_that_was_stopped_meanwhile_sends_the_rest_of_what_is_held(mesh):
    async with mesh(delay=DELAY, hold=buffer(200_000)) as proxy:
        client = proxy.connect()
        for connection in proxy.scope._connections:
            connection.facts.buffer_limit = 1000
        client.send(POST + b"Content-Length: 90000\r\n\r\n")
        client.send(b"x" * 5000)
        await proxy.settle()
        assert client.paused
        await proxy.advance(3)
        client.send(b"x" * 85_000)
        await proxy.settle()
        assert (await proxy.accepted()).received.endswith(b"x" * 90_000)


@PIECES
async def test_all_of_a_body_is_translated(mesh, before):
    head = POST + b"content-type: application/grpc-web-text\r\nContent-Length: 8\r\n\r\n"
    async with mesh(delay=DELAY, web=WEB) as proxy:
        await in_two(proxy, head, base64.b64encode(b"hello!"), before)
        sent, _, body = (await proxy.accepted()).received.partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in sent
        assert b"content-length" not in sent.lower()
        parts = body.removesuffix(b"0\r\n\r\n").split(b"\r\n")
        assert b"".join(parts[1::2]) == b"hello!"


async def test_what_cannot_be_translated_is_refused(mesh):
    head = POST + b"content-type: application/grpc-web-text\r\nContent-Length: 7\r\n\r\n"
    async with mesh(delay=DELAY, web=WEB) as proxy:
        await in_two(proxy, head, b"aGVsbG8", 7)
        assert [told.details for told in proxy.exchanges] == ["grpc_base_64_decode_failed_bad_size"]
        assert proxy.loop.accepted.empty()


async def test_a_fault_ends_with_its_exchange_though_a_redirect_is_followed(mesh):
    route = {"route": {"cluster": "up", "internal_redirect_policy": {}}}
    async with mesh(route, delay=DELAY) as proxy:
        client = proxy.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        for answer in (b"HTTP/1.1 302 Found\r\nLocation: http://b/\r\nContent-Length: 0\r\n\r\n", OK):
            await proxy.settle()
            await proxy.advance(3)
            (await proxy.accepted()).send(answer)
            await proxy.settle()
        assert client.received.endswith(b"ok")
        assert counted(proxy) == {"p.fault.delays_injected": 2}
