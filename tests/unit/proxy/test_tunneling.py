"""TCP connections that go on through an HTTP tunnel: a CONNECT first, then nothing but their bytes."""

import pytest
import yaml
from google.protobuf import json_format

from pymesh.xds import proto
from pymesh_proxy.compile.fields import compiled
from pymesh_proxy.compile.tcp import tcp_options
from pymesh_proxy.errors import ConfigError
from pymesh_proxy.http.exchange import Downstream
from pymesh_proxy.tcp.proxy import TcpConnection
from pymesh_proxy.tcp.session import Phase
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer, static_cluster
from pymesh_proxy.upstream.config import UpstreamProtocol
from tests.unit.proxy.http2.players import H2Upstream

CONNECT = b"CONNECT far.org:443 HTTP/1.1\r\nhost: far.org:443\r\n\r\n"


def options(text, sessions=None):
    made = compiled(json_format.ParseDict(yaml.safe_load(text), proto.tcp_proxy.TcpProxy()), lambda reader: tcp_options(reader, None, []))
    object.__setattr__(made, "observers", () if sessions is None else (sessions.append,))
    return made


def tunnelling(more="", cluster="cluster: up"):
    return f"{{stat_prefix: t, {cluster}, tunneling_config: {{hostname: 'far.org:443'}}{more}}}"


def connect(mesh, sessions, text=None):
    theirs, ours = MemoryTransport.pair()
    client = Peer(theirs)
    facts = Downstream(remote_address="192.0.2.7:1", local_address="192.0.2.1:2", sni="asked.org")
    ours.attach(TcpConnection(mesh.runtime, options(text or tunnelling(), sessions), mesh.scope, facts))
    return client


def nothing_is_left(mesh):
    cluster = mesh.runtime.clusters.get("up")
    return (cluster.breaker.connections, cluster.breaker.requests, cluster.breaker.pending) == (0, 0, 0)


async def test_bytes_follow_the_answer_to_a_connect():
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions)
        client.send(b"early")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received == CONNECT
        upstream.send(b"HTTP/1.1 200 OK\r\n\r\nbanner")
        await mesh.settle()
        assert upstream.received == CONNECT + b"early"
        assert client.received == b"banner"
        client.close()
        await mesh.settle()
        upstream.close()
        await mesh.settle()
        told = sessions[-1]
        assert told.endpoint.rq_active == 0
        assert (told.phase, told.bytes_received, told.bytes_sent, told.cluster_name) == (Phase.CLOSED, 5, 6, "up")
        assert told.endpoint.config.host == "10.0.0.1"
        assert nothing_is_left(mesh)


async def test_http2_carries_tunnels_too():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), protocol=UpstreamProtocol.HTTP2)) as mesh:
        client = connect(mesh, [])
        server = (await mesh.accepted()).become(H2Upstream)
        await mesh.settle()
        assert server.asked().start == {":method": "CONNECT", ":authority": "far.org:443"}
        stream_id = server.answer(end=False)
        client.send(b"ping")
        await mesh.settle()
        assert bytes(server.message(stream_id).body) == b"ping"
        server.data(stream_id, b"pong", end=True)
        await mesh.settle()
        assert client.received == b"pong"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", b"nonsense\r\n\r\n"])
async def test_a_refused_tunnel_ends_the_connection_and_shows_nothing_of_the_answer(answer):
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(answer)
        await mesh.settle()
        assert client.hung_up
        assert client.received == b""
        assert sessions[-1].flags
        assert nothing_is_left(mesh)


async def test_a_failed_connect_is_tried_again_as_often_as_may_be():
    async with Mesh() as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        sessions = []
        client = connect(mesh, sessions, tunnelling(", max_connect_attempts: 3"))
        for _ in range(6):
            await mesh.advance(1)
        assert client.hung_up
        assert sessions[-1].flags == "UF,URX"
        assert mesh.runtime.clusters.get("up").upstream_cx_connect_fail == 3


async def test_a_client_that_leaves_while_it_is_opened_leaves_nothing_behind():
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions)
        upstream = await mesh.accepted()
        await mesh.settle()
        client.reset()
        await mesh.settle()
        assert upstream.hung_up
        assert sessions[-1].phase is Phase.CLOSED
        assert nothing_is_left(mesh)


