"""How many HTTP/2 connections an upstream gets, what they carry, and how they are left."""

import h2.settings

from pymesh_proxy.http2.frames import HEADERS, PREFACE
from pymesh_proxy.http2.settings import Keepalive
from pymesh_proxy.testing import static_cluster
from pymesh_proxy.upstream.config import Limits, ProxyHeader, UpstreamProtocol

from .players import H2Upstream, client, http2, mesh, upstream


async def test_many_clients_share_one_connection():
    async with mesh() as running:
        answers = [client(running, down).ask() for down in ("HTTP/1", "HTTP/2", "HTTP/1")]
        server = await upstream(running)
        for number in range(3):
            server.answer(number)
        await running.settle()
        assert [answer.status for answer in answers] == [200] * 3
        assert running.loop.accepted.empty()


async def test_a_connection_takes_no_more_streams_than_configured():
    async with mesh(cluster={"http2": http2(max_concurrent_streams=2)}) as running:
        talker = client(running)
        for _ in range(3):
            talker.ask()
        first, second = await upstream(running), await upstream(running)
        assert sorted((len(first.messages), len(second.messages))) == [1, 2]


async def test_a_connection_takes_no_more_streams_than_the_server_allows():
    async with mesh() as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running, MAX_CONCURRENT_STREAMS=1)
        more = talker.ask()
        await running.settle()
        assert len(server.messages) == 1
        second = await upstream(running, MAX_CONCURRENT_STREAMS=1)
        second.answer()
        await running.settle()
        assert more.status == 200


async def test_a_server_that_has_not_told_its_limit_gets_a_hundred_streams():
    async with mesh() as running:
        talkers = [client(running) for _ in range(2)]
        for number in range(103):
            talkers[number % 2].ask()
        silent = await running.accepted()
        await running.settle()
        assert _opened(silent.received) == 100
        second = await upstream(running)
        assert len(second.messages) == 3


def _opened(received):
    """Streams whose HEADERS are among the bytes."""
    rest, opened = received.removeprefix(PREFACE), 0
    while rest:
        opened += rest[3] == HEADERS
        rest = rest[9 + int.from_bytes(rest[:3], "big") :]
    return opened


async def test_requests_wait_where_no_further_connection_is_allowed():
    async with mesh(cluster={"limits": Limits(max_connections=1)}) as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running, MAX_CONCURRENT_STREAMS=1)
        waiting = talker.ask()
        await running.settle()
        assert len(server.messages) == 1
        server.answer(0)
        await running.settle()
        assert len(server.messages) == 2
        server.answer(1)
        await running.settle()
        assert waiting.status == 200


async def test_fewer_streams_than_are_open_stop_the_next():
    async with mesh() as running:
        talker = client(running)
        talker.ask()
        talker.ask()
        server = await upstream(running)
        server.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        server.flush()
        await running.settle()
        talker.ask()
        await running.settle()
        assert len(server.messages) == 2
        await upstream(running)


async def test_too_many_waiting_requests_are_refused():
    async with mesh(cluster={"limits": Limits(max_connections=1, max_pending_requests=1)}) as running:
        talker = client(running)
        talker.ask()
        await upstream(running, MAX_CONCURRENT_STREAMS=1)
        talker.ask()
        refused = talker.ask()
        await running.settle()
        assert refused.status == 503
        assert running.exchanges[0].flags == "UO"


async def test_a_waiting_request_whose_client_leaves_is_forgotten():
    async with mesh(cluster={"limits": Limits(max_connections=1)}) as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running, MAX_CONCURRENT_STREAMS=1)
        talker.ask()
        await running.settle()
        talker.reset(3)
        await running.settle()
        server.answer(0)
        await running.settle()
        assert len(server.messages) == 1
        assert running.runtime.clusters.by_name["up"].breaker.pending == 0


async def test_a_goaway_finishes_what_was_taken_and_moves_what_was_not():
    async with mesh() as running:
        talker = client(running)
        below, above = talker.ask("POST", "/1"), talker.ask("POST", "/2")
        server = await upstream(running)
        server.leave(1)
        await running.settle()
        await running.advance(1)
        successor = await upstream(running)
        assert successor.asked().start[":path"] == "/2"
        successor.answer()
        server.answer(0)
        await running.settle()
        assert (below.status, above.status) == (200, 200)
        assert server.closed, "nobody needs the old connection any more"



async def test_what_a_second_server_has_not_looked_at_either_is_a_503():
    async with mesh() as running:
        answer = client(running).ask("POST")
        for _ in range(2):
            server = await upstream(running)
            server.leave(0)
            await running.settle()
            await running.advance(1)
        assert answer.status == 503
        assert running.loop.accepted.empty()


async def test_a_polite_goaway_loses_nothing():
    async with mesh() as running:
        talker = client(running)
        first = talker.ask()
        server = await upstream(running)
        server.leave(2**31 - 1)
        await running.settle()
        second = talker.ask()
        successor = await upstream(running)
        successor.answer()
        server.answer(0)
        await running.settle()
        assert (first.status, second.status) == (200, 200)
        assert len(server.messages) == 1


