"""Clients' connections over time: idleness, age, counts, PINGs, drains, and the times that streams have."""

from pymesh_proxy.http2.settings import Keepalive
from pymesh_proxy.testing import forward_to

from .players import client, http2, mesh, upstream

LAST = 2**31 - 1


async def test_an_idle_connection_is_left_politely():
    async with mesh(idle_timeout=60) as running:
        talker = client(running)
        await running.settle()
        await running.advance(59)
        assert not talker.goaways
        await running.advance(2)
        assert talker.goaways == [(LAST, 0), (0, 0)]
        assert talker.closed


async def test_an_open_stream_keeps_its_connection():
    async with mesh(idle_timeout=60, stream_idle_timeout=0) as running:
        talker = client(running)
        answer = talker.ask()
        server = await upstream(running)
        await running.advance(200)
        server.answer()
        await running.settle()
        assert answer.status == 200
        await running.advance(59)
        assert not talker.goaways
        await running.advance(62)
        assert talker.closed


async def test_a_request_that_crosses_the_first_goaway_is_served():
    async with mesh(idle_timeout=60) as running:
        talker = client(running)
        await running.settle()
        talker.transport.pause_reading()
        await running.advance(61)
        answer = talker.ask()
        server = await upstream(running)
        talker.transport.resume_reading()
        await running.settle()
        server.answer()
        await running.settle()
        assert answer.status == 200
        assert talker.goaways == [(LAST, 0), (1, 0)]
        assert talker.closed


async def test_a_client_that_does_not_answer_the_ping_gets_the_last_goaway_in_time():
    async with mesh(max_connection_duration=60, drain_timeout=5) as running:
        talker = client(running)
        answer = talker.ask()
        server = await upstream(running)
        silent = talker.h2
        await running.settle()
        talker.data_received = lambda data: None
        await running.advance(61)
        talker.h2 = silent
        del talker.data_received
        await running.advance(6)
        server.answer()
        await running.settle()
        assert talker.goaways == [(1, 0)]
        assert answer.status == 200
        assert talker.closed


async def test_a_connection_lives_no_longer_than_configured():
    async with mesh(max_connection_duration=60) as running:
        talker = client(running)
        answer = talker.ask()
        server = await upstream(running)
        await running.advance(61)
        assert talker.goaways == [(LAST, 0), (1, 0)]
        assert not talker.closed
        server.answer()
        await running.settle()
        assert answer.status == 200
        assert talker.closed


async def test_a_connection_serves_no_more_requests_than_configured():
    async with mesh(max_requests_per_connection=2) as running:
        talker = client(running)
        answers = [talker.ask(), talker.ask()]
        server = await upstream(running)
        assert talker.goaways == [(LAST, 0), (3, 0)]
        server.answer(0)
        server.answer(1)
        await running.settle()
        assert [answer.status for answer in answers] == [200, 200]
        assert talker.closed


async def test_a_drained_listener_loses_no_request():
    async with mesh() as running:
        talker = client(running)
        first = talker.ask()
        server = await upstream(running)
        talker.transport.pause_reading()
        running.scope.drain()
        await running.settle()
        second = talker.ask()
        await running.settle()
        talker.transport.resume_reading()
        await running.settle()
        assert talker.goaways == [(LAST, 0), (3, 0)]
        server.answer(0)
        server.answer(1)
        await running.settle()
        assert (first.status, second.status) == (200, 200)
        assert talker.closed
        assert running.options.stats.downstream_cx_drain_close == 1


async def test_a_connection_made_while_draining_is_told_at_once():
    async with mesh() as running:
        running.scope.drain()
        talker = client(running)
        await running.settle()
        assert talker.goaways[0] == (LAST, 0)


async def test_a_stream_opened_behind_the_last_goaway_is_refused():
    async with mesh() as running:
        talker = client(running)
        talker.ask()
        await upstream(running)
        running.scope.drain()
        await running.settle()
        assert talker.goaways[-1] == (1, 0)
        late = talker.ask()
        await running.settle()
        assert late.reset == 7