async def test_a_cluster_that_does_not_exist_ends_the_connection():
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions, tunnelling(cluster="cluster: other"))
        await mesh.settle()
        assert client.hung_up
        assert sessions[-1].flags == "NC"


def posting(path=""):
    return f"{{stat_prefix: t, cluster: up, tunneling_config: {{hostname: 'far.org:443', use_post: true{path}}}}}"


POST = b"POST / HTTP/1.1\r\nhost: far.org:443\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


async def test_bytes_are_the_body_of_a_post_and_of_its_answer():
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions, posting())
        client.send(b"early")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received == POST, "nothing goes up before a 2xx"
        upstream.send(CHUNKED + b"6\r\nbanner\r\n")
        await mesh.settle()
        assert upstream.received == POST + b"5\r\nearly\r\n"
        assert client.received == b"banner"
        client.finish()
        await mesh.settle()
        assert upstream.received.endswith(b"0\r\n\r\n")
        assert not client.hung_up, "half of it stays open"
        upstream.send(b"3\r\nbye\r\n0\r\n\r\n")
        await mesh.settle()
        assert client.received == b"bannerbye"
        assert client.hung_up
        assert (sessions[-1].bytes_received, sessions[-1].bytes_sent, sessions[-1].flags) == (5, 9, "")
        assert nothing_is_left_but_idle(mesh)


def nothing_is_left_but_idle(mesh):
    breaker = mesh.runtime.clusters.get("up").breaker
    return (breaker.requests, breaker.pending) == (0, 0)


async def test_a_client_that_leaves_takes_its_post_along():
    async with Mesh() as mesh:
        client = connect(mesh, [], posting(", post_path: /a"))
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received.startswith(b"POST /a HTTP/1.1")
        upstream.send(CHUNKED)
        await mesh.settle()
        client.reset()
        await mesh.settle()
        assert upstream.hung_up
        assert nothing_is_left(mesh)


async def test_an_answer_that_breaks_off_resets_the_client():
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions, posting())
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(CHUNKED)
        await mesh.settle()
        upstream.close()
        await mesh.settle()
        assert client.hung_up
        assert sessions[-1].flags == "UR"


async def test_a_post_that_is_refused_is_no_tunnel():
    async with Mesh() as mesh:
        client = connect(mesh, [], posting())
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno")
        await mesh.settle()
        assert client.hung_up
        assert client.received == b""


async def test_a_slow_client_holds_the_answer_up():
    async with Mesh() as mesh:
        client = connect(mesh, [], posting())
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(CHUNKED)
        await mesh.settle()
        client.stop_reading()
        for _ in range(40):
            upstream.send(b"10000\r\n" + bytes(65536) + b"\r\n")
        await mesh.settle()
        assert upstream.paused, "the upstream is not read any more"
        client.start_reading()
        upstream.send(b"0\r\n\r\n")
        for _ in range(40):
            await mesh.settle()
        assert len(client.received) == 40 * 65536
        assert client.hung_up


async def test_the_host_can_be_what_tls_asked_for():
    async with Mesh() as mesh:
        config = "{hostname: '%REQUESTED_SERVER_NAME%:443', headers_to_add: [{header: {key: x-a, value: b}}]}"
        text = f"{{stat_prefix: t, cluster: up, tunneling_config: {config}}}"
        connect(mesh, [], text)
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received.startswith(b"CONNECT asked.org:443 HTTP/1.1\r\nhost: asked.org:443\r\nx-a: b\r\n")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ("post_path: /x", "post_path"),
        ("propagate_response_headers: true", "propagate_response_headers"),
        ("request_id_header: x", "request_id_header"),
    ],
)
def test_what_is_not_honoured_is_refused(more, field):
    with pytest.raises(ConfigError) as raised:
        options(f"{{stat_prefix: t, cluster: up, tunneling_config: {{hostname: h, {more}}}}}")
    assert [problem.path for problem in raised.value.problems] == [f"tunneling_config.{field}"]