async def test_a_connection_carries_no_more_requests_than_configured():
    async with mesh(cluster={"max_requests_per_connection": 2}) as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        talker.ask()
        await running.settle()
        talker.ask()
        other = await upstream(running)
        assert (len(server.messages), len(other.messages)) == (2, 1)
        server.answer(0)
        server.answer(1)
        await running.settle()
        assert server.goaways == [(0, 0)]
        assert server.closed


async def test_an_idle_connection_closes_after_its_time():
    async with mesh(cluster={"idle_timeout": 60}) as running:
        client(running).ask()
        server = await upstream(running)
        await running.advance(100)
        assert not server.closed, "a stream was open"
        server.answer()
        await running.settle()
        await running.advance(59)
        assert not server.closed
        await running.advance(62)
        assert server.closed


async def test_a_connection_that_has_lived_long_enough_takes_no_new_requests():
    async with mesh(cluster={"max_connection_duration": 60}) as running:
        talker = client(running)
        first = talker.ask()
        server = await upstream(running)
        await running.advance(61)
        talker.ask()
        await upstream(running)
        assert len(server.messages) == 1
        server.answer()
        await running.settle()
        assert first.status == 200
        assert server.closed


async def test_a_silent_upstream_is_found_out():
    async with mesh(cluster={"http2": http2(connection_keepalive=Keepalive(interval=10, timeout=5, interval_jitter=0))}) as running:
        answer = client(running).ask()
        server = await upstream(running)
        for _ in range(12):
            await running.advance(4)
        assert len(server.pings) > 1
        assert not server.closed, "it has answered"
        server.transport.pause_reading()
        for _ in range(8):
            await running.advance(4)
        server.transport.resume_reading()
        await running.settle()
        assert answer.status == 503


async def test_a_connection_that_was_silent_is_asked_before_its_next_request():
    keepalive = Keepalive(interval=0, timeout=5, connection_idle_interval=30)
    async with mesh(cluster={"http2": http2(connection_keepalive=keepalive)}) as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        server.answer()
        await running.advance(20)
        talker.ask()
        await running.settle()
        server.answer()
        await running.settle()
        assert server.pings == [], "it has been heard of"
        await running.advance(31)
        talker.ask()
        await running.settle()
        server.answer()
        await running.advance(6)
        assert len(server.pings) == 1
        assert not server.closed, "it has answered"
        await running.advance(31)
        server.transport.pause_reading()
        answer = talker.ask()
        await running.settle()
        await running.advance(4)
        assert running.loop.accepted.empty()
        await running.advance(2)
        await running.advance(0)
        another = await upstream(running)
        another.answer()
        await running.settle()
        assert answer.status == 200, "a GET is sent again when the connection is found dead"


async def test_with_a_proxy_header_each_request_has_its_own_connection():
    async with mesh(cluster={"proxy_header": ProxyHeader(version=1)}) as running:
        talker = client(running)
        answers = [talker.ask(), talker.ask()]
        for _ in range(2):
            peer = await running.accepted()
            await running.settle()
            line, _, peer.received = peer.received.partition(b"\r\n")
            assert line.startswith(b"PROXY ")
            server = peer.become(H2Upstream)
            server.answer(0)
        await running.settle()
        assert [answer.status for answer in answers] == [200, 200]
        assert server.closed


async def test_an_endpoint_that_goes_lets_its_streams_finish():
    async with mesh() as running:
        talker = client(running)
        answer = talker.ask()
        server = await upstream(running)
        running.runtime.clusters.put(static_cluster("up", ("10.0.0.2", 80), protocol=UpstreamProtocol.HTTP2))
        talker.ask()
        other = await upstream(running)
        assert other is not server
        server.answer()
        await running.settle()
        assert answer.status == 200
        assert server.closed


async def test_a_connection_that_cannot_be_made_is_a_503():
    async with mesh() as running:
        running.loop.refusing.add(("10.0.0.1", 80))
        answer = client(running).ask()
        await running.settle()
        assert answer.status == 503
        assert running.exchanges[0].flags == "UF"


async def test_a_connection_that_ends_is_not_given_to_a_request_of_the_same_turn():
    async with mesh() as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        server.answer()
        await running.settle()
        server.transport.write_eof()
        more = talker.ask()
        await running.settle()
        (await upstream(running)).answer()
        await running.settle()
        assert more.status == 200


async def test_an_idle_connection_whose_server_takes_nothing_is_given_up():
    async with mesh(cluster={"idle_timeout": 10.0}) as running:
        answer = client(running).ask("POST", end=False)
        server = await upstream(running)
        server.transport.pause_reading()
        server.answer()
        await running.settle()
        assert answer.status == 200
        breaker = running.runtime.clusters.get("up").breaker
        assert breaker.connections == 1
        await running.advance(11.0)
        assert breaker.connections == 0
