"""Slow clients and slow upstreams: what is held is bounded, the source waits, and other streams do not."""

import pytest

from .players import client, http2, mesh, upstream

LIMIT = 64 * 1024
PIECE = b"x" * 16384


async def pour(running, sender, stream_id, pieces):
    """Send as much of so many pieces as the windows take; the octets that went."""
    sent = 0
    for _ in range(pieces):
        if sender.h2.local_flow_control_window(stream_id) < len(PIECE):
            break
        sender.data(stream_id, PIECE)
        sent += len(PIECE)
        await running.settle()
    return sent


def small(**windows):
    return http2(initial_stream_window_size=LIMIT, initial_connection_window_size=16 * LIMIT, **windows)


async def test_a_slow_client_makes_the_upstream_wait_and_nobody_else():
    async with mesh(cluster={"http2": small(), "buffer_limit": LIMIT}) as running:
        running.scope.buffer_limit = LIMIT
        slow, quick = client(running, consuming=False, INITIAL_WINDOW_SIZE=1024), client(running)
        slow.ask()
        server = await upstream(running)
        server.answer(end=False)
        sent = await pour(running, server, 1, 200)
        assert sent < 6 * LIMIT, "the proxy takes what its client does not"
        answer = quick.ask()
        await running.settle()
        server.answer(body=b"y" * 1000)
        await running.settle()
        assert len(answer.body) == 1000
        slow.h2.update_settings({4: 2**30})
        slow.h2.increment_flow_control_window(2**29)
        slow.flush()
        await running.settle()
        assert len(slow.message(1).body) == sent
        assert await pour(running, server, 1, 1), "the upstream may go on"


@pytest.mark.parametrize("up", ["HTTP/1", "HTTP/2"])
async def test_a_slow_upstream_makes_the_client_wait_and_nobody_else(up):
    options = http2(initial_stream_window_size=LIMIT, initial_connection_window_size=16 * LIMIT)
    async with mesh(up, http2=options, cluster={"buffer_limit": LIMIT}) as running:
        talker = client(running)
        await running.settle()
        talker.ask("POST", end=False)
        settings = {"consuming": False, "INITIAL_WINDOW_SIZE": 1024} if up == "HTTP/2" else {}
        server = await upstream(running, up, **settings)
        if up == "HTTP/1":
            server.transport.pause_reading()
        sent = await pour(running, talker, 1, 200)
        assert sent < 6 * LIMIT, "the proxy takes what its upstream does not"
        answer = talker.ask()
        other = server if up == "HTTP/2" else await upstream(running, up)
        await running.settle()
        other.answer(headers=[("content-length", "0")])
        await running.settle()
        assert answer.status == 200
        if up == "HTTP/1":
            server.transport.resume_reading()
        else:
            server.h2.increment_flow_control_window(2**20, 1)
            server.h2.increment_flow_control_window(2**20)
            server.flush()
        for _ in range(40):
            await running.settle()
        assert len(server.asked(0).body) == sent
        assert await pour(running, talker, 1, 1), "the client may go on"


async def test_a_slow_http1_client_makes_an_http2_upstream_wait():
    async with mesh(cluster={"http2": small(), "buffer_limit": LIMIT}) as running:
        talker = client(running, "HTTP/1")
        answer = talker.ask()
        server = await upstream(running)
        talker.transport.pause_reading()
        server.answer(end=False)
        sent = await pour(running, server, 1, 200)
        assert sent < 8 * LIMIT
        talker.transport.resume_reading()
        for _ in range(20):
            await running.settle()
        assert len(answer.body) == sent


async def test_many_streams_with_closed_windows_hold_a_bounded_amount():
    async with mesh(cluster={"http2": small(), "buffer_limit": LIMIT}) as running:
        running.scope.buffer_limit = LIMIT
        talker = client(running, consuming=False, INITIAL_WINDOW_SIZE=0)
        for _ in range(50):
            talker.ask()
        server = await upstream(running)
        total = 0
        for number in range(50):
            stream_id = server.answer(number, end=False)
            total += await pour(running, server, stream_id, 50)
        assert total <= 16 * LIMIT + 50 * len(PIECE), "all together: the upstream connection's window, and a piece a stream"


async def test_a_large_body_passes_whole_both_ways():
    body = bytes(range(256)) * 4000
    async with mesh() as running:
        talker = client(running)
        await running.settle()
        answer = talker.ask("POST", end=False)
        server = await upstream(running)
        for start in range(0, len(body), 16000):
            talker.data(1, body[start : start + 16000], start + 16000 >= len(body))
            await running.settle()
        for _ in range(20):
            await running.settle()
        assert server.asked().body == body
        assert server.asked().ended
        server.answer(end=False)
        for start in range(0, len(body), 16000):
            server.data(1, body[start : start + 16000], start + 16000 >= len(body))
            await running.settle()
        for _ in range(20):
            await running.settle()
        assert answer.body == body
        assert answer.ended


async def test_windows_of_answers_that_nobody_wants_are_given_back():
    """Each stream is abandoned with DATA under way; the connection's window must not shrink."""
    async with mesh(cluster={"http2": http2(initial_stream_window_size=65535, initial_connection_window_size=65535)}) as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        for number in range(20):
            server.answer(number, body=PIECE, end=False)
            await running.settle()
            talker.reset(talker.last)
            await running.settle()
            talker.ask()
            await running.settle()
        assert server.h2.outbound_flow_control_window > 0
        assert len(server.messages) == 21


async def test_windows_of_requests_that_nobody_wants_are_given_back():
    async with mesh(http2=http2(initial_stream_window_size=65535, initial_connection_window_size=65535)) as running:
        talker = client(running)
        await running.settle()
        for number in range(20):
            answer = talker.ask("POST", body=PIECE, end=False)
            if number == 0:
                server = await upstream(running)
            await running.settle()
            server.answer(status=403)
            await running.settle()
            assert answer.status == 403
        assert talker.h2.outbound_flow_control_window > 0
