"""Attempts of exchanges: what they count as, when they end, and that nothing of them is left."""

import pytest

from pymesh_proxy.route.retry_policy import RateLimitedBackOff, RetryPolicy
from pymesh_proxy.testing import Mesh, forward_to, static_cluster
from pymesh_proxy.upstream.config import Limits

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"


def retrying(*conditions, **policy):
    return forward_to("up", retry=RetryPolicy(conditions=frozenset(conditions), **policy))


def cluster_of(mesh):
    return mesh.runtime.clusters.get("up")


def in_flight(mesh):
    breaker, endpoint = cluster_of(mesh).breaker, cluster_of(mesh).endpoints[0]
    return breaker.retries, breaker.requests, breaker.pending, endpoint.rq_active, endpoint.rq_pending_active


async def answered(mesh, answer):
    """The next connection's request, answered."""
    upstream = await mesh.accepted()
    await mesh.settle()
    upstream.send(answer)
    await mesh.settle()
    return upstream


async def test_a_retry_counts_from_its_back_off_to_its_end():
    async with Mesh(route=retrying("5xx")) as mesh:
        client = mesh.connect()
        client.send(GET)
        await answered(mesh, BUSY)
        assert in_flight(mesh) == (1, 0, 0, 0, 0), "while it waits"
        await mesh.advance(0.03)
        second = await mesh.accepted()
        await mesh.settle()
        assert in_flight(mesh) == (1, 1, 0, 1, 0), "while it is made"
        second.send(OK)
        await mesh.settle()
        assert in_flight(mesh) == (0, 0, 0, 0, 0)
        cluster = cluster_of(mesh)
        assert (cluster.upstream_rq_retry, cluster.upstream_rq_retry_success, cluster.upstream_rq_retry_backoff_exponential) == (1, 1, 1)
        assert (cluster.upstream_rq_2xx, cluster.upstream_rq_5xx) == (1, 0), "an answer that is thrown away is not the cluster's answer"
        assert mesh.exchanges[0].flags == ""


