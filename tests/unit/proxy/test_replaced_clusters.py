"""A cluster is replaced, or an endpoint goes, while requests wait for a connection: they get it, and the connection ends after them."""

import asyncio
from dataclasses import replace

import pytest

from pymesh_proxy.route.retry_policy import RetryPolicy
from pymesh_proxy.testing import Mesh, forward_to, static_cluster
from pymesh_proxy.upstream.config import Assignment

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Gate:
    """Connections to upstreams are made when the test opens it."""

    def __init__(self, mesh):
        self._open = asyncio.Event()
        self._connect = mesh.loop.create_connection
        mesh.loop.create_connection = self
        self.open = self._open.set

    async def __call__(self, *args, **options):
        await self._open.wait()
        return await self._connect(*args, **options)


def replace_the_cluster(mesh):
    mesh.runtime.clusters.put(static_cluster("up", ("10.0.0.1", 80), max_requests_per_connection=5))


def take_the_endpoint_away(mesh):
    for endpoint in mesh.runtime.clusters.get("up").assign(Assignment(cluster="up", endpoints=())):
        endpoint.pool.close()


def remove_the_cluster(mesh):
    mesh.runtime.clusters.remove("up")


@pytest.mark.parametrize("change", [replace_the_cluster, take_the_endpoint_away, remove_the_cluster])
async def test_requests_that_wait_for_a_connection_get_it(change):
    async with Mesh() as mesh:
        gate = Gate(mesh)
        clients = [mesh.connect() for _ in range(3)]
        for client in clients:
            client.send(GET)
        await mesh.settle()
        old = mesh.runtime.clusters.get("up")
        change(mesh)
        await mesh.settle()
        gate.open()
        for _ in clients:
            upstream = await mesh.accepted()
            await mesh.settle()
            assert upstream.received.startswith(b"GET / ")
            upstream.send(OK)
            await mesh.settle()
            assert upstream.hung_up
        assert all(client.received.startswith(b"HTTP/1.1 200") for client in clients)
        assert mesh.loop.accepted.empty(), "no connection is made for nobody"
        assert old.breaker.connections == old.breaker.pending == 0


RETRIED = forward_to("up", retry=RetryPolicy(conditions=frozenset({"5xx"}), base_interval=1.0, max_interval=1.0))


@pytest.mark.parametrize("high", [False, True])
async def test_a_retry_goes_to_the_endpoints_of_the_new_version(high):
    route = replace(RETRIED, action=replace(RETRIED.action, high_priority=high))
    async with Mesh(route=route) as mesh:
        client = mesh.connect()
        client.send(GET)
        (await mesh.accepted()).send(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        old = mesh.runtime.clusters.get("up")
        new = mesh.runtime.clusters.put(static_cluster("up", ("10.0.0.9", 80)))
        await mesh.advance(1.1)
        again = await mesh.accepted()
        assert again.address == ("10.0.0.9", 80)
        breaker = new.high_breaker if high else new.breaker
        assert (breaker.retries, breaker.requests) == (1, 1)
        again.send(OK)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200")
        for cluster in (old, new):
            for each in (cluster.breaker, cluster.high_breaker):
                assert (each.retries, each.requests, each.pending) == (0, 0, 0)


async def test_a_retry_of_a_cluster_that_is_gone_has_nowhere_to_go():
    async with Mesh(route=RETRIED) as mesh:
        client = mesh.connect()
        client.send(GET)
        (await mesh.accepted()).send(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        old = mesh.runtime.clusters.get("up")
        mesh.runtime.clusters.remove("up")
        await mesh.advance(1.1)
        assert b"no healthy upstream" in client.received
        assert mesh.exchanges[0].flags == "UH"
        assert (old.breaker.retries, old.breaker.requests, old.breaker.pending) == (0, 0, 0)
