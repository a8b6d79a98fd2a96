"""CONNECT: passed on as such, or ended here in a TCP connection to a cluster."""

import asyncio

import pytest

from pymesh_proxy.testing import Mesh, forward_to, static_cluster
from pymesh_proxy.upstream.config import Limits

CONNECT = b"CONNECT b.org:443 HTTP/1.1\r\nHost: b.org:443\r\n\r\n"
ENDS_HERE = forward_to("up", upgrades={b"connect": True}, terminates_connect=True)
PASSED_ON = forward_to("up", upgrades={b"connect": True})


async def test_a_tunnel_that_ends_here_is_a_tcp_connection():
    async with Mesh(route=ENDS_HERE) as mesh:
        client = mesh.connect()
        client.send(CONNECT + b"early")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\n")
        head = client.received.partition(b"\r\n\r\n")[0].lower()
        assert not {b"content-length", b"transfer-encoding", b"connection"} & {line.partition(b":")[0] for line in head.split(b"\r\n")}
        assert upstream.received == b"early", "no head goes up"
        upstream.send(b"\x00answer")
        await mesh.settle()
        assert client.received.endswith(b"\r\n\r\n\x00answer")
        client.close()
        await mesh.settle()
        upstream.close()
        await mesh.settle()
        assert [(told.status, told.request_bytes, told.response_bytes) for told in mesh.exchanges] == [(200, 5, 7)]
        assert mesh.runtime.clusters.get("up").breaker.connections == 0
        assert mesh.runtime.clusters.get("up").breaker.requests == 0


@pytest.mark.parametrize("route", [ENDS_HERE, PASSED_ON])
async def test_a_tunnels_connection_counts_for_its_cluster_as_long_as_it_lasts(route):
    async with Mesh(route=route, cluster=static_cluster("up", ("10.0.0.1", 80), limits=Limits(max_connections=1))) as mesh:
        client = mesh.connect()
        client.send(CONNECT)
        upstream = await mesh.accepted()
        await mesh.settle()
        if route is PASSED_ON:
            upstream.send(b"HTTP/1.1 200 OK\r\n\r\n")
            await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\n")
        cluster = mesh.runtime.clusters.get("up")
        (endpoint,) = cluster.endpoints
        assert (cluster.breaker.connections, endpoint.cx_active, cluster.breaker.requests) == (1, 1, 1)
        client.close()
        await mesh.settle()
        upstream.close()
        await mesh.settle()
        assert (cluster.breaker.connections, endpoint.cx_active, cluster.breaker.requests) == (0, 0, 0)
        assert cluster.upstream_cx_destroy == 1


async def test_a_server_that_speaks_first_is_heard():
    async with Mesh(route=ENDS_HERE) as mesh:
        client = mesh.connect()
        client.send(CONNECT)
        upstream = await mesh.accepted()
        upstream.send(b"220 welcome\r\n")
        await mesh.settle()
        assert client.received.endswith(b"\r\n\r\n220 welcome\r\n")


async def test_a_refused_connection_is_503():
    async with Mesh(route=ENDS_HERE) as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        client = mesh.connect()
        client.send(CONNECT)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert client.hung_up
        assert [told.flags for told in mesh.exchanges] == ["UF"]
        assert mesh.runtime.clusters.get("up").breaker.connections == 0


async def test_a_tunnel_counts_against_the_clusters_requests():
    async with Mesh(route=ENDS_HERE, cluster=static_cluster("up", ("10.0.0.1", 80), limits=Limits(max_requests=1))) as mesh:
        mesh.connect().send(CONNECT)
        await mesh.settle()
        client = mesh.connect()
        client.send(CONNECT)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 503 ")
        assert [told.flags for told in mesh.exchanges] == ["UO"]


async def test_a_client_that_leaves_while_connecting_leaves_nothing_behind():
    async with Mesh(route=ENDS_HERE) as mesh:
        allowed, connect = asyncio.Event(), mesh.loop.create_connection

        async def create_connection(*args, **options):
            await allowed.wait()
            return await connect(*args, **options)

        mesh.loop.create_connection = create_connection
        client = mesh.connect()
        client.send(CONNECT)
        await mesh.settle()
        client.reset()
        await mesh.settle()
        allowed.set()
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.hung_up
        assert mesh.runtime.clusters.get("up").breaker.connections == 0


