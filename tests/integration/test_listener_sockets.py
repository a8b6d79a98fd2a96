"""Listeners on real sockets: moved, changed and taken away while connections stand."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pymesh.local.ports import HOST, FreePorts
from pymesh_proxy.errors import StartupError
from pymesh_proxy.http.options import HttpOptions
from pymesh_proxy.http.route_slot import RouteSlot
from pymesh_proxy.listener.config import FilterChain, ListenerConfig
from pymesh_proxy.listener.match import build
from pymesh_proxy.listener.sockets import open_socket
from pymesh_proxy.route.table import DirectReply, Route, RouteTable
from pymesh_proxy.runtime import Runtime

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class World:
    """A runtime in this process, with listeners that answer everything."""

    def __init__(self) -> None:
        self.runtime = Runtime(asyncio.get_running_loop())
        self.listeners = self.runtime.listeners
        self.ports = FreePorts()

    def config(self, port: int, body: bytes = b"one", **settings: Any) -> ListenerConfig:
        route = Route(name="r", action=DirectReply(status=200, body=body))
        slot = RouteSlot("r", RouteTable("r", lambda authority: ((lambda head, draw: True, route),)))
        terminal = HttpOptions(route=slot, stats=self.runtime.http_stats("h"))
        chain = FilterChain(name="c", terminal=terminal, identity=b"chain" + body)
        return ListenerConfig(name="l", port=port, chains=(chain,), matcher=build((chain,), None), frame=b"f", **{"host": HOST} | settings)

    async def client(self, port: int) -> "Client":
        client = Client(*await asyncio.open_connection(HOST, port))
        await client.get()
        return client


class Client:
    """A kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def get(self) -> bytes:
        """The body of an answer; empty when the connection has ended."""
        self.writer.write(GET)
        async with asyncio.timeout(20):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
            return await self._reader.readexactly(3) if b"200 OK" in head else head

    async def ended(self) -> bool:
        async with asyncio.timeout(20):
            return await self._reader.read(1) == b""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    made.listeners.stop_accepting()
    made.runtime.wheel.close()


async def test_a_listener_moves_to_another_address_and_asks_the_old_connections_to_leave(world: World) -> None:
    old, new = world.ports.take(), world.ports.take()
    await world.listeners.put(world.config(old))
    client = await world.client(old)
    await world.listeners.put(world.config(new))
    assert await client.ended()
    with pytest.raises(ConnectionRefusedError):
        await world.client(old)
    (await world.client(new)).writer.close()


async def test_a_taken_address_leaves_the_listener_where_it_was(world: World) -> None:
    port = world.ports.take()
    await world.listeners.put(world.config(port))
    client = await world.client(port)
    with socket.create_server((HOST, 0)) as taken, pytest.raises(StartupError, match="cannot bind"):
        await world.listeners.put(world.config(taken.getsockname()[1]))
    assert await client.get() == b"one"
    client.writer.close()


async def test_new_connections_follow_the_new_configuration_on_the_same_socket(world: World) -> None:
    port = world.ports.take()
    await world.listeners.put(world.config(port))
    client = await world.client(port)
    bound = next(iter(world.listeners)).bound
    await world.listeners.put(world.config(port, b"two"))
    assert await client.ended()
    other = await world.client(port)
    assert await other.get() == b"two"
    assert next(iter(world.listeners)).bound == bound
    other.writer.close()


async def test_a_socket_is_opened_anew_where_its_options_change_and_as_it_was_if_that_fails(world: World) -> None:
    port = world.ports.take()
    await world.listeners.put(world.config(port))
    await world.listeners.put(world.config(port, b"two", freebind=True))
    client = await world.client(port)
    assert await client.get() == b"two"
    with contextlib.suppress(StartupError):  # transparent sockets need a right that this process may not have
        await world.listeners.put(world.config(port, b"thr", transparent=True))
    other = await world.client(port)
    assert await other.get() in (b"two", b"thr")
    for each in (client, other):
        each.writer.close()


async def test_a_removed_listener_refuses_newcomers(world: World) -> None:
    port = world.ports.take()
    await world.listeners.put(world.config(port))
    client = await world.client(port)
    await world.listeners.remove("l")
    assert await client.ended()
    with pytest.raises(ConnectionRefusedError):
        await world.client(port)


def test_an_address_that_this_machine_does_not_have_can_be_bound_if_asked() -> None:
    config = ListenerConfig(name="l", host="192.0.2.77", port=0, matcher=build((), None), freebind=True)
    with contextlib.closing(open_socket(config, reuse_port=False)) as bound:
        assert bound.getsockname()[0] == "192.0.2.77"
    with pytest.raises(OSError, match="Cannot assign"):
        open_socket(ListenerConfig(name="l", host="192.0.2.77", port=0, matcher=build((), None)), reuse_port=False)


def test_an_ipv6_wildcard_does_not_take_ipv4_too() -> None:
    six = ListenerConfig(name="l", host="::", port=0, matcher=build((), None))
    with contextlib.closing(open_socket(six, reuse_port=False)) as bound:
        four = ListenerConfig(name="m", host="0.0.0.0", port=bound.getsockname()[1], matcher=build((), None))
        open_socket(four, reuse_port=False).close()


async def test_a_listener_with_further_addresses_listens_on_all_of_them_and_keeps_them(world: World) -> None:
    first, second, third = (world.ports.take() for _ in range(3))
    await world.listeners.put(world.config(first, additional=((HOST, second),)))
    await world.client(first)
    another = await world.client(second)
    assert await another.get() == b"one"
    await world.listeners.put(world.config(first, additional=((HOST, third),)))
    assert await (await world.client(third)).get() == b"one"
    with pytest.raises(ConnectionRefusedError):
        await world.client(second)
    await world.listeners.remove("l")
    for port in (first, third):
        with pytest.raises(ConnectionRefusedError):
            await world.client(port)


async def test_a_listener_that_cannot_have_one_of_its_addresses_has_none(world: World) -> None:
    free, taken = world.ports.take(), world.ports.take()
    with contextlib.closing(socket.create_server((HOST, taken))):
        with pytest.raises(StartupError, match=f"cannot bind {HOST}:{taken}"):
            await world.listeners.put(world.config(free, additional=((HOST, taken),)))
        with pytest.raises(ConnectionRefusedError):
            await world.client(free)
