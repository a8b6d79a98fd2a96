"""Checks over connections in memory: what they say, when, and what comes of the answers."""

import dataclasses
import itertools

import pytest

from pymesh_proxy.testing import Mesh, static_cluster
from pymesh_proxy.tls.config import UpstreamTls
from pymesh_proxy.upstream.config import Assignment, Discovery, EndpointConfig, Health, TransportMatch
from pymesh_proxy.upstream.grpc_health import check_request, is_serving
from pymesh_proxy.upstream.health_check import HttpTarget
from pymesh_proxy.upstream.health_config import EndpointCheck, HealthCheckConfig, HttpProbe, TcpProbe
from pymesh_proxy.upstream.outlier_config import OutlierConfig
from pymesh_proxy.upstream.probes import ProbeAnswer, contains

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"


def check(probe=None, **settings):
    times = {"interval": 10.0, "unhealthy_interval": 10.0, "unhealthy_edge_interval": 10.0, "healthy_edge_interval": 10.0}
    times |= {"no_traffic_interval": 10.0, "no_traffic_healthy_interval": 10.0, "timeout": 5.0}
    times |= {"healthy_threshold": 1, "unhealthy_threshold": 2}
    return HealthCheckConfig(probe=probe or HttpProbe(path=b"/check"), **(times | settings))


def mesh_of(config, *addresses, **settings):
    return Mesh(cluster=static_cluster("up", *(addresses or [("10.0.0.1", 80)]), health_check=config, **settings))


def cluster_of(mesh):
    return mesh.runtime.clusters.get("up")


def is_well(mesh):
    return not cluster_of(mesh).endpoints[0].failed_check


async def test_the_first_check_comes_at_once_and_the_next_after_the_interval():
    async with mesh_of(check()) as mesh:
        assert not is_well(mesh)
        peer = await mesh.accepted()
        assert peer.received == b"GET /check HTTP/1.1\r\nhost: up\r\nuser-agent: Envoy/HC\r\n\r\n"
        peer.send(OK)
        await mesh.settle()
        assert is_well(mesh)
        await mesh.advance(9.9)
        assert peer.received.count(b"GET") == 1
        await mesh.advance(0.2)
        assert peer.received.count(b"GET") == 2, "on the same connection"


def assign(mesh, *hosts, health=Health.UNKNOWN):
    endpoints = tuple(EndpointConfig(host=host, port=80, health=health) for host in hosts)
    mesh.runtime.clusters.assign(Assignment(cluster="up", endpoints=endpoints))


def discovered(*, outweighs=True):
    config = static_cluster("up", health_check=check(unhealthy_threshold=1, outweighs_removal=outweighs))
    return Mesh(cluster=dataclasses.replace(config, discovery=Discovery.EDS))


async def checked(mesh, answer=OK):
    peer = await mesh.accepted()
    peer.send(answer)
    await mesh.settle()
    return peer


def addresses(mesh):
    return [endpoint.address for endpoint in cluster_of(mesh).endpoints]


async def test_what_is_well_serves_on_after_its_removal_until_it_is_sick():
    """Envoy's stabilization: discovery is eventually consistent, checks know at once."""
    async with discovered() as mesh:
        assign(mesh, "10.0.0.1")
        peer = await checked(mesh)
        assign(mesh)
        [endpoint] = cluster_of(mesh).endpoints
        assert endpoint.leaving
        assert cluster_of(mesh).pick() is endpoint
        await mesh.advance(10.1)
        peer.send(BAD)
        await mesh.settle()
        assert addresses(mesh) == []
        await mesh.advance(100)
        assert peer.received.count(b"GET") == 2, "nobody looks at it any more"


async def test_what_comes_back_is_a_member_like_any():
    async with discovered() as mesh:
        assign(mesh, "10.0.0.1")
        peer = await checked(mesh)
        assign(mesh)
        assign(mesh, "10.0.0.1")
        assert not cluster_of(mesh).endpoints[0].leaving
        await mesh.advance(10.1)
        peer.send(BAD)
        await mesh.settle()
        assert addresses(mesh) == ["10.0.0.1:80"]


