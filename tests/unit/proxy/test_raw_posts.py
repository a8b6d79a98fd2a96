"""A POST that ends here in a TCP connection: its body goes there as it is, and what comes back is the body of the answer."""

import asyncio

from pymesh_proxy.testing import Mesh, forward_to, static_cluster

ROUTE = forward_to("up", upgrades={b"connect": True}, terminates_connect=True, terminates_post=True)
POST = b"POST /x HTTP/1.1\r\nHost: b.org\r\nTransfer-Encoding: chunked\r\n\r\n"


async def posted(mesh, request=POST):
    client = mesh.connect()
    client.send(request)
    upstream = await mesh.accepted()
    await mesh.settle()
    return client, upstream


async def test_bodies_go_both_ways_as_they_are():
    async with Mesh(route=ROUTE) as mesh:
        client, upstream = await posted(mesh, POST + b"3\r\nabc\r\n")
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert upstream.received == b"abc"
        client.send(b"2\r\nde\r\n")
        upstream.send(b"\x00one")
        await mesh.settle()
        assert upstream.received == b"abcde"
        assert client.received.endswith(b"4\r\n\x00one\r\n")
        client.send(b"0\r\n\r\n")
        await mesh.settle()
        assert upstream.ended
        assert not client.received.endswith(b"0\r\n\r\n"), "the other direction goes on"
        upstream.send(b"two")
        upstream.finish()
        await mesh.settle()
        assert client.received.endswith(b"3\r\ntwo\r\n0\r\n\r\n")
        (told,) = mesh.exchanges
        assert (told.status, told.request_bytes, told.response_bytes, told.flags) == (200, 5, 7, "")
        cluster = mesh.runtime.clusters.get("up")
        assert (cluster.breaker.connections, cluster.breaker.requests) == (0, 0)


async def test_a_server_that_speaks_first_is_heard():
    async with Mesh(route=ROUTE) as mesh:
        client = mesh.connect()
        client.send(POST)
        upstream = await mesh.accepted()
        upstream.send(b"banner")
        await mesh.settle()
        assert client.received.endswith(b"6\r\nbanner\r\n")


async def test_a_connection_that_fails_too_late_concerns_nobody():
    """Its exchange has its answer; on the client's connection there is another one by now."""
    route = forward_to("up", upgrades={b"connect": True}, terminates_connect=True, terminates_post=True, timeout=1.0)
    async with Mesh(route=route, cluster=static_cluster("up", ("10.0.0.1", 80), connect_timeout=0.3)) as mesh:
        mesh.loop.hanging.add(("10.0.0.1", 80))
        client = mesh.connect()
        client.send(b"POST /x HTTP/1.1\r\nHost: b.org\r\nContent-Length: 2\r\n\r\nok")
        await mesh.settle()
        await mesh.advance(1.1)
        assert client.received.startswith(b"HTTP/1.1 504 ")
        cluster = mesh.runtime.clusters.get("up")
        async with asyncio.timeout(30):
            while not cluster.upstream_cx_connect_fail:
                await mesh.settle()
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 ") == 1
        assert (len(mesh.exchanges), cluster.breaker.connections) == (1, 0)


async def test_a_server_that_ends_first_ends_the_answer_and_the_connection():
    async with Mesh(route=ROUTE) as mesh:
        client, upstream = await posted(mesh)
        upstream.close()
        await mesh.settle()
        assert client.received.endswith(b"\r\n0\r\n\r\n")
        assert client.hung_up, "the request was not whole"


async def test_a_server_that_resets_cuts_the_answer():
    async with Mesh(route=ROUTE) as mesh:
        client, upstream = await posted(mesh)
        upstream.reset()
        await mesh.settle()
        assert not client.received.endswith(b"0\r\n\r\n")
        assert client.hung_up
        assert mesh.exchanges[0].flags == "UC"


async def test_a_client_that_leaves_takes_the_connection_along():
    async with Mesh(route=ROUTE) as mesh:
        client, upstream = await posted(mesh)
        client.close()
        await mesh.settle()
        assert upstream.hung_up
        cluster = mesh.runtime.clusters.get("up")
        assert (cluster.breaker.connections, cluster.breaker.requests) == (0, 0)


async def test_each_side_waits_for_the_other():
    async with Mesh(route=ROUTE) as mesh:
        mesh.scope.buffer_limit = 1024
        client, upstream = await posted(mesh)
        client.stop_reading()
        for _ in range(20):
            upstream.send(bytes(1000))
            await mesh.settle()
        assert upstream.paused
        client.start_reading()
        for _ in range(20):
            await mesh.settle()
        assert not upstream.paused
        assert client.received.count(b"\0") == 20_000


async def test_other_methods_are_requests():
    async with Mesh(route=ROUTE) as mesh:
        _, upstream = await posted(mesh, b"PUT /x HTTP/1.1\r\nHost: b.org\r\nContent-Length: 0\r\n\r\n")
        assert upstream.received.startswith(b"PUT /x HTTP/1.1\r\n")
