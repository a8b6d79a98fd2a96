"""Streams that end before their time, from either side, and what the other side and the log hear of it."""

import pytest

from pymesh_proxy.route.table import RetryPolicy
from pymesh_proxy.testing import forward_to

from .players import client, http2, mesh, upstream

NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL = 0, 2, 7, 8
VERSIONS = ("HTTP/1", "HTTP/2")
both = pytest.mark.parametrize("up", VERSIONS)


def retried(*conditions, **more):
    return forward_to("up", retry=RetryPolicy(conditions=frozenset(conditions), num_retries=2, **more))


async def test_a_client_that_resets_cancels_the_upstream_stream():
    async with mesh() as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        talker.reset(1)
        await running.settle()
        assert server.asked().reset == CANCEL
        assert (running.exchanges[0].flags, running.exchanges[0].details, running.exchanges[0].status) == ("DR", "http2.remote_reset", 0)
        again = talker.ask()
        await running.settle()
        server.answer()
        await running.settle()
        assert again.status == 200, "the connections did not survive one stream's end"


async def test_a_client_that_resets_within_the_answer_cancels_the_rest():
    async with mesh() as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        server.answer(body=b"part", end=False)
        await running.settle()
        talker.reset(1)
        await running.settle()
        assert server.asked().reset == CANCEL
        assert running.exchanges[0].flags == "DR"


async def test_a_client_that_resets_closes_an_http1_upstream():
    async with mesh("HTTP/1") as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running, "HTTP/1")
        talker.reset(1)
        await running.settle()
        assert server.closed


async def test_a_client_that_goes_ends_all_its_streams_upstream():
    async with mesh() as running:
        talker = client(running)
        for _ in range(3):
            talker.ask()
        server = await upstream(running)
        talker.transport.close()
        await running.settle()
        assert [message.reset for message in server.messages.values()] == [CANCEL] * 3
        assert [exchange.flags for exchange in running.exchanges] == ["DC"] * 3


@pytest.mark.parametrize("down", VERSIONS)
async def test_an_upstream_reset_before_the_answer_is_a_503(down):
    async with mesh() as running:
        answer = client(running, down).ask()
        server = await upstream(running)
        server.reset(1, INTERNAL_ERROR)
        await running.settle()
        assert answer.status == 503
        assert b"remote reset" in answer.body
        assert running.exchanges[0].flags == "UR"
        assert running.exchanges[0].details == "upstream_reset_before_response_started{remote_reset}"


async def test_an_upstream_reset_within_the_answer_resets_the_clients_stream():
    async with mesh() as running:
        answer = client(running).ask()
        server = await upstream(running)
        server.answer(body=b"part", end=False)
        await running.settle()
        server.reset(1, INTERNAL_ERROR)
        await running.settle()
        assert (answer.body, answer.reset) == (b"part", INTERNAL_ERROR)
        assert running.exchanges[0].flags == "UR"


async def test_an_upstream_reset_within_the_answer_closes_an_http1_client():
    async with mesh() as running:
        talker = client(running, "HTTP/1")
        talker.ask()
        server = await upstream(running)
        server.answer(body=b"part", end=False)
        await running.settle()
        server.reset(1, INTERNAL_ERROR)
        await running.settle()
        assert talker.closed


async def test_an_http1_upstream_cut_short_resets_the_clients_stream():
    async with mesh("HTTP/1") as running:
        talker = client(running)
        answer = talker.ask()
        server = await upstream(running, "HTTP/1")
        server.answer(headers=[("content-length", "100")], body=b"part", end=False)
        await running.settle()
        server.transport.close()
        await running.settle()
        assert (answer.body, answer.reset, answer.ended) == (b"part", INTERNAL_ERROR, False)


async def test_a_refused_stream_is_retried_where_the_route_says_so():
    async with mesh(route=retried("refused-stream", base_interval=0.0, max_interval=0.0)) as running:
        answer = client(running).ask("POST", body=b"again")
        server = await upstream(running)
        server.reset(1, REFUSED_STREAM)
        await running.settle()
        await running.advance(0.1)
        assert server.asked().body == b"again"
        server.answer()
        await running.settle()
        assert answer.status == 200
        assert running.exchanges[0].attempt == 2


async def test_a_refused_stream_without_a_retry_is_a_503():
    async with mesh() as running:
        answer = client(running).ask()
        server = await upstream(running)
        server.reset(1, REFUSED_STREAM)
        await running.settle()
        await running.advance(1)
        assert answer.status == 503
        assert (running.exchanges[0].flags, running.exchanges[0].details) == (
            "UR", "upstream_reset_before_response_started{remote_refused_stream_reset}",
        )  # fmt: skip


