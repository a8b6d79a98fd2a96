"""What the client sees, and what the log says, when something breaks."""

import asyncio

import pytest

from pymesh_proxy.route.table import RetryPolicy
from pymesh_proxy.testing import Mesh, forward_to, static_cluster
from pymesh_proxy.upstream.config import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
ISTIO_RETRY = RetryPolicy(
    conditions=frozenset({"connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"}),
    num_retries=2,
    host_selection_attempts=5,
    avoid_previous_hosts=True,
)


def told(mesh):
    exchange = mesh.exchanges[0]
    return exchange.status, exchange.flags, exchange.details


async def test_no_route_is_404_NR():  # noqa: N802  the flag's name
    async with Mesh() as mesh:
        mesh.options.route.table = None
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert told(mesh) == (404, "NR", "route_not_found")
        assert b"no route matches" in client.received


async def test_an_unknown_cluster_is_503_NC():  # noqa: N802
    async with Mesh(route=forward_to("gone")) as mesh:
        mesh.connect().send(GET)
        await mesh.settle()
        assert told(mesh) == (503, "NC", "cluster_not_found")


async def test_a_cluster_without_endpoints_is_503_UH():  # noqa: N802
    async with Mesh(cluster=static_cluster("up")) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert told(mesh) == (503, "UH", "no_healthy_upstream")
        assert client.received.endswith(b"no healthy upstream")
        assert mesh.runtime.clusters.get("up").breaker.requests == 0


async def test_a_refused_connection_is_503_UF_with_the_reason_in_the_log():  # noqa: N802
    async with Mesh() as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        status, flags, details = told(mesh)
        assert (status, flags) == (503, "UF")
        assert "Connection_refused" in details
        assert b"10.0.0.1" not in client.received, "addresses stay inside"


async def test_a_failed_connection_is_retried_at_another_endpoint():
    async with Mesh(route=forward_to("up", retry=ISTIO_RETRY), cluster=static_cluster("up", ("10.0.0.1", 80), ("10.0.0.2", 80))) as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        for _ in range(4):
            client = mesh.connect()
            client.send(GET)
            await mesh.settle()
            await mesh.advance(0.1)
            upstream = await mesh.accepted()
            await mesh.settle()
            upstream.send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            await mesh.settle()
            assert client.received.endswith(b"hello")
        assert all(exchange.status == 200 for exchange in mesh.exchanges)


async def test_retries_end_with_URX_and_the_last_reason():  # noqa: N802
    async with Mesh(route=forward_to("up", retry=ISTIO_RETRY)) as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        mesh.connect().send(GET)
        await mesh.settle()
        for _ in range(5):
            await mesh.advance(0.3)
        assert told(mesh)[:2] == (503, "URX,UF")
        assert mesh.exchanges[0].attempt == 3
        assert mesh.runtime.clusters.get("up").upstream_rq_retry == 2


async def test_an_answer_that_the_policy_names_is_retried_and_its_body_replayed():
    policy = RetryPolicy(conditions=frozenset({"5xx"}), num_retries=1)
    async with Mesh(route=forward_to("up", retry=policy)) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        first = await mesh.accepted()
        await mesh.settle()
        first.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        await mesh.advance(0.1)
        second = await mesh.accepted()
        await mesh.settle()
        assert second.received.endswith(b"hello")
        second.send(OK)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200 OK")


async def test_an_upstream_that_closes_without_a_word_is_503_UC():  # noqa: N802
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.close()
        await mesh.settle()
        assert told(mesh)[:2] == (503, "UC")
        assert client.received.endswith(b"connection termination")
        assert not client.hung_up


async def test_a_kept_connection_that_dies_under_a_get_is_replaced_silently():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        client.send(GET)
        await mesh.settle()
        upstream.reset()
        await mesh.settle()
        await mesh.advance(0.1)
        fresh = await mesh.accepted()
        await mesh.settle()
        fresh.send(OK)
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 200 OK") == 2


async def test_a_post_that_may_have_been_processed_is_never_replayed():
    async with Mesh(route=forward_to("up", retry=ISTIO_RETRY)) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
        await mesh.settle()
        upstream.reset()
        await mesh.settle()
        await mesh.advance(1)
        assert mesh.loop.accepted.empty()
        assert mesh.exchanges[1].status == 503


@pytest.mark.parametrize("framing", [b"Content-Length: 50\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"])
async def test_an_upstream_that_resets_mid_body_never_looks_like_a_whole_answer(framing):
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\n" + framing)
        await mesh.settle()
        upstream.reset()
        await mesh.settle()
        assert client.hung_up
        assert not client.received.endswith(b"0\r\n\r\n")
        assert mesh.exchanges[0].flags == "UC"


async def test_bytes_on_an_idle_connection_end_it():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await mesh.settle()
        assert upstream.hung_up
        client.send(GET)
        fresh = await mesh.accepted()
        await mesh.settle()
        fresh.send(OK)
        await mesh.settle()
        assert b"poison" not in client.received


async def test_the_routes_timeout_is_504_UT():  # noqa: N802
    async with Mesh(route=forward_to("up", timeout=1.5)) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.advance(1.4)
        assert client.received == b""
        await mesh.advance(0.2)
        assert told(mesh) == (504, "UT", "response_timeout")
        assert client.received.endswith(b"upstream request timeout")
        assert upstream.hung_up, "the late answer must not meet the next request"


