"""The upstream's max_connection_duration: a connection ends when it is free, never in the middle of an answer."""

from pymesh_proxy.testing import Mesh, static_cluster

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def mesh_of(**settings):
    return Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), **settings), idle_timeout=0.0, stream_idle_timeout=0.0)


async def test_an_idle_connection_is_closed_when_its_time_is_over():
    async with mesh_of(max_connection_duration=10.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        upstream.send(OK)
        await mesh.advance(9.0)
        assert not upstream.hung_up
        await mesh.advance(2.0)
        assert upstream.hung_up


async def test_a_busy_connection_is_closed_after_its_answer():
    async with mesh_of(max_connection_duration=10.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.advance(11.0)
        assert not upstream.hung_up
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
        assert upstream.hung_up


async def test_use_does_not_prolong_the_time():
    async with mesh_of(max_connection_duration=10.0, idle_timeout=8.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        upstream.send(OK)
        await mesh.advance(6.0)
        client.send(GET)
        await mesh.settle()
        upstream.send(OK)
        await mesh.advance(5.0)
        assert client.received.count(b"ok") == 2
        assert upstream.hung_up


async def test_connections_stay_without_a_limit():
    async with mesh_of(idle_timeout=0.0) as mesh:
        mesh.connect().send(GET)
        upstream = await mesh.accepted()
        upstream.send(OK)
        await mesh.advance(100_000.0)
        assert not upstream.hung_up
