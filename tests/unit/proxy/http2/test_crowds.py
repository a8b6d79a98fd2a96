"""Many answers under way on one connection: what each of them may hold, and that nobody loses a byte by it."""

import pytest

from pymesh_proxy.http2.server_stream import CROWD
from pymesh_proxy.upstream.small_reads import SIZE, SmallReads

from .players import client, mesh, upstream

LIMIT = 4096


async def asked(running, talker, streams):
    """The upstreams of so many requests."""
    for _ in range(streams):
        talker.ask()
    return [await upstream(running, "HTTP/1") for _ in range(streams)]


async def test_a_crowd_of_streams_that_may_not_send_holds_a_small_read_each():
    async with mesh("HTTP/1") as running:
        running.scope.buffer_limit = LIMIT
        talker = client(running, consuming=False, INITIAL_WINDOW_SIZE=0)
        servers = await asked(running, talker, CROWD + 20)
        for server in servers:
            server.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))
        for _ in range(10):
            await running.settle()
        assert min(server.transport.peer.waiting for server in servers) >= 1_000_000 - SIZE, "each was read once"


@pytest.mark.parametrize("streams", [1, CROWD + 5])
async def test_every_answer_of_a_crowd_comes_whole(streams):
    body = bytes(range(256)) * 300
    async with mesh("HTTP/1") as running:
        talker = client(running)
        servers = await asked(running, talker, streams)
        for server in servers:
            server.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        for _ in range(60):
            await running.settle()
        assert [bytes(talker.message(2 * number + 1).body) for number in range(streams)] == [body] * streams


async def test_a_connection_is_read_as_it_comes_when_the_crowd_has_gone():
    async with mesh("HTTP/1") as running:
        talker = client(running)
        servers = await asked(running, talker, CROWD + 1)
        for server in servers:
            server.answer(headers=[("content-length", "0")])
        await running.settle()
        assert {type(server.transport.peer.protocol) for server in servers} == {SmallReads}
        talker.ask()
        await running.settle()
        (again,) = [server for server in servers if len(server.messages) == 2]
        assert type(again.transport.peer.protocol) is not SmallReads