async def test_a_client_that_leaves_during_the_back_off_takes_the_retry_with_it():
    async with Mesh(route=retrying("5xx", base_interval=1e9, max_interval=1e9)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await answered(mesh, BUSY)
        client.reset()
        await mesh.settle()
        assert in_flight(mesh) == (0, 0, 0, 0, 0)
        await mesh.advance(100.0)
        assert mesh.loop.accepted.empty()
        assert mesh.exchanges[0].flags == "DC"


async def test_the_last_answer_goes_down_when_there_are_no_more_retries():
    async with Mesh(route=retrying("5xx", num_retries=0)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await answered(mesh, BUSY)
        assert client.received.endswith(b"busy")
        assert (mesh.exchanges[0].flags, mesh.exchanges[0].details) == ("URX", "via_upstream")
        assert cluster_of(mesh).upstream_rq_retry_limit_exceeded == 1
        assert cluster_of(mesh).upstream_rq_5xx == 1


@pytest.mark.parametrize("limits", [Limits(max_retries=0), Limits(budget_percent=20.0, min_retry_concurrency=0)])
async def test_the_last_answer_goes_down_when_the_breaker_admits_no_retry(limits):
    async with Mesh(route=retrying("5xx"), cluster=static_cluster("up", ("10.0.0.1", 80), limits=limits)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await answered(mesh, BUSY)
        assert client.received.endswith(b"busy")
        assert b"x-envoy-overloaded" not in client.received
        assert mesh.exchanges[0].flags == "UO"
        assert cluster_of(mesh).upstream_rq_retry_overflow == 1


async def test_a_budget_grows_with_what_is_in_flight():
    limits = Limits(budget_percent=50.0, min_retry_concurrency=0)
    async with Mesh(route=retrying("5xx"), cluster=static_cluster("up", ("10.0.0.1", 80), limits=limits)) as mesh:
        clients = [mesh.connect() for _ in range(4)]
        for client in clients:
            client.send(GET)
        await mesh.settle()
        upstreams = [await mesh.accepted() for _ in clients]
        for upstream in upstreams:
            upstream.send(BUSY)
        await mesh.settle()
        # Of 4, 3, 2 and 1 requests in flight half may be retries: the first answer finds none of two, the others one of one, or more.
        assert (cluster_of(mesh).breaker.retries, cluster_of(mesh).upstream_rq_retry_overflow) == (1, 3)


async def test_a_budget_with_an_interval_grows_with_what_has_been():
    limits = Limits(budget_percent=50.0, budget_interval=60.0, min_retry_concurrency=0)
    async with Mesh(route=retrying("5xx"), cluster=static_cluster("up", ("10.0.0.1", 80), limits=limits)) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await answered(mesh, OK)
        assert cluster_of(mesh).breaker.window.count() == 1
        client.send(GET)
        await mesh.settle()
        upstream.send(BUSY)
        await mesh.settle()
        assert cluster_of(mesh).breaker.retries == 1, "in flight it is alone, and half of one is none; of two that there were one may be"
        await mesh.advance(0.03)
        await mesh.settle()
        assert cluster_of(mesh).breaker.window.count() == 3, "a retry is a request, too"


async def test_nothing_is_retried_once_an_answer_has_begun_to_go_down():
    async with Mesh(route=retrying("5xx", "reset")) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await answered(mesh, OK.replace(b"5", b"9"))
        upstream.reset()
        await mesh.settle()
        assert client.hung_up
        await mesh.advance(1.0)
        assert mesh.loop.accepted.empty()


async def test_an_upstream_may_ask_to_be_left_alone_for_a_while():
    policy = {"rate_limited": RateLimitedBackOff(headers=((b"retry-after", False),))}
    async with Mesh(route=retrying("5xx", **policy)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await answered(mesh, b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n")
        await mesh.advance(1.9)
        assert mesh.loop.accepted.empty()
        await mesh.advance(1.2)
        await answered(mesh, OK)
        assert client.received.startswith(b"HTTP/1.1 200")
        cluster = cluster_of(mesh)
        assert (cluster.upstream_rq_retry_backoff_ratelimited, cluster.upstream_rq_retry_backoff_exponential) == (1, 0)


async def test_a_body_too_large_for_another_attempt_gives_the_attempt_up_quietly():
    async with Mesh(route=forward_to("up", retry=RetryPolicy(conditions=frozenset({"5xx"})), body_cap=3)) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        await answered(mesh, BUSY)
        assert client.received.endswith(b"busy")
        assert mesh.exchanges[0].flags == ""
        assert cluster_of(mesh).retry_or_shadow_abandoned == 1


async def test_a_body_that_grows_too_large_during_the_back_off_is_507():
    route = forward_to("up", retry=RetryPolicy(conditions=frozenset({"5xx"}), base_interval=10.0, max_interval=10.0), body_limit=4)
    async with Mesh(route=route) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        await answered(mesh, BUSY)
        client.send(b"def")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 507")
        assert mesh.exchanges[0].details == "request_payload_exceeded_retry_buffer_limit"
        assert in_flight(mesh) == (0, 0, 0, 0, 0)


async def test_a_body_that_comes_during_the_back_off_goes_up_with_the_retry():
    async with Mesh(route=retrying("5xx")) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        await answered(mesh, BUSY)
        client.send(b"def")
        await mesh.advance(0.03)
        second = await answered(mesh, OK)
        assert second.received.endswith(b"\r\n\r\nabcdef")
        assert client.received.startswith(b"HTTP/1.1 200")


async def test_a_silent_attempt_is_tried_again_and_the_route_timeout_covers_both():
    policy = RetryPolicy(conditions=frozenset({"reset"}), per_try_idle_timeout=1.0)
    async with Mesh(route=forward_to("up", timeout=1.5, retry=policy)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.accepted()
        await mesh.advance(1.02)
        assert cluster_of(mesh).upstream_rq_per_try_idle_timeout == 1
        await mesh.advance(0.03)
        await mesh.accepted()
        await mesh.advance(0.5)
        assert client.received.startswith(b"HTTP/1.1 504")
        assert (mesh.exchanges[0].flags, mesh.exchanges[0].details, mesh.exchanges[0].attempt) == ("UT", "response_timeout", 2)
        assert in_flight(mesh) == (0, 0, 0, 0, 0)


async def test_an_answer_that_falls_silent_is_cut():
    async with Mesh(route=forward_to("up", retry=RetryPolicy(per_try_idle_timeout=1.0))) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await answered(mesh, OK.replace(b"5", b"9"))
        await mesh.advance(0.9)
        upstream.send(b"ab")
        await mesh.settle()
        await mesh.advance(0.9)
        assert not client.hung_up
        await mesh.advance(0.2)
        assert client.hung_up
        assert (mesh.exchanges[0].flags, mesh.exchanges[0].details) == ("UT", "upstream_per_try_idle_timeout")


async def test_a_stream_lasts_as_long_as_its_cluster_lets_it():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), max_stream_duration=1.0)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.accepted()
        await mesh.advance(1.02)
        assert client.received.startswith(b"HTTP/1.1 504")
        assert (mesh.exchanges[0].flags, mesh.exchanges[0].details) == ("UMSDR", "upstream_max_stream_duration_reached")
        assert cluster_of(mesh).upstream_rq_max_duration_reached == 1


async def test_priorities_have_limits_and_connections_of_their_own():
    limits = {"limits": Limits(max_pending_requests=0), "high_limits": Limits(max_requests=1)}
    async with Mesh(route=forward_to("up", high_priority=True), cluster=static_cluster("up", ("10.0.0.1", 80), **limits)) as mesh:
        first, second = mesh.connect(), mesh.connect()
        first.send(GET)
        await mesh.accepted()
        await mesh.settle()
        second.send(GET)
        await mesh.accepted()
        await mesh.settle()
        assert mesh.exchanges[0].flags == "UO"
        assert cluster_of(mesh).upstream_rq_active_overflow == 1
        assert (cluster_of(mesh).high_breaker.requests, cluster_of(mesh).high_breaker.connections) == (1, 2)
        assert cluster_of(mesh).breaker.connections == 0
        assert cluster_of(mesh).upstream_cx_active == 2


async def test_an_endpoint_may_have_fewer_connections_than_its_cluster():
    limits = Limits(max_connections_per_host=1)
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), limits=limits)) as mesh:
        first, second = mesh.connect(), mesh.connect()
        first.send(GET)
        second.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        assert mesh.loop.accepted.empty()
        assert cluster_of(mesh).upstream_cx_overflow == 2, "when the second came, and when the connection took the first"
        upstream.send(OK)
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert second.received.endswith(b"hello"), "it waited for the one connection"


async def test_a_timeout_is_the_clusters_only_while_an_attempt_is_made():
    policy = RetryPolicy(conditions=frozenset({"5xx"}), base_interval=10.0, max_interval=10.0)
    async with Mesh(route=forward_to("up", timeout=1.0, retry=policy)) as mesh:
        mesh.loop.hanging.add(("10.0.0.1", 80))
        connecting = mesh.connect()
        connecting.send(GET)
        await mesh.settle()
        await mesh.advance(1.1)
        assert connecting.received.startswith(b"HTTP/1.1 504")
        assert (cluster_of(mesh).upstream_rq_timeout, cluster_of(mesh).upstream_rq_5xx) == (1, 1)


async def test_a_timeout_during_the_back_off_is_nobodys():
    policy = RetryPolicy(conditions=frozenset({"5xx"}), base_interval=1e9, max_interval=1e9)
    async with Mesh(route=forward_to("up", timeout=1.0, retry=policy)) as mesh:
        client = mesh.connect()
        client.send(GET)
        await answered(mesh, BUSY)
        await mesh.advance(1.1)
        assert client.received.startswith(b"HTTP/1.1 504")
        assert (cluster_of(mesh).upstream_rq_timeout, cluster_of(mesh).upstream_rq_5xx) == (0, 0)
        assert in_flight(mesh) == (0, 0, 0, 0, 0)


async def test_a_silent_stream_is_not_the_clusters_fault():
    async with Mesh(stream_idle_timeout=1.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.accepted()
        await mesh.advance(1.1)
        assert client.received.startswith(b"HTTP/1.1 504")
        assert (mesh.exchanges[0].flags, cluster_of(mesh).upstream_rq_timeout, cluster_of(mesh).upstream_rq_5xx) == ("SI", 0, 0)
