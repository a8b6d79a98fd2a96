"""How long a request, a stream and a client's connection may take."""

import pytest

from pymesh_proxy.testing import Mesh, forward_to

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def told(mesh):
    await mesh.settle()
    return [(exchange.status, exchange.details) for exchange in mesh.exchanges]


async def test_a_request_that_is_not_whole_in_time_is_408():
    async with Mesh(request_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(POST)
        upstream = await mesh.accepted()
        for _ in range(2):
            await mesh.settle()
            await mesh.advance(0.9)
            client.send(b"x")
        await mesh.advance(0.3)
        assert client.received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert client.received.endswith(b"request timeout")
        assert client.hung_up
        assert upstream.hung_up
        assert await told(mesh) == [(408, "request_overall_timeout")]


async def test_a_slow_head_counts_toward_the_requests_time():
    async with Mesh(request_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(POST[:10])
        await mesh.settle()
        await mesh.advance(1.5)
        client.send(POST[10:])
        await mesh.settle()
        await mesh.advance(0.6)
        assert client.received.endswith(b"request timeout")


async def test_a_whole_request_may_wait_for_its_answer():
    async with Mesh(request_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(POST + b"abc")
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(10.0)
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")


async def test_a_body_may_be_late_for_an_answer_under_way():
    async with Mesh(request_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(POST)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        await mesh.settle()
        await mesh.advance(10.0)
        client.send(b"abc")
        await mesh.settle()
        assert upstream.received.endswith(b"abc")
        upstream.send(b"whole")
        await mesh.settle()
        assert client.received.endswith(b"partwhole")


async def test_a_switch_to_another_protocol_has_no_body_to_wait_for():
    async with Mesh(request_timeout=2.0, upgrades=frozenset({b"websocket"})) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ")
        await mesh.settle()
        client.send(b"websocket\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(3.0)
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
        assert await told(mesh) == [(200, "via_upstream")]


@pytest.mark.parametrize(("request_", "status"), [(GET, 504), (POST, 408)])
async def test_a_stream_that_lasts_too_long_is_ended(request_, status):
    async with Mesh(max_stream_duration=2.0) as mesh:
        client = mesh.connect()
        client.send(request_)
        await mesh.accepted()
        await mesh.settle()
        await mesh.advance(2.1)
        assert client.received.startswith(b"HTTP/1.1 %d " % status)
        assert client.received.endswith(b"downstream duration timeout")
        assert await told(mesh) == [(status, "max_duration_timeout")]
        assert client.hung_up is (status == 408)


async def test_activity_does_not_prolong_a_stream():
    async with Mesh(max_stream_duration=2.0, stream_idle_timeout=1.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        for _ in range(4):
            await mesh.advance(0.49)
            upstream.send(b"x")
            await mesh.settle()
        await mesh.advance(0.1)
        assert client.received.endswith(b"xxxx")
        assert client.hung_up


@pytest.mark.parametrize(("of_route", "status"), [(5.0, 504), (0.0, 200)])
async def test_the_routes_limit_replaces_the_managers(of_route, status):
    async with Mesh(max_stream_duration=2.0, route=forward_to("up", max_stream_duration=of_route)) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(4.0)
        assert not client.received
        await mesh.advance(2.0)
        upstream.send(OK)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 %d " % status)


async def test_a_connection_without_a_request_is_closed_at_the_end_of_its_life():
    async with Mesh(max_connection_duration=2.0) as mesh:
        client = mesh.connect()
        await mesh.settle()
        await mesh.advance(2.1)
        assert client.hung_up


async def test_an_old_connection_is_closed_with_its_next_answer():
    async with Mesh(max_connection_duration=2.0, drain_timeout=3.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        await mesh.advance(2.5)
        assert b"connection: close" not in client.received
        assert not client.hung_up
        client.send(GET)
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert b"connection: close" in client.received
        assert client.hung_up


@pytest.mark.parametrize("safe", [False, True])
async def test_an_old_idle_connection_is_closed_after_the_drain_time_unless_only_answers_may_close_it(safe):
    async with Mesh(max_connection_duration=2.0, drain_timeout=3.0, safe_connection_duration=safe) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        await mesh.advance(4.9)
        assert not client.hung_up
        await mesh.advance(0.2)
        assert client.hung_up is not safe


async def test_an_idle_connection_serves_a_request_that_was_on_its_way():
    async with Mesh(idle_timeout=2.0, drain_timeout=1.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        await mesh.advance(2.5)
        assert not client.hung_up
        client.send(GET)
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        assert client.received.count(b"HTTP/1.1 200 OK") == 2
        assert client.received.count(b"connection: close") == 1
        assert client.hung_up


async def test_an_idle_connection_is_closed_after_the_drain_time():
    async with Mesh(idle_timeout=2.0, drain_timeout=1.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        await mesh.advance(2.9)
        assert not client.hung_up
        await mesh.advance(0.2)
        assert client.hung_up


async def test_an_answer_under_way_is_finished_on_an_old_connection():
    async with Mesh(max_connection_duration=2.0, drain_timeout=1.0) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(10.0)
        assert not client.hung_up
        upstream.send(OK)
        await mesh.settle()
        assert client.received.endswith(b"ok")
        assert client.hung_up


async def test_a_connection_that_only_answers_may_close_still_ends_when_it_is_idle():
    async with Mesh(max_connection_duration=2.0, idle_timeout=5.0, safe_connection_duration=True) as mesh:
        client = mesh.connect()
        client.send(GET)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(OK)
        await mesh.settle()
        await mesh.advance(6.9)
        assert not client.hung_up
        await mesh.advance(0.2)
        assert client.hung_up
