"""Whose turn it is on a client's HTTP/1.1 connection, and who waits: for a client that does not read, for a slow upstream."""

import pytest

from pymesh_proxy.route.retry_policy import RetryPolicy
from pymesh_proxy.testing import Mesh, forward_to, static_cluster

LIMIT = 4096
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUFFERED = static_cluster("up", ("10.0.0.1", 80), buffer_limit=LIMIT)


def post(size, start=b""):
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + start


def small(mesh):
    """A client of a listener with a small buffer limit."""
    mesh.scope.buffer_limit = LIMIT
    client = mesh.connect()
    for connection in mesh.scope._connections:
        connection.facts.buffer_limit = LIMIT
    return client


def connected(mesh, change):
    """Have something changed about connections to upstreams before anything is written to them."""
    connect = mesh.loop.create_connection

    async def changed(*args, **settings):
        transport, protocol = await connect(*args, **settings)
        change(transport)
        return transport, protocol

    mesh.loop.create_connection = changed


async def served(mesh, upstream, body, turns=100):
    """Answer every request as it comes; how many came."""
    answered = 0
    for _ in range(turns):
        await mesh.settle()
        while answered < upstream.received.count(b"GET / "):
            answered += 1
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    return answered


async def test_a_client_that_reads_nothing_is_served_no_further_request():
    async with Mesh() as mesh:
        client = small(mesh)
        client.stop_reading()
        client.send(GET * 100)
        assert await served(mesh, await mesh.accepted(), b"x" * 1000) < 10
        client.send(GET * 100)
        await mesh.settle()
        assert client.paused


async def test_a_client_that_reads_at_last_gets_all_answers():
    async with Mesh() as mesh:
        client = small(mesh)
        client.stop_reading()
        client.send(GET * 30)
        upstream = await mesh.accepted()
        begun = await served(mesh, upstream, b"x" * 1000)
        client.start_reading()
        for _ in range(60):
            await mesh.settle()
            while begun < upstream.received.count(b"GET / "):
                begun += 1
                upstream.send(OK)
        assert client.received.count(b"HTTP/1.1 200 OK") == 30
        assert not client.paused


async def test_a_request_that_repeats_the_one_before_waits_for_its_client_too():
    async with Mesh() as mesh:
        client = small(mesh)
        client.stop_reading()
        client.send(GET)
        upstream = await mesh.accepted()
        for _ in range(40):
            await mesh.settle()
            if upstream.received.endswith(b"\r\n\r\n"):
                upstream.received = b""
                upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
            await mesh.settle()
            client.send(GET)
        assert len(mesh.exchanges) < 10


async def test_refusals_wait_for_their_client_too():
    async with Mesh(stream_error=True) as mesh:
        client = small(mesh)
        client.stop_reading()
        for _ in range(100):
            client.send(b"GET / HTTP/1.1\r\n\r\n")
            await mesh.settle()
        assert len(mesh.exchanges) < 50
        client.start_reading()
        for _ in range(100):
            await mesh.settle()
        assert client.received.count(b"HTTP/1.1 400 ") == 100


async def test_nobody_waits_for_ever_for_a_client_that_takes_nothing():
    async with Mesh(idle_timeout=10.0, drain_timeout=5.0, delayed_close_timeout=1.0) as mesh:
        client = small(mesh)
        client.stop_reading()
        client.send(GET * 100)
        await served(mesh, await mesh.accepted(), b"x" * 1000)
        for seconds in (11, 6, 2):
            await mesh.advance(seconds)
        assert mesh.options.stats.downstream_cx_active == 0


async def test_a_last_answer_that_its_client_does_not_take_is_given_up():
    async with Mesh(delayed_close_timeout=1.0) as mesh:
        client = small(mesh)
        client.stop_reading()
        client.send(GET[:-2] + b"Connection: close\r\n\r\n")
        await served(mesh, await mesh.accepted(), b"x" * 3000, turns=2)
        assert mesh.options.stats.downstream_cx_active == 1
        await mesh.advance(1.1)
        assert mesh.options.stats.downstream_cx_active == 0


