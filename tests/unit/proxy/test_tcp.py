"""TCP through the proxy: connect first, then relay, with half-close and backpressure."""

from collections import Counter

import pytest

from pymesh_proxy.http.exchange import Downstream
from pymesh_proxy.tcp.config import TcpOptions
from pymesh_proxy.tcp.proxy import TcpConnection
from pymesh_proxy.tcp.session import Phase
from pymesh_proxy.testing import MemoryTransport, Mesh, Peer, static_cluster
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig
from pymesh_proxy.upstream.config import Limits


def connect(mesh, sessions=None, **options):
    seen = sessions if sessions is not None else []
    settings = TcpOptions(clusters=(("up", 1),), observers=(seen.append,), **options)
    theirs, ours = MemoryTransport.pair()
    client = Peer(theirs)
    ours.attach(TcpConnection(mesh.runtime, settings, mesh.scope, Downstream(remote_address="c:1", local_address="l:2")))
    return client


async def test_bytes_go_both_ways_unchanged():
    async with Mesh() as mesh:
        client = connect(mesh)
        upstream = await mesh.accepted()
        await mesh.settle()
        client.send(b"\x00ping")
        upstream.send(b"\xffpong")
        await mesh.settle()
        assert (upstream.received, client.received) == (b"\x00ping", b"\xffpong")


async def test_a_server_that_speaks_first_is_heard():
    async with Mesh() as mesh:
        client = connect(mesh)
        upstream = await mesh.accepted()
        upstream.send(b"220 smtp ready\r\n")
        await mesh.settle()
        assert client.received == b"220 smtp ready\r\n"


async def test_bytes_sent_before_the_upstream_is_connected_wait_for_it():
    async with Mesh() as mesh:
        client = connect(mesh)
        client.send(b"early")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.received == b"early"


async def test_half_close_is_passed_on_and_the_other_direction_stays_open():
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions)
        upstream = await mesh.accepted()
        await mesh.settle()
        client.send(b"question")
        client.finish()
        await mesh.settle()
        assert upstream.ended
        upstream.send(b"answer")
        await mesh.settle()
        assert client.received == b"answer"
        upstream.close()
        await mesh.settle()
        client.close()
        await mesh.settle()
        session = sessions[-1]
        assert session.phase is Phase.CLOSED
        assert (session.bytes_received, session.bytes_sent, session.flags) == (8, 6, "")
        assert mesh.runtime.clusters.get("up").breaker.connections == 0


async def test_an_end_that_comes_before_the_upstream_is_connected_is_passed_on_and_the_answer_heard():
    async with Mesh() as mesh:
        theirs, ours = MemoryTransport.pair()
        client = Peer(theirs)
        options = TcpOptions(clusters=(("up", 1),))
        connection = TcpConnection(mesh.runtime, options, mesh.scope, Downstream(remote_address="c:1", local_address="l:2"))
        ours.attach(connection)
        # uvloop reads although it was told not to, when it was told in connection_made
        connection.data_received(b"question")
        assert connection.eof_received()
        upstream = await mesh.accepted()
        await mesh.settle()
        assert (upstream.received, upstream.ended) == (b"question", True)
        upstream.send(b"answer")
        upstream.close()
        await mesh.settle()
        assert client.received == b"answer"
        assert client.hung_up


async def test_no_more_is_read_from_a_client_that_waits_for_its_upstream_than_what_comes_at_once():
    async with Mesh() as mesh:
        mesh.loop.hanging.add(("10.0.0.1", 80))
        theirs, ours = MemoryTransport.pair()
        client = Peer(theirs)
        options = TcpOptions(clusters=(("up", 1),))
        ours.attach(TcpConnection(mesh.runtime, options, mesh.scope, Downstream(remote_address="c:1", local_address="l:2")))
        ours.resume_reading()  # as uvloop does
        client.send(b"x" * 1000)
        await mesh.settle()
        client.send(b"x" * 1000)
        await mesh.settle()
        assert ours.waiting == 1000
        assert client.paused


async def test_the_upstreams_half_close_is_passed_on_too():
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions)
        upstream = await mesh.accepted()
        await mesh.settle()
        upstream.send(b"greeting")
        upstream.finish()
        await mesh.settle()
        assert (client.received, client.ended, client.closed) == (b"greeting", True, False)
        client.send(b"late")
        client.close()
        await mesh.settle()
        assert upstream.received == b"late"
        upstream.close()
        await mesh.settle()
        assert (sessions[-1].phase, sessions[-1].flags) == (Phase.CLOSED, "")