async def test_a_try_that_takes_too_long_is_retried():
    policy = RetryPolicy(conditions=frozenset({"reset"}), num_retries=1, per_try_timeout=0.5)
    async with Mesh(route=forward_to("up", retry=policy)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.accepted()
        await mesh.advance(0.6)
        await mesh.advance(0.1)
        second = await mesh.accepted()
        await mesh.settle()
        second.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"hello")


async def test_a_hanging_connect_fails_at_the_connect_timeout():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), connect_timeout=0.05)) as mesh:
        mesh.loop.hanging.add(("10.0.0.1", 80))
        mesh.connect().send(GET)
        async with asyncio.timeout(30):
            while not mesh.exchanges:
                await mesh.settle()
        assert told(mesh)[:2] == (503, "UF")


async def test_an_idle_stream_ends_with_SI():  # noqa: N802
    async with Mesh(stream_idle_timeout=2.0) as mesh:
        mesh.connect().send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await mesh.advance(1.5)
        upstream.send(b"def")
        await mesh.settle()
        await mesh.advance(1.5)
        assert mesh.exchanges == [], "activity moves the timeout"
        await mesh.advance(1.0)
        assert mesh.exchanges[0].flags == "SI"


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not():
    async with Mesh(idle_timeout=10.0, stream_idle_timeout=0.0) as mesh:
        idle, busy = mesh.connect(), mesh.connect()
        busy.send(GET)
        await mesh.settle()
        await mesh.advance(11)
        assert idle.hung_up
        assert not busy.hung_up


async def test_a_client_that_leaves_is_DC_and_takes_its_upstream_along():  # noqa: N802
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        client.reset()
        await mesh.settle()
        assert told(mesh) == (0, "DC", "downstream_remote_disconnect")
        assert upstream.hung_up
        assert mesh.runtime.clusters.get("up").breaker.requests == 0


async def test_requests_over_the_limit_are_503_UO_at_once():  # noqa: N802
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), limits=Limits(max_requests=1))) as mesh:
        mesh.connect().send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        refused = mesh.connect()
        refused.send(GET)
        await mesh.settle()
        assert told(mesh)[:2] == (503, "UO")
        assert b"x-envoy-overloaded: true" in refused.received
        upstream.send(OK)
        await mesh.settle()
        allowed = mesh.connect()
        allowed.send(GET)
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert allowed.received.startswith(b"HTTP/1.1 200 OK")


async def test_over_the_connection_limit_requests_wait_and_over_the_pending_limit_they_fail():
    limits = Limits(max_connections=1, max_pending_requests=1)
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), limits=limits)) as mesh:
        first, second, third = mesh.connect(), mesh.connect(), mesh.connect()
        first.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        second.send(GET)
        third.send(GET)
        await mesh.settle()
        assert second.received == b""
        assert third.received.startswith(b"HTTP/1.1 503")
        for _ in range(2):
            upstream.send(OK)
            await mesh.settle()
        assert second.received.startswith(b"HTTP/1.1 200 OK")


async def test_grpc_clients_get_a_grpc_status():
    async with Mesh(route=forward_to("gone")) as mesh:
        client = mesh.connect()
        client.send(b"POST /pkg.Service/Method HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200 OK")
        assert b"grpc-status: 14" in client.received


async def test_a_draining_listener_says_close_and_closes_what_is_idle():
    async with Mesh() as mesh:
        idle, busy = mesh.connect(), mesh.connect()
        idle.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        busy.send(GET)
        await mesh.settle()
        mesh.scope.drain()
        await mesh.settle()
        assert idle.hung_up
        assert not busy.hung_up
        upstream.send(OK)
        await mesh.settle()
        assert b"connection: close" in busy.received
        assert busy.received.endswith(b"hello")
        assert busy.hung_up


async def test_a_draining_listener_serves_the_first_request_of_a_new_connection():
    async with Mesh() as mesh:
        client = mesh.connect()
        mesh.scope.drain()
        await mesh.settle()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in client.received
        assert client.hung_up


async def test_a_slow_client_stops_the_upstream_and_memory_stays_bounded():
    async with Mesh() as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        client.stop_reading()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        for _ in range(40):
            upstream.send(b"x" * 50_000)
            await mesh.settle()
        assert upstream.paused
        client.start_reading()
        await mesh.settle()
        assert not upstream.paused


async def test_a_slow_upstream_stops_the_client():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), buffer_limit=64 * 1024)) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.stop_reading()
        for _ in range(40):
            client.send(b"x" * 50_000)
            await mesh.settle()
        assert client.paused
        upstream.start_reading()
        await mesh.settle()
        assert not client.paused


async def test_connections_that_have_ended_leave_nothing_behind():
    async with Mesh() as mesh:
        upstream = None
        for _ in range(50):
            client = mesh.connect()
            client.send(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            upstream = upstream or await mesh.accepted()
            await mesh.settle()
            upstream.send(OK)
            await mesh.settle()
            client.close()
            await mesh.settle()
        assert len(mesh.scope) == 0
        assert len(mesh.runtime.wheel) == 1, "only the idle connection to the upstream waits for its end"