async def test_an_idle_tunnel_ends():
    async with Mesh(route=ENDS_HERE, stream_idle_timeout=2.0) as mesh:
        client = mesh.connect()
        client.send(CONNECT)
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(2.1)
        assert client.hung_up
        assert upstream.hung_up


async def test_a_busy_tunnel_ends_with_the_streams_duration():
    async with Mesh(route=ENDS_HERE, max_stream_duration=2.0) as mesh:
        client = mesh.connect()
        client.send(CONNECT)
        await mesh.accepted()
        for _ in range(5):
            await mesh.settle()
            await mesh.advance(0.5)
            client.send(b"x")
        await mesh.settle()
        assert client.hung_up


@pytest.mark.parametrize("cut", [1000, 1, 41])
async def test_a_connect_is_passed_on_and_what_follows_its_answer_is_a_tunnel(cut):
    answer = b"HTTP/1.1 200 Connected\r\nX-Up: 1\r\nContent-Length: 5\r\n\r\nHTTP/1.1 not an answer\r\n\r\n"
    async with Mesh(route=PASSED_ON) as mesh:
        client = mesh.connect()
        client.send(CONNECT + b"early")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received.startswith(b"CONNECT b.org:443 HTTP/1.1\r\nHost: b.org:443\r\n")
        assert b"early" not in upstream.received, "bytes went up before the upstream agreed"
        for position in range(0, len(answer), cut):
            upstream.send(answer[position : position + cut])
            await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 200 OK\r\nX-Up: 1\r\n")
        assert client.received.endswith(b"\r\n\r\nHTTP/1.1 not an answer\r\n\r\n")
        assert b"Content-Length" not in client.received
        assert upstream.received.endswith(b"\r\n\r\nearly")


async def test_a_refused_connect_is_an_ordinary_answer_and_the_last():
    async with Mesh(route=PASSED_ON) as mesh:
        client = mesh.connect()
        client.send(CONNECT)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 407 Who\r\nContent-Length: 4\r\n\r\nyou?")
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 407 ")
        assert client.received.endswith(b"you?")
        assert client.hung_up
        assert upstream.hung_up, "a connection on which a tunnel was refused is not used again"


async def test_an_answer_to_connect_has_a_limit():
    async with Mesh(route=PASSED_ON, cluster=static_cluster("up", ("10.0.0.1", 80), max_response_headers=1000)) as mesh:
        client = mesh.connect()
        client.send(CONNECT)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 200 OK\r\nx: " + b"v" * 2000)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 502 ")


async def test_a_tunnel_that_is_not_enabled_is_403():
    async with Mesh(route=forward_to("up")) as mesh:
        client = mesh.connect()
        client.send(CONNECT)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 403 ")
        assert client.hung_up


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"CONNECT b.org HTTP/1.1\r\nHost: b.org\r\n\r\n", 400),
        (b"CONNECT /path HTTP/1.1\r\nHost: b.org\r\n\r\n", 400),
        (b"CONNECT http://b.org:80/ HTTP/1.1\r\nHost: b.org\r\n\r\n", 400),
        (b"CONNECT b.org:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"CONNECT b.org:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (b"CONNECT b.org:443 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"CONNECT b.org:443 HTTP/1.0\r\n\r\n", 426),
    ],
)
async def test_a_connect_that_is_none_is_refused(request_, status):
    async with Mesh(route=PASSED_ON) as mesh:
        client = mesh.connect()
        client.send(request_)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 %d " % status)
        assert client.hung_up
        assert mesh.loop.accepted.empty()


async def test_the_target_names_the_host_whatever_host_says():
    async with Mesh(route=PASSED_ON, strip_any_host_port=True, normalize_path=True) as mesh:
        mesh.connect().send(b"CONNECT b.org:443 HTTP/1.1\r\nHost: other\r\n\r\n")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received.startswith(b"CONNECT b.org:443 HTTP/1.1\r\nhost: b.org:443\r\n")
