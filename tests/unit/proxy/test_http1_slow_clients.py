"""Clients that send a request slowly, or half of it: timed from its first byte, answered with 408, closed."""

import pytest

from pymesh_proxy.testing import Mesh

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\n"


async def test_more_of_a_head_does_not_prolong_its_time():
    async with Mesh(stream_idle_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        for number in range(4):
            await mesh.settle()
            assert not client.received, "answered before its time"
            await mesh.advance(0.45)
            client.send(b"x-%d: v\r\n" % number)
        await mesh.settle()
        await mesh.advance(0.3)
        assert client.received.startswith(TOO_SLOW)
        assert client.received.endswith(b"stream timeout")
        assert client.hung_up


@pytest.mark.parametrize(("headers", "idle", "sentence"), [(1.0, 5.0, b"request header timeout"), (5.0, 1.0, b"stream timeout")])
async def test_the_shorter_of_the_two_limits_counts_for_a_head(headers, idle, sentence):
    async with Mesh(request_headers_timeout=headers, stream_idle_timeout=idle) as mesh:
        client = mesh.connect()
        client.send(b"G")
        await mesh.settle()
        await mesh.advance(1.1)
        assert client.received.startswith(TOO_SLOW)
        assert client.received.endswith(sentence)


async def test_a_request_that_waited_whole_for_its_turn_is_not_late():
    async with Mesh(request_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(GET + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert upstream.received.endswith(b"hi")
        await mesh.advance(3.0)
        upstream.send(OK)
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 200 OK") == 2


async def test_a_late_request_does_not_stop_the_clocks_of_the_one_before():
    async with Mesh(request_timeout=2.0, stream_idle_timeout=5.0) as mesh:
        mesh.scope.buffer_limit = 1000
        client = mesh.connect()
        client.stop_reading()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000)
        await mesh.settle()
        client.send(GET + GET[:9])  # the one waits for a client that reads, and the head of the other is late
        await mesh.settle()
        client.start_reading()
        await mesh.settle()
        await mesh.advance(2.1)
        await mesh.advance(5.1)
        assert b"HTTP/1.1 504 Gateway Timeout" in client.received
        assert TOO_SLOW in client.received
        assert mesh.options.stats.downstream_rq_active == 0


async def test_a_half_sent_head_is_timed_behind_a_request_that_waited_for_its_client():
    async with Mesh(stream_idle_timeout=0.0, request_headers_timeout=2.0) as mesh:
        mesh.scope.buffer_limit = 1000
        client = mesh.connect()
        client.stop_reading()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000)
        await mesh.settle()
        client.send(GET + GET[:9])
        await mesh.settle()
        client.start_reading()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
        await mesh.advance(2.1)
        assert TOO_SLOW in client.received


async def test_a_half_sent_request_behind_a_whole_one_is_timed_when_its_turn_comes():
    async with Mesh(stream_idle_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(GET + b"GET / HT")
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(1.5)
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
        await mesh.advance(2.1)
        assert TOO_SLOW in client.received


async def test_the_rest_of_a_head_in_time_is_served():
    async with Mesh(stream_idle_timeout=2.0, idle_timeout=10.0) as mesh:
        client = mesh.connect()
        client.send(GET[:10])
        await mesh.advance(1.5)
        client.send(GET[10:])
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(1.5)
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
        await mesh.advance(9.0)
        assert not client.hung_up, "the head's limit ended with the head"


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_come_is_408_SI(framing):  # noqa: N802
    async with Mesh(stream_idle_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(2.1)
        assert client.received.startswith(TOO_SLOW)
        assert client.hung_up
        assert upstream.hung_up
        assert [(told.status, told.flags) for told in mesh.exchanges] == [(408, "SI")]


async def test_a_body_in_drops_is_served():
    async with Mesh(stream_idle_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        upstream = await mesh.accepted()
        for _ in range(3):
            await mesh.settle()
            await mesh.advance(1.5)
            client.send(b"x")
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
