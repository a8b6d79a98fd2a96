"""Requests that wait until it is known which version of HTTP their endpoint speaks. Without TLS that is HTTP/1.1."""

from pymesh_proxy.testing import Mesh, static_cluster
from pymesh_proxy.upstream.config import UpstreamProtocol

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def mesh(**settings):
    return Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), protocol=UpstreamProtocol.AUTO, **settings))


async def accepted(running, many):
    """The upstream connections, of which there are so many."""
    peers = [await running.accepted() for _ in range(many)]
    await running.settle()
    assert running.loop.accepted.empty()
    return peers


async def test_those_who_wait_for_the_first_connection_get_connections_of_their_own():
    async with mesh() as running:
        clients = [running.connect() for _ in range(3)]
        for client in clients:
            client.send(GET)
        for peer in await accepted(running, 3):
            assert peer.received.count(b"GET / HTTP/1.1\r\n") == 1
            peer.send(OK)
        await running.settle()
        assert [client.received.startswith(b"HTTP/1.1 200 ") for client in clients] == [True] * 3
        cluster = running.runtime.clusters.get("up")
        assert cluster.breaker.connections == 3
        assert cluster.breaker.pending == 0


async def test_what_was_found_out_is_remembered():
    async with mesh() as running:
        for _ in range(2):
            client = running.connect()
            client.send(GET)
            await running.settle()
        (first, second) = await accepted(running, 2)
        first.send(OK)
        second.send(OK)
        await running.settle()
        running.connect().send(GET)
        await running.settle()
        assert running.loop.accepted.empty(), "a connection was idle"
        assert first.received.count(b"GET") + second.received.count(b"GET") == 3


async def test_who_leaves_while_it_is_found_out_is_forgotten():
    async with mesh() as running:
        staying, leaving = running.connect(), running.connect()
        staying.send(GET)
        leaving.send(GET)
        leaving.close()
        await running.settle()
        cluster = running.runtime.clusters.get("up")
        assert cluster.breaker.pending == 0
        peers = [running.loop.accepted.get_nowait() for _ in range(running.loop.accepted.qsize())]
        assert sum(peer.received.count(b"GET") for peer in peers) >= 1


async def test_without_a_connection_everybody_is_told():
    async with mesh() as running:
        running.loop.refusing.add(("10.0.0.1", 80))
        clients = [running.connect() for _ in range(2)]
        for client in clients:
            client.send(GET)
        await running.settle()
        assert [client.received.startswith(b"HTTP/1.1 503 ") for client in clients] == [True] * 2
        assert running.runtime.clusters.get("up").breaker.connections == 0


async def test_connections_of_a_removed_cluster_are_closed():
    async with mesh() as running:
        client = running.connect()
        client.send(GET)
        (peer,) = await accepted(running, 1)
        peer.send(OK)
        await running.settle()
        running.runtime.clusters.remove("up")
        await running.settle()
        assert peer.hung_up