@pytest.mark.parametrize(
    ("answer", "outweighs", "health"),
    [(BAD, True, Health.UNKNOWN), (OK, False, Health.UNKNOWN), (OK, True, Health.UNHEALTHY)],
    ids=["sick", "told to ignore checks", "sick by discovery"],
)
async def test_what_is_not_well_goes_at_once(answer, outweighs, health):
    async with discovered(outweighs=outweighs) as mesh:
        assign(mesh, "10.0.0.1", health=health)
        await checked(mesh, answer)
        assign(mesh)
        assert addresses(mesh) == []


async def test_without_reuse_each_check_has_its_connection():
    async with mesh_of(check(reuse=False)) as mesh:
        peer = await mesh.accepted()
        peer.send(OK)
        await mesh.settle()
        assert peer.hung_up
        await mesh.advance(10.1)
        assert (await mesh.accepted()).received.startswith(b"GET")


async def test_silence_is_a_failure_when_the_time_is_over():
    async with mesh_of(check()) as mesh:
        (await mesh.accepted()).send(OK)
        await mesh.settle()
        for last in (False, True):
            await mesh.advance(10.1)
            await mesh.advance(5.1)
            assert is_well(mesh) is not last
        assert cluster_of(mesh).watchman.checks.counts["network_failure"] == 2


@pytest.mark.parametrize("play", [lambda peer: peer.close(), lambda peer: peer.send(b"220 mail\r\n"), lambda peer: peer.reset()])
async def test_what_is_no_answer_is_a_failure_of_the_network(play):
    async with mesh_of(check(unhealthy_threshold=1)) as mesh:
        play(await mesh.accepted())
        await mesh.settle()
        assert cluster_of(mesh).watchman.checks.counts["network_failure"] == 1
        await mesh.advance(10.1)
        (await mesh.accepted()).send(OK)
        await mesh.settle()
        assert is_well(mesh)


async def test_refused_connections_are_failures_of_the_network():
    async with mesh_of(check()) as mesh:
        mesh.loop.refusing.add(("10.0.0.1", 80))
        await mesh.settle()
        assert cluster_of(mesh).watchman.checks.counts["network_failure"] == 1


async def test_an_answer_that_ends_with_its_connection_is_whole():
    async with mesh_of(check(HttpProbe(path=b"/", receive=(b"he", b"lo")))) as mesh:
        peer = await mesh.accepted()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        peer.finish()
        await mesh.settle()
        assert is_well(mesh)


