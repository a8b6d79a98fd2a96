"""The upstream's max_connection_duration: a connection ends when it is free, never in the middle of an answer."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


async def serve(steps):
    """Three connections stand idle; each step either has the server close the one of a number, or sends a request."""
    async with mesh_of(idle_timeout=0.0) as mesh:
        clients = [mesh.connect() for _ in range(3)]
        for client in clients:
            client.send(GET)
        idle = [await mesh.accepted() for _ in clients]
        for upstream in idle:
            upstream.send(OK)
            await mesh.settle()
        pool = mesh.runtime.clusters.get("up").endpoints[0].pool
        for step in steps:
            if step is None:
                served = [upstream.received.count(b"GET") for upstream in idle]
                clients[0].send(GET)
                await mesh.settle()
                if not idle:
                    idle.append(await mesh.accepted())
                    served.append(0)
                expected = [*served[:-1], served[-1] + 1]
                assert [upstream.received.count(b"GET") for upstream in idle] == expected, "the one used last is taken first"
                idle[-1].send(OK)
            elif step < len(idle):
                idle.pop(step).close()
            await mesh.settle()
            assert len(pool._all) == len(idle)
        pool.close()
        await mesh.settle()
        assert all(upstream.hung_up for upstream in idle)
        assert clients[0].received.count(b"ok") == 1 + steps.count(None)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 2)), max_size=8))
def test_idle_connections_are_a_stack_from_which_any_may_go(steps):
    asyncio.run(serve(steps))


def fall_silent(mesh, upstream):
    upstream.finish()


def speak_unasked(mesh, upstream):
    upstream.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")


def reach_its_time(mesh, upstream):
    asyncio.get_running_loop().call_soon(mesh.loop.advance, 10.0)  # in the turn in which the request comes


@pytest.mark.parametrize("end", [fall_silent, speak_unasked, reach_its_time])
async def test_a_connection_that_ends_is_not_given_to_a_request_of_the_same_turn(end):
    async with mesh_of(idle_timeout=5.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        upstream.send(OK)
        await mesh.settle()
        end(mesh, upstream)
        client.send(GET)
        await mesh.settle()
        assert not mesh.loop.accepted.empty(), "the request was given to a connection that was at its end"
        (await mesh.accepted()).send(OK)
        await mesh.settle()
        assert client.received.count(b"200 OK") == 2


async def test_an_idle_connection_whose_server_takes_nothing_is_given_up():
    async with mesh_of(idle_timeout=10.0) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.stop_reading()
        client.send(b"hi")
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
        assert mesh.runtime.clusters.get("up").breaker.connections == 1
        await mesh.advance(11.0)
        assert mesh.runtime.clusters.get("up").breaker.connections == 0
