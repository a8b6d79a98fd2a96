"""Trailers: dropped unless both sides of the proxy are told to pass them on."""

import pytest

from pymesh_proxy.http.options import Underscores
from pymesh_proxy.http.trailers import passed_on
from pymesh_proxy.testing import Mesh, forward_to, static_cluster

from .test_http1_exchange import OK

POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nSet-Cookie: 9\r\n\r\n"
PASSING = static_cluster("up", ("10.0.0.1", 80), enable_trailers=True)


async def exchanged(mesh, trailers=b"X-Sum: 1\r\nx-two: 2\r\n", answer=ANSWER):
    client = mesh.connect()
    client.send(POST + trailers + b"\r\n")
    upstream = await mesh.accepted()
    await mesh.settle()
    upstream.send(answer)
    await mesh.settle()
    return upstream.received, client.received


async def test_trailers_pass_both_ways_where_both_sides_say_so():
    async with Mesh(enable_trailers=True, cluster=PASSING) as mesh:
        up, down = await exchanged(mesh)
        assert up.endswith(b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nx-two: 2\r\n\r\n")
        assert down.endswith(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")


@pytest.mark.parametrize(("manager", "cluster"), [(True, False), (False, True), (False, False)])
async def test_trailers_are_dropped_where_a_side_does_not(manager, cluster):
    upstream = static_cluster("up", ("10.0.0.1", 80), enable_trailers=cluster)
    async with Mesh(enable_trailers=manager, cluster=upstream) as mesh:
        up, down = await exchanged(mesh)
        assert up.endswith(b"hi\r\n0\r\n\r\n")
        assert down.endswith(b"ok\r\n0\r\n\r\n")


async def test_trailers_that_came_before_there_was_a_connection_are_not_lost():
    async with Mesh(enable_trailers=True, cluster=PASSING) as mesh:
        first, second = mesh.connect(), mesh.connect()
        first.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + POST + b"X-Late: 1\r\n\r\n")
        second.send(POST + b"X-Early: 1\r\n\r\n")
        upstreams = [await mesh.accepted() for _ in range(2)]
        await mesh.settle()
        assert any(each.received.endswith(b"hi\r\n0\r\nX-Early: 1\r\n\r\n") for each in upstreams)
        for each in upstreams:
            each.send(OK)
        await mesh.settle()
        assert any(each.received.endswith(b"hi\r\n0\r\nX-Late: 1\r\n\r\n") for each in upstreams), "pipelined"


async def test_old_clients_get_no_trailers():
    async with Mesh(enable_trailers=True, accept_http_10=True, cluster=PASSING) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(ANSWER)
        await mesh.settle()
        assert client.received.endswith(b"\r\n\r\nok")


@pytest.mark.parametrize(
    "name",
    [b"Content-Length", b"Transfer-Encoding", b"Host", b"Connection", b"Cookie", b"Authorization", b"X-Forwarded-For", b"X-Envoy-Y", b"TE"],
)
def test_what_belongs_in_a_head_is_not_passed_on_behind_a_body(name):
    assert passed_on([(b"X-Kept", b"1"), (name, b"2"), (b"grpc-status", b"0")]) == [(b"X-Kept", b"1"), (b"grpc-status", b"0")]


@pytest.mark.parametrize(
    ("trailers", "options", "status"),
    [
        (b"".join(b"x-%d: v\r\n" % number for number in range(101)), {}, 431),
        (b"x: " + b"v" * 70_000 + b"\r\n", {}, 431),
        (b"x y: 1\r\n", {}, 400),
        (b"x: \x01\r\n", {}, 400),
        (b"no colon\r\n", {}, 400),
        (b"x_y: 1\r\n", {"underscores": Underscores.REJECT_REQUEST}, 400),
    ],
)
async def test_bad_trailers_are_refused(trailers, options, status):
    async with Mesh(enable_trailers=True, cluster=PASSING, **options) as mesh:
        client = mesh.connect()
        client.send(POST + trailers + b"\r\n")
        await mesh.accepted()
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 %d " % status)
        assert client.hung_up


async def test_underscores_are_dropped_from_trailers_too():
    async with Mesh(enable_trailers=True, cluster=PASSING, underscores=Underscores.DROP_HEADER) as mesh:
        up, _ = await exchanged(mesh, b"x_y: 1\r\nx-z: 2\r\n")
        assert up.endswith(b"hi\r\n0\r\nx-z: 2\r\n\r\n")


FLOODS = {
    "trailers": b"0\r\n" + b"".join(b"x-%d: v\r\n" % number for number in range(10_000)),
    "one trailer": b"0\r\nx: " + b"v" * 100_000,
    "too many trailers": b"0\r\n" + b"".join(b"x-%d: v\r\n" % number for number in range(101)) + b"\r\n",
    "a chunk extension": b"1;x=" + b"v" * 100_000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("passing", [True, False])
async def test_an_upstream_that_floods_the_framing_of_its_body_is_cut(flood, passing):
    cluster = static_cluster("up", ("10.0.0.1", 80), enable_trailers=passing)
    async with Mesh(enable_trailers=passing, cluster=cluster, route=forward_to("up")) as mesh:
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        for position in range(0, len(flood), 10_000):
            upstream.send(flood[position : position + 10_000])
            await mesh.settle()
        assert upstream.hung_up
        assert client.hung_up
        assert not client.received.endswith(b"0\r\n\r\n"), "the client sees that the answer is cut"