async def test_an_answer_that_is_cut_is_given_up_likewise():
    async with Mesh(delayed_close_timeout=1.0) as mesh:
        client = small(mesh)
        client.stop_reading()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\npart")
        await mesh.settle()
        upstream.close()
        await mesh.settle()
        await mesh.advance(1.1)
        assert mesh.options.stats.downstream_cx_active == 0


async def test_a_last_answer_is_not_cut_while_its_client_takes_it():
    async with Mesh(delayed_close_timeout=1.0) as mesh:
        client = small(mesh)
        client.stop_reading()
        client.send(post(9) + b"x")
        upstream = await mesh.accepted()
        await mesh.settle()
        for piece in (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x" * 450, b"x" * 450):  # the client takes one a second
            upstream.send(piece)
            await mesh.settle()
        for _ in range(3):
            await mesh.advance(0.9)
            client._transport._receive(client._transport._inbox.pop(0))
        assert client.received.endswith(b"x" * 900)


async def test_the_next_request_is_read_when_its_upstream_was_slow_to_the_end():
    async with Mesh(cluster=BUFFERED) as mesh:
        client = mesh.connect()
        client.send(post(9999))
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.stop_reading()
        client.send(b"x" * 9999)
        await mesh.settle()
        assert client.paused
        upstream.send(OK)
        await mesh.settle()
        client.send(GET)
        other = await mesh.accepted()  # nobody else has to wait behind what the first one does not take
        await mesh.settle()
        assert upstream.hung_up
        other.send(OK)
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 200 OK") == 2


async def test_the_next_request_is_read_when_no_connection_came_for_a_large_one():
    async with Mesh() as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        client = small(mesh)
        client.send(post(5000, b"x" * 5000))
        await mesh.settle()
        client.send(GET)
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 503 ") == 2


async def test_a_connection_that_is_slow_from_the_beginning_holds_its_client_back():
    async with Mesh(cluster=BUFFERED) as mesh:
        connected(mesh, lambda transport: transport.peer.pause_reading())
        client = small(mesh)
        client.send(post(99999, b"x" * 5000))
        upstream = await mesh.accepted()
        await mesh.settle()
        assert client.paused
        upstream.start_reading()
        await mesh.settle()
        assert not client.paused


async def test_a_pipelined_body_that_is_held_for_a_connection_holds_its_client_back():
    async with Mesh() as mesh:
        client = small(mesh)
        client.send(GET + post(99999, b"x" * 5000))
        upstream = await mesh.accepted()
        await mesh.settle()
        mesh.loop.hanging.add(("10.0.0.1", 80))
        upstream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        await mesh.settle()
        assert client.received.endswith(b"ok")
        assert client.paused


async def test_a_retry_that_is_not_slow_goes_on_with_its_client():
    policy = RetryPolicy(conditions=frozenset({"reset"}), num_retries=1, base_interval=0.001, max_interval=0.001)
    async with Mesh(route=forward_to("up", retry=policy), cluster=BUFFERED) as mesh:
        client = mesh.connect()
        client.send(post(9000))
        slow = await mesh.accepted()
        await mesh.settle()
        slow.stop_reading()
        client.send(b"x" * 5000)
        await mesh.settle()
        assert client.paused
        slow.reset()
        await mesh.settle()
        connected(mesh, lambda transport: transport.set_write_buffer_limits(10**6))
        await mesh.advance(1)
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received.endswith(b"x" * 5000)
        assert not client.paused


@pytest.mark.parametrize("later", [True, False])
async def test_nothing_behind_an_answer_that_came_before_its_requests_end_is_served(later):
    async with Mesh() as mesh:
        mesh.options.route.table = None
        client = mesh.connect()
        client.send(post(2, b"ok") + (b"" if later else GET))
        await mesh.settle()
        if later:
            client.send(GET)
            await mesh.settle()
        assert client.received.count(b"HTTP/1.1 404 ") == 1
        assert len(mesh.exchanges) == 1
        await mesh.advance(1.1)
        assert client.hung_up


async def test_an_answer_without_a_length_that_is_cut_looks_cut_to_a_client_of_http_10():
    async with Mesh(accept_http_10=True) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
        await mesh.settle()
        resets = []
        next(iter(mesh.scope._connections)).transport.abort = lambda: resets.append(True)
        upstream.close()
        await mesh.settle()
        assert client.received.endswith(b"part")
        assert resets