@pytest.mark.parametrize(("who", "flags"), [("upstream", "UR"), ("client", "")])
async def test_a_reset_reaches_the_other_side(who, flags):
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions)
        upstream = await mesh.accepted()
        await mesh.settle()
        sides = {"client": client, "upstream": upstream}
        sides.pop(who).reset()
        await mesh.settle()
        (other,) = sides.values()
        assert other.hung_up
        assert (sessions[-1].phase, sessions[-1].flags) == (Phase.CLOSED, flags)
        assert mesh.runtime.clusters.get("up").breaker.connections == 0


async def test_a_connection_that_lasts_too_long_ends_with_DT_however_busy():  # noqa: N802  the flag's name
    async with Mesh() as mesh:
        sessions = []
        client = connect(mesh, sessions, max_duration=5.0)
        upstream = await mesh.accepted()
        await mesh.settle()
        for _ in range(4):
            await mesh.advance(1)
            client.send(b"busy")
            await mesh.settle()
        assert not client.hung_up
        await mesh.advance(1.1)
        assert (client.hung_up, upstream.hung_up, sessions[-1].flags) == (True, True, "DT")


async def test_logs_have_lines_before_the_end_where_they_are_asked_for():
    async with Mesh() as mesh:
        lines, sessions = [], []
        options = {"logs": (lambda session: lines.append((session.log_type, session.bytes_received)),), "max_duration": 25.0}
        client = connect(mesh, sessions, log_connected=True, log_interval=10.0, **options)
        upstream = await mesh.accepted()
        await mesh.settle()
        assert lines == [("TcpUpstreamConnected", 0)]
        client.send(b"abc")
        await mesh.settle()
        await mesh.advance(10.1)
        client.send(b"de")
        await mesh.settle()
        await mesh.advance(10.1)
        assert lines[1:] == [("TcpPeriodic", 3), ("TcpPeriodic", 5)]
        await mesh.advance(5)
        assert (client.hung_up, upstream.hung_up, sessions[-1].flags, sessions[-1].log_type) == (True, True, "DT", "")
        await mesh.advance(20)
        assert len(lines) == 3


def test_clusters_are_chosen_by_weight():
    options = TcpOptions(clusters=(("a", 1), ("b", 3), ("c", 6)))
    assert Counter(options.choose(draw) for draw in range(1000)) == {"a": 100, "b": 300, "c": 600}


async def test_a_second_attempt_finds_another_endpoint_and_the_log_says_that_one_failed():
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), ("10.0.0.2", 80))) as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        sessions = []
        for _ in range(2):  # the second at the latest is sent to the first endpoint
            client = connect(mesh, sessions, max_connect_attempts=2)
            upstream = await mesh.accepted()
            await mesh.settle()
            assert upstream.address == ("10.0.0.2", 80)
            client.close()
            upstream.close()
            await mesh.settle()
        assert (sessions[-1].phase, sessions[-1].flags) == (Phase.CLOSED, "UF")


async def test_a_failed_connect_is_tried_again_and_then_told():
    async with Mesh() as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        sessions = []
        client = connect(mesh, sessions, max_connect_attempts=3)
        await mesh.settle()
        assert client.hung_up
        assert sessions[-1].flags == "UF,URX"
        assert "refused" in sessions[-1].upstream_failure
        assert mesh.runtime.clusters.get("up").upstream_cx_connect_fail == 3


async def test_an_unknown_cluster_closes_with_NC_and_an_empty_one_with_UH():  # noqa: N802  the flags' names
    async with Mesh(cluster=static_cluster("up")) as mesh:
        sessions = []
        assert connect(mesh, sessions)
        await mesh.settle()
        assert sessions[-1].flags == "UH"
        mesh.runtime.clusters.remove("up")
        assert connect(mesh, sessions)
        await mesh.settle()
        assert sessions[-1].flags == "NC"


async def test_an_idle_tunnel_is_closed_and_a_moving_one_is_not():
    async with Mesh() as mesh:
        client = connect(mesh, idle_timeout=10.0)
        upstream = await mesh.accepted()
        await mesh.settle()
        await mesh.advance(9)
        upstream.send(b"x")
        await mesh.settle()
        await mesh.advance(9)
        assert not client.hung_up
        await mesh.advance(2)
        assert client.hung_up
        assert upstream.hung_up


def sipping(peer):
    """A client that takes one piece at a time; what it is to call for the next."""
    take = peer.data_received

    def data_received(data):
        take(data)
        peer.stop_reading()

    peer.data_received = data_received
    return peer.start_reading