async def test_interim_answers_are_not_the_answer():
    async with mesh_of(check()) as mesh:
        (await mesh.accepted()).send(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
        await mesh.settle()
        assert is_well(mesh)


async def test_tcp_checks_say_and_hear():
    async with mesh_of(check(TcpProbe(send=b"PING", receive=(b"PO", b"NG")))) as mesh:
        peer = await mesh.accepted()
        assert peer.received == b"PING"
        peer.send(b"xPOx")
        await mesh.settle()
        assert not is_well(mesh)
        peer.send(b"NG")
        await mesh.settle()
        assert is_well(mesh)
        assert not peer.hung_up
        await mesh.advance(10.1)
        assert peer.received == b"PINGPING"


async def test_a_connection_can_be_all_that_is_asked():
    async with mesh_of(check(TcpProbe())) as mesh:
        peer = await mesh.accepted()
        await mesh.settle()
        assert is_well(mesh)
        assert peer.hung_up


async def test_an_endpoint_can_have_its_checks_elsewhere_or_not_at_all():
    endpoints = (
        EndpointConfig(host="10.0.0.1", port=80, check=EndpointCheck(port=8080, hostname="own")),
        EndpointConfig(host="10.0.0.2", port=80, check=EndpointCheck(disabled=True)),
    )
    cluster = dataclasses.replace(static_cluster("up", health_check=check()), assignment=Assignment(cluster="up", endpoints=endpoints))
    async with Mesh(cluster=cluster) as mesh:
        peer = await mesh.accepted()
        assert peer.address == ("10.0.0.1", 8080)
        assert b"host: own\r\n" in peer.received
        assert [endpoint.failed_check for endpoint in cluster_of(mesh).endpoints] == [True, False]


async def test_labels_choose_the_tls_of_checks_and_protocols_are_their_own():
    tls = UpstreamTls(alpn=("h2",))
    match = TransportMatch(name="m", labels=(("checks", "yes"),), tls=tls)
    config = check(transport_match=(("checks", "yes"),), alpn=("http/1.1",))
    async with mesh_of(config, transport_matches=(match,)) as mesh:
        cluster = cluster_of(mesh)
        assert cluster.endpoints[0].tls is None
        record = cluster.watchman.checks.checkups[0]
        target = HttpTarget(mesh.runtime, cluster, record, config, {})
        assert target._dialler._reached.tls.config.alpn == ("http/1.1",)
        assert target._fields[1] == (b":scheme", b"https")


async def test_endpoints_that_go_are_asked_no_more():
    async with mesh_of(check()) as mesh:
        peer = await mesh.accepted()
        peer.send(OK)
        await mesh.settle()
        cluster_of(mesh).assign(Assignment(cluster="up", endpoints=()))
        await mesh.settle()
        assert peer.hung_up
        await mesh.advance(30.0)
        assert mesh.loop.accepted.empty()


def assigned(mesh, own):
    endpoint = EndpointConfig(host="10.0.0.1", port=80, check=own)
    cluster_of(mesh).assign(Assignment(cluster="up", endpoints=(endpoint,)))
    return cluster_of(mesh).endpoints[0]


async def test_an_endpoint_that_is_not_to_be_checked_any_more_is_not_sick_either():
    async with mesh_of(check()) as mesh:
        peer = await mesh.accepted()
        peer.send(BAD)
        await mesh.settle()
        endpoint = assigned(mesh, EndpointCheck(disabled=True))
        assert not endpoint.failed_check
        assert endpoint in cluster_of(mesh).host_sets[0].healthy
        assert endpoint.watch.checkup is None
        assigned(mesh, None)
        (await mesh.accepted()).send(OK)
        await mesh.settle()
        assert is_well(mesh)
        assert endpoint.watch.checkup is cluster_of(mesh).watchman.checks.of(endpoint)


async def test_an_endpoint_whose_checks_move_is_checked_anew():
    async with mesh_of(check()) as mesh:
        peer = await mesh.accepted()
        peer.send(OK)
        await mesh.settle()
        assigned(mesh, EndpointCheck(port=8080))
        assert not is_well(mesh), "to Envoy it is another endpoint"
        moved = await mesh.accepted()
        assert moved.address == ("10.0.0.1", 8080)
        moved.send(OK)
        await mesh.settle()
        assert is_well(mesh)
        assert peer.hung_up
        assigned(mesh, EndpointCheck(port=8080))
        assert is_well(mesh), "nothing has changed"


async def test_a_removed_cluster_checks_nothing():
    async with mesh_of(check()) as mesh:
        peer = await mesh.accepted()
        mesh.runtime.clusters.remove("up")
        await mesh.settle()
        assert peer.hung_up


async def test_an_answer_to_a_client_can_ask_for_no_more():
    async with mesh_of(check()) as mesh:
        probe = await mesh.accepted()
        probe.send(OK)
        await mesh.settle()
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        (await mesh.accepted()).send(b"HTTP/1.1 200 OK\r\nx-envoy-immediate-health-check-fail: 1\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        assert not is_well(mesh)
        assert cluster_of(mesh).endpoints[0].excluded
        assert cluster_of(mesh).watchman.checks.counts["passive_failure"] == 1


async def test_a_good_check_ends_an_ejection():
    async with mesh_of(check(), outlier=OutlierConfig(consecutive_5xx=1, max_ejection_percent=100)) as mesh:
        probe = await mesh.accepted()
        probe.send(OK)
        await mesh.settle()
        mesh.connect().send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        (await mesh.accepted()).send(BAD)
        await mesh.settle()
        endpoint = cluster_of(mesh).endpoints[0]
        assert endpoint.ejected
        await mesh.advance(10.1)
        probe.send(OK)
        await mesh.settle()
        assert not endpoint.ejected


async def test_a_cluster_serves_when_each_endpoint_has_been_looked_at():
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        config = static_cluster("new", ("10.0.0.1", 80), ("10.0.0.2", 80), health_check=check())
        called = []
        assert clusters.prepare(config, None, lambda: called.append(True))
        first, second = await mesh.accepted(), await mesh.accepted()
        first.send(OK)
        await mesh.settle()
        assert not called
        second.send(BAD)
        await mesh.settle()
        assert called == [True]
        assert clusters.get("new") is None
        made = clusters.put(config)
        assert [endpoint.failed_check for endpoint in made.endpoints] == [False, True], "what was found out is kept"
        assert not clusters.prepare(config, None, called.clear), "it is there"


async def test_an_endpoint_that_goes_before_it_was_looked_at_is_not_waited_for():
    async with Mesh() as mesh:
        config = static_cluster("new", ("10.0.0.1", 80), health_check=check())
        called = []
        assert mesh.runtime.clusters.prepare(config, None, lambda: called.append(True))
        mesh.runtime.clusters._candidates["new"].assign(Assignment(cluster="new", endpoints=()))
        await mesh.settle()
        assert called == [True]


async def test_a_prepared_cluster_that_is_changed_is_prepared_anew():
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        called = []
        clusters.prepare(static_cluster("new", ("10.0.0.1", 80), health_check=check()), None, lambda: called.append("old"))
        former = await mesh.accepted()
        changed = static_cluster("new", ("10.0.0.9", 80), health_check=check())
        clusters.prepare(changed, None, lambda: called.append("new"))
        later = await mesh.accepted()
        await mesh.settle()
        assert former.hung_up
        later.send(OK)
        await mesh.settle()
        assert called == ["new"]


async def test_clusters_without_checks_or_endpoints_need_no_preparation():
    async with Mesh() as mesh:
        prepare = mesh.runtime.clusters.prepare
        assert not prepare(static_cluster("new", ("10.0.0.1", 80)), None, list)
        assert not prepare(static_cluster("new", health_check=check()), None, list)


def test_pieces_are_found_in_their_order():
    assert contains(b"abcabc", (b"c", b"a"))
    assert not contains(b"abc", (b"c", b"a"))
    assert not contains(b"aa", (b"aa", b"a"))
    assert contains(b"", ())


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300])
def test_the_message_of_grpc_health_is_protobufs(size):
    name = "s" * size
    framed = check_request(name)
    assert framed[:1] == b"\0"
    message = framed[5:]
    assert int.from_bytes(framed[1:5], "big") == len(message)
    if size:
        length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(itertools.islice(message, 1, len(message) - size)))
        assert (message[:1], length, message[-size:]) == (b"\x0a", size, name.encode())


@pytest.mark.parametrize(("status", "grpc_status", "body", "serving"), [
    (200, b"0", b"\0\0\0\0\x02\x08\x01", True), (200, b"0", b"\0\0\0\0\x02\x08\x02", False), (200, b"0", b"\0\0\0\0\0", False),
    (200, b"5", b"", False), (503, b"0", b"\0\0\0\0\x02\x08\x01", False), (200, b"0", b"\0\0\0\0\x02\x08\x01\0\0\0\0\x02\x08\x01", False),
])  # fmt: skip
def test_only_serving_is_well(status, grpc_status, body, serving):
    assert is_serving(ProbeAnswer(status=status, trailers={b"grpc-status": grpc_status}, body=body)) is serving
    assert is_serving(ProbeAnswer(status=status, headers={b"grpc-status": grpc_status}, body=body)) is serving