@both
async def test_an_early_answer_cuts_the_request_off_without_an_error(up):
    async with mesh(up) as running:
        talker = client(running)
        answer = talker.ask("POST", body=b"some", end=False)
        server = await upstream(running, up)
        server.answer(status=413, headers=[("content-length", "3")], body=b"big")
        await running.settle()
        assert (answer.status, answer.body, answer.ended, answer.reset) == (413, b"big", True, NO_ERROR)
        if up == "HTTP/2":
            assert server.asked().reset == CANCEL
        again = talker.ask()
        server = server if up == "HTTP/2" else await upstream(running, up)
        await running.settle()
        server.answer(headers=[("content-length", "0")])
        await running.settle()
        assert again.status == 200


async def test_an_early_answer_that_waits_for_a_window_cuts_the_request_off_when_it_has_gone():
    async with mesh() as running:
        talker = client(running, INITIAL_WINDOW_SIZE=10)
        talker.consuming = False
        answer = talker.ask("POST", body=b"some", end=False)
        server = await upstream(running)
        server.answer(status=413, body=b"x" * 30)
        await running.settle()
        assert (answer.body, answer.reset) == (b"x" * 10, None)
        talker.h2.increment_flow_control_window(100, 1)
        talker.flush()
        await running.settle()
        assert (answer.body, answer.ended, answer.reset) == (b"x" * 30, True, NO_ERROR)


async def test_a_complete_answer_that_nobody_takes_is_given_up():
    async with mesh(stream_idle_timeout=30) as running:
        talker = client(running, INITIAL_WINDOW_SIZE=10)
        talker.consuming = False
        answer = talker.ask()
        server = await upstream(running)
        server.answer(body=b"x" * 30)
        await running.settle()
        assert running.exchanges[0].status == 200
        await running.advance(20)
        talker.h2.increment_flow_control_window(10, 1)
        talker.flush()
        await running.advance(20)
        assert answer.reset is None, "it had taken some meanwhile"
        await running.advance(60)
        assert answer.reset is not None
        assert len(answer.body) == 20


async def test_an_answer_before_the_request_went_up_leaves_no_stream_behind():
    async with mesh() as running:
        talker = client(running)
        answer = talker.ask("POST", end=False)
        server = await upstream(running, consuming=False)
        for number in range(6):
            talker.data(1, b"x" * 16384, number == 5)
        await running.settle()
        server.answer(status=400)
        await running.settle()
        assert answer.status == 400
        assert server.asked().reset == CANCEL


async def test_a_malformed_answer_is_the_upstreams_protocol_error():
    async with mesh() as running:
        answer = client(running).ask()
        server = await upstream(running)
        server.h2.config.validate_outbound_headers = server.h2.config.normalize_outbound_headers = False
        server.h2.send_headers(1, [(":status", "200"), ("Upper", "x")])
        server.flush()
        await running.settle()
        assert answer.status == 502
        assert (running.exchanges[0].flags, running.exchanges[0].details) == (
            "UPE", "upstream_reset_before_response_started{protocol_error}",
        )  # fmt: skip


async def test_a_malformed_answer_ends_its_stream_only_where_that_is_configured():
    async with mesh(cluster={"http2": http2(stream_error_on_invalid_http_messaging=True)}) as running:
        talker = client(running)
        answer, other = talker.ask(), talker.ask()
        server = await upstream(running)
        server.h2.config.validate_outbound_headers = server.h2.config.normalize_outbound_headers = False
        server.h2.send_headers(1, [(":status", "200"), ("Upper", "x")])
        server.flush()
        server.answer(1)
        await running.settle()
        assert (answer.status, other.status) == (502, 200)


async def test_an_upstream_that_closes_before_it_answers_is_a_503():
    async with mesh() as running:
        answer = client(running).ask("POST", body=b"x")
        server = await upstream(running)
        server.transport.close()
        await running.settle()
        assert answer.status == 503
        assert running.exchanges[0].flags == "UC"


async def test_a_get_on_a_connection_that_has_served_is_replayed_when_it_closes():
    async with mesh() as running:
        talker = client(running)
        talker.ask()
        server = await upstream(running)
        server.answer()
        await running.settle()
        answer = talker.ask()
        await running.settle()
        server.transport.close()
        await running.settle()
        await running.advance(1)
        again = await upstream(running)
        again.answer()
        await running.settle()
        assert answer.status == 200


async def test_counters_of_requests_come_back_to_nothing():
    async with mesh() as running:
        talker = client(running)
        for _ in range(4):
            talker.ask()
        server = await upstream(running)
        server.answer(0)
        server.reset(3, CANCEL)
        talker.reset(5)
        await running.settle()
        talker.transport.close()
        await running.settle()
        stats = running.options.stats
        cluster = running.runtime.clusters.by_name["up"]
        assert (stats.downstream_rq_active, stats.downstream_cx_active) == (0, 0)
        assert (cluster.breaker.requests, cluster.endpoints[0].rq_active, cluster.breaker.pending) == (0, 0, 0)