async def test_a_tunnel_whose_reader_is_slow_is_not_idle_while_that_takes_something():
    async with Mesh() as mesh:
        client = connect(mesh, idle_timeout=10.0)
        upstream = await mesh.accepted()
        await mesh.settle()
        sip = sipping(client)
        for _ in range(8):
            upstream.send(b"x" * 50_000)
            await mesh.settle()
        for _ in range(6):
            await mesh.advance(4)
            sip()
            await mesh.settle()
            await mesh.advance(5)
            assert not client.hung_up
        assert 0 < len(client.received) < 400_000
        await mesh.advance(11)
        assert client.hung_up
        assert upstream.hung_up


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_client_that_takes_nothing_is_idle_too(leaves):
    async with Mesh() as mesh:
        client = connect(mesh, idle_timeout=10.0)
        upstream = await mesh.accepted()
        await mesh.settle()
        client.stop_reading()
        upstream.send(b"x" * 5000)
        await mesh.settle()
        if leaves:
            upstream.close()
            await mesh.settle()
        assert len(mesh.scope) == 1
        await mesh.advance(11)
        assert len(mesh.scope) == 0


async def test_a_slow_reader_stops_the_other_side():
    async with Mesh() as mesh:
        client = connect(mesh)
        upstream = await mesh.accepted()
        await mesh.settle()
        client.stop_reading()
        for _ in range(40):
            upstream.send(b"x" * 50_000)
            await mesh.settle()
        assert upstream.paused
        client.start_reading()
        for _ in range(10):
            await mesh.settle()
        assert not upstream.paused
        assert len(client.received) == 2_000_000


async def test_a_connection_counts_for_its_endpoint_while_it_is_joined():
    addresses = [(f"10.0.0.{number}", 80) for number in range(3)]
    balancing = BalancingConfig(policy=Balancing.LEAST_REQUEST, full_scan=True)
    async with Mesh(cluster=static_cluster("up", *addresses, balancing=balancing)) as mesh:
        endpoints = mesh.runtime.clusters.get("up").endpoints
        clients = []
        for _ in range(6):
            clients.append(connect(mesh))
            await mesh.accepted()
            await mesh.settle()
        assert [endpoint.rq_active for endpoint in endpoints] == [2, 2, 2]
        for client in clients:
            client.reset()
        await mesh.settle()
        assert [(endpoint.rq_active, endpoint.rq_total) for endpoint in endpoints] == [(0, 2)] * 3


async def test_a_clients_address_can_be_its_key():
    addresses = [(f"10.0.0.{number}", 80) for number in range(9)]
    async with Mesh(cluster=static_cluster("up", *addresses, balancing=BalancingConfig(policy=Balancing.MAGLEV))) as mesh:
        endpoints = mesh.runtime.clusters.get("up").endpoints
        for _ in range(5):
            connect(mesh, hashes_source=True)
            await mesh.accepted()
            await mesh.settle()
        assert sorted(endpoint.rq_total for endpoint in endpoints) == [0] * 8 + [5]


@pytest.mark.parametrize("limits", [Limits(max_connections=1), Limits(max_connections_per_host=0)])
async def test_a_connection_beyond_a_limit_is_refused_though_its_endpoint_has_none(limits):
    cluster = static_cluster("up", ("10.0.0.1", 80), ("10.0.0.2", 80), limits=limits)
    async with Mesh(cluster=cluster) as mesh:
        sessions = []
        clients = [connect(mesh, sessions), connect(mesh, sessions)]
        await mesh.settle()
        assert clients[1].hung_up
        refused = {id(session) for session in sessions if session.flags == "UO" and session.phase is Phase.CLOSED}
        assert len(refused) == mesh.runtime.clusters.get("up").upstream_cx_overflow == 2 - mesh.loop.accepted.qsize()


async def test_attempts_to_connect_are_numbered():
    async with Mesh() as mesh:
        sessions = []
        mesh.loop.refusing.add(("10.0.0.1", 80))
        client = connect(mesh, sessions, max_connect_attempts=3)
        await mesh.settle()
        assert client.hung_up
        assert sessions[-1].flags == "UF,URX"
        cluster = mesh.runtime.clusters.get("up")
        assert (cluster.upstream_cx_total, cluster.upstream_cx_connect_fail, cluster.upstream_cx_connect_attempts_exceeded) == (3, 3, 1)
        assert cluster.breaker.connections == 0


@pytest.mark.parametrize("removed", [False, True])
async def test_each_try_goes_to_what_the_cluster_is_by_then(removed):
    async with Mesh() as mesh:
        sessions = []
        connected = mesh.loop.create_connection

        async def refuse(*_, **__):
            mesh.loop.create_connection = connected
            if removed:
                mesh.runtime.clusters.remove("up")
            else:
                mesh.runtime.clusters.put(static_cluster("up", ("10.0.0.9", 80)))
            raise ConnectionRefusedError(111, "Connection refused")

        mesh.loop.create_connection = refuse
        client = connect(mesh, sessions, max_connect_attempts=2)
        await mesh.settle()
        if removed:
            assert sessions[-1].flags == "UF,NC"
            assert client.hung_up
        else:
            upstream = await mesh.accepted()
            assert upstream.address == ("10.0.0.9", 80)
            assert mesh.runtime.clusters.get("up").breaker.connections == 1