async def test_a_silent_client_is_found_out():
    async with mesh(http2=http2(connection_keepalive=Keepalive(interval=10, timeout=5, interval_jitter=0))) as running:
        talker = client(running)
        await running.settle()
        for _ in range(12):
            await running.advance(4)
        assert len(talker.pings) > 1
        assert not talker.closed, "it has answered"
        talker.transport.pause_reading()
        for _ in range(8):
            await running.advance(4)
        talker.transport.resume_reading()
        await running.settle()
        assert talker.closed
        assert running.options.stats.downstream_cx_active == 0


async def test_a_request_has_to_be_whole_in_time():
    async with mesh(request_timeout=5) as running:
        talker = client(running)
        answer = talker.ask("POST", end=False)
        server = await upstream(running)
        await running.advance(6)
        assert (answer.status, answer.reset) == (408, 0)
        assert server.asked().reset == 8
        assert running.exchanges[0].details == "request_overall_timeout"


async def test_a_whole_request_has_no_request_timeout():
    async with mesh(request_timeout=5) as running:
        talker = client(running)
        answer = talker.ask("POST", body=b"x")
        server = await upstream(running)
        await running.advance(6)
        server.answer()
        await running.settle()
        assert answer.status == 200


async def test_a_request_with_trailers_has_no_request_timeout_either():
    async with mesh(request_timeout=5) as running:
        talker = client(running)
        answer = talker.ask("POST", body=b"x", trailers={"x-t": "1"})
        server = await upstream(running)
        await running.advance(6)
        server.answer()
        await running.settle()
        assert answer.status == 200


async def test_a_client_that_does_not_take_its_last_answer_is_given_up():
    async with mesh(delayed_close_timeout=1.0) as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        running.scope.drain()
        await running.settle()
        talker.transport.pause_reading()
        server.answer(body=b"x" * 1000)
        await running.settle()
        assert running.options.stats.downstream_cx_active == 1
        await running.advance(1.1)
        assert running.options.stats.downstream_cx_active == 0


async def test_a_request_may_take_longer_once_its_answer_has_begun():
    async with mesh(request_timeout=5) as running:
        talker = client(running)
        answer = talker.ask("POST", end=False)
        server = await upstream(running)
        server.answer(end=False)
        await running.settle()
        await running.advance(60)
        talker.data(1, b"late", end=True)
        await running.settle()
        assert server.asked().body == b"late"
        server.data(1, b"too", end=True)
        await running.settle()
        assert (answer.status, answer.body, answer.ended) == (200, b"too", True)


async def test_the_route_s_timeout_is_a_504():
    async with mesh(route=forward_to("up", timeout=3)) as running:
        answer = client(running).ask()
        server = await upstream(running)
        await running.advance(4)
        assert answer.status == 504
        assert server.asked().reset == 8
        assert running.exchanges[0].flags == "UT"


async def test_the_route_s_timeout_within_the_answer_resets_the_stream():
    async with mesh(route=forward_to("up", timeout=3)) as running:
        answer = client(running).ask()
        server = await upstream(running)
        server.answer(body=b"part", end=False)
        await running.settle()
        await running.advance(4)
        assert (answer.status, answer.ended, answer.reset) == (200, False, 2)
        assert server.asked().reset == 8


async def test_an_idle_stream_ends_and_its_neighbour_does_not():
    async with mesh(stream_idle_timeout=10) as running:
        talker = client(running)
        idle, busy = talker.ask(), talker.ask()
        server = await upstream(running)
        server.answer(1, end=False)
        for _ in range(4):
            await running.advance(4)
            server.data(3, b"x")
            await running.settle()
        assert idle.status == 504
        assert (busy.reset, busy.body) == (None, b"xxxx")
        assert running.exchanges[0].flags == "SI"


async def test_a_stream_lasts_no_longer_than_configured():
    async with mesh(max_stream_duration=10) as running:
        answer = client(running).ask()
        server = await upstream(running)
        server.answer(body=b"x", end=False)
        await running.settle()
        await running.advance(11)
        assert (answer.status, answer.reset) == (200, 2)


async def test_a_broken_rule_ends_the_connection_with_its_code_and_frees_the_upstream():
    async with mesh() as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        talker.transport.write(b"\x00\x00\x00\x00\x00\x00\x00\x00\x00")
        await running.settle()
        assert talker.goaways[-1][1] == 1
        assert server.asked().reset == 8
        await running.advance(2)
        assert talker.closed
        assert running.options.stats.downstream_cx_protocol_error == 1
        assert running.exchanges[0].flags == "DPE"
