"""Copies of requests: what they say, that nobody waits for them, and that what happens to them is never seen by the client."""

import random

import pytest

from pymesh_proxy.http.mirror import Mirroring
from pymesh_proxy.route import edits, rewrite
from pymesh_proxy.route.table import Forward, Route, Target
from pymesh_proxy.testing import Mesh, forward_to, static_cluster

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /a?b HTTP/1.1\r\nHost: a.com:80\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"


def mirroring(
    cluster="copies", *, timeout=0.0, body_limit=None, numerator=100, denominator=100, host=b"", suffix=True, changes=(), cluster_header=b""
):
    way = Forward(
        targets=((1, Target(cluster=cluster, cluster_header=cluster_header)),),
        total_weight=1,
        timeout=timeout,
        body_limit=body_limit,
        rewrite=rewrite.shadow(changes, host, suffix=suffix),
    )
    return Mirroring(route=Route(name="mirror", action=way), numerator=numerator, denominator=denominator)


class World:
    """A client, a proxy, and upstreams of the requests (10.0.0.1) and of their copies (10.0.0.2)."""

    def __init__(self, *mirrors, limit=1024 * 1024, **route):
        self.mesh = Mesh(route=forward_to("up", mirrors=mirrors, **route))
        self.mesh.runtime.clusters.put(static_cluster("copies", ("10.0.0.2", 80), buffer_limit=limit))
        self.copies = self.mesh.runtime.clusters.by_name["copies"]
        self.live = self.mesh.runtime.clusters.by_name["up"]
        self.client = self.mesh.connect()

    async def both(self):
        """The two upstreams' next connections, by who they are."""
        found = {}
        for _ in range(2):
            peer = await self.mesh.accepted()
            found[peer.address[0]] = peer
        await self.mesh.settle()
        return found["10.0.0.1"], found["10.0.0.2"]


@pytest.fixture
async def worlds():
    made = []

    def build(*mirrors, **settings):
        made.append(World(*mirrors, **settings))
        return made[-1]

    yield build
    for world in made:
        await world.mesh.__aexit__()
        assert world.mesh.runtime.clusters.by_name["copies"].breaker.requests == 0, "a copy is still counted as active"
        assert len(world.mesh.runtime.wheel) <= 3, "only connections have deadlines"


async def test_a_copy_goes_out_beside_the_request(worlds):
    world = worlds(mirroring())
    world.client.send(GET)
    up, copy = await world.both()
    assert up.received == b"GET /a?b HTTP/1.1\r\nHost: a.com:80\r\nX-Forwarded-For: 1.2.3.4\r\n" + up.received.partition(b"1.2.3.4\r\n")[2]
    assert copy.received.startswith(b"GET /a?b HTTP/1.1\r\nHost: a.com-shadow:80\r\n")
    assert b"x-envoy-internal: true\r\n" in copy.received
    assert b"x-forwarded-for: 1.2.3.4,127.0.0.1\r\n" in copy.received
    assert b"-shadow" not in up.received
    assert b"x-envoy-internal" not in up.received
    for peer in (up, copy):
        peer.send(OK)
    await world.mesh.settle()
    assert world.client.received.count(b"HTTP/1.1 200 OK") == 1
    assert (world.copies.upstream_rq_total, world.copies.upstream_rq_2xx) == (1, 1)
    assert (world.live.upstream_rq_total, world.live.upstream_rq_2xx) == (1, 1)
    assert len(world.mesh.exchanges) == 1, "copies are nobody's requests"


async def test_the_copys_answer_is_not_waited_for(worlds):
    world = worlds(mirroring())
    world.client.send(GET)
    up, copy = await world.both()
    up.send(OK)
    await world.mesh.settle()
    assert world.client.received.endswith(b"ok")
    assert world.copies.upstream_rq_active == 1
    copy.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\noops")
    await world.mesh.settle()
    assert world.copies.upstream_rq_5xx == 1
    assert b"500" not in world.client.received


async def test_an_early_answer_to_the_copy_is_dropped(worlds):
    world = worlds(mirroring())
    world.client.send(GET)
    up, copy = await world.both()
    copy.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot yours")
    await world.mesh.settle()
    assert world.client.received == b""
    up.send(OK)
    await world.mesh.settle()
    assert b"not yours" not in world.client.received


@pytest.mark.parametrize("failure", ["reset", "close", "garbage"])
async def test_a_copy_that_fails_is_not_sent_again(worlds, failure):
    world = worlds(mirroring())
    world.client.send(GET)
    up, copy = await world.both()
    copy.send(b"nonsense\r\n\r\n") if failure == "garbage" else getattr(copy, failure)()
    await world.mesh.settle()
    up.send(OK)
    await world.mesh.settle()
    assert world.client.received.startswith(b"HTTP/1.1 200 OK")
    assert world.mesh.loop.accepted.empty()
    assert world.copies.upstream_rq_retry == 0


async def test_a_copys_connection_that_is_refused_is_nothing_to_the_request(worlds):
    world = worlds(mirroring())
    world.mesh.loop.refusing.add(("10.0.0.2", 80))
    world.client.send(GET)
    up = await world.mesh.accepted()
    await world.mesh.settle()
    up.send(OK)
    await world.mesh.settle()
    assert world.client.received.startswith(b"HTTP/1.1 200 OK")
    assert world.copies.upstream_cx_connect_fail == 1


async def test_a_mirror_of_a_cluster_that_is_missing_is_none(worlds):
    world = worlds(mirroring("nowhere"))
    world.client.send(GET)
    up = await world.mesh.accepted()
    up.send(OK)
    await world.mesh.settle()
    assert world.client.received.startswith(b"HTTP/1.1 200 OK")


async def test_there_is_no_copy_where_the_request_has_no_endpoint(worlds):
    world = worlds(mirroring())
    world.mesh.runtime.clusters.put(static_cluster("up"))
    world.client.send(GET)
    await world.mesh.settle()
    assert world.client.received.startswith(b"HTTP/1.1 503")
    assert world.copies.upstream_rq_total == 0


async def test_a_copy_is_sent_where_the_requests_own_server_is_down(worlds):
    world = worlds(mirroring())
    world.mesh.loop.refusing.add(("10.0.0.1", 80))
    world.client.send(GET)
    copy = await world.mesh.accepted()
    await world.mesh.settle()
    assert b"a.com-shadow" in copy.received
    assert world.client.received.startswith(b"HTTP/1.1 503")
    copy.send(OK)
    await world.mesh.settle()


async def test_the_body_goes_to_both_as_it_comes(worlds):
    world = worlds(mirroring())
    world.client.send(b"POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 10\r\n\r\nhello")
    up, copy = await world.both()
    assert copy.received.endswith(b"\r\n\r\nhello")
    world.client.send(b"world")
    await world.mesh.settle()
    assert up.received.endswith(b"helloworld")
    assert copy.received.endswith(b"helloworld")
    for peer in (up, copy):
        peer.send(OK)
    await world.mesh.settle()


async def test_chunks_go_to_both_as_they_come(worlds):
    world = worlds(mirroring())
    world.client.send(b"POST / HTTP/1.1\r\nHost: a.com\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    up, copy = await world.both()
    world.client.send(b"0\r\n\r\n")
    await world.mesh.settle()
    assert up.received.endswith(b"5\r\nhello\r\n0\r\n\r\n")
    assert copy.received.endswith(b"5\r\nhello\r\n0\r\n\r\n")
    for peer in (up, copy):
        peer.send(OK)
    await world.mesh.settle()


async def test_a_copy_whose_server_reads_slowly_is_given_up_at_its_limit(worlds):
    world = worlds(mirroring(), limit=200_000)
    size = 1_000_000
    world.client.send(b"POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: %d\r\n\r\n" % size)
    up, copy = await world.both()
    copy.stop_reading()
    for _ in range(size // 10_000):
        world.client.send(b"x" * 10_000)
        await world.mesh.settle()
    assert up.received.endswith(b"x" * size), "the request has not waited"
    copy.start_reading()
    await world.mesh.settle()
    assert copy.hung_up
    assert len(copy.received) < 450_000, "the connection's buffer and as much again"
    assert (world.copies.upstream_rq_cancelled, world.copies.retry_or_shadow_abandoned) == (1, 1)
    up.send(OK)
    await world.mesh.settle()
    assert world.client.received.startswith(b"HTTP/1.1 200 OK")


async def test_a_copy_that_waits_for_its_connection_holds_no_more_than_its_limit(worlds):
    world = worlds(mirroring(body_limit=50_000))
    world.mesh.loop.hanging.add(("10.0.0.2", 80))
    world.client.send(b"POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 100000\r\n\r\n")
    up = await world.mesh.accepted()
    for _ in range(10):
        world.client.send(b"x" * 10_000)
        await world.mesh.settle()
    assert up.received.endswith(b"x" * 100_000)
    assert world.copies.breaker.pending == 0
    assert world.copies.retry_or_shadow_abandoned == 1
    up.send(OK)
    await world.mesh.settle()


async def test_half_a_request_leaves_its_copy(worlds):
    world = worlds(mirroring())
    world.client.send(b"POST / HTTP/1.1\r\nHost: a.com\r\nContent-Length: 10\r\n\r\nhello")
    _, copy = await world.both()
    world.client.close()
    await world.mesh.settle()
    assert copy.hung_up
    assert world.copies.upstream_rq_cancelled == 1


async def test_a_whole_request_leaves_its_copy_alone(worlds):
    world = worlds(mirroring())
    world.client.send(GET)
    _, copy = await world.both()
    world.client.close()
    await world.mesh.settle()
    assert not copy.hung_up
    copy.send(OK)
    await world.mesh.settle()
    assert world.copies.upstream_rq_2xx == 1


async def test_a_copy_has_a_timeout_of_its_own(worlds):
    world = worlds(mirroring(timeout=2.0))
    world.client.send(GET)
    up, copy = await world.both()
    up.send(OK)
    await world.mesh.settle()
    await world.mesh.advance(2.1)
    assert copy.hung_up
    assert world.copies.upstream_rq_timeout == 1
    assert world.client.received.count(b"HTTP/1.1") == 1


async def test_a_share_of_the_requests_is_copied_by_their_random_number(worlds, monkeypatch):
    world = worlds(mirroring(numerator=2_500, denominator=10_000))
    world.mesh.loop.refusing.add(("10.0.0.2", 80))
    draws = [draw for mirrors in (0, 2_499, 2_500, 9_999, 10_000, 2_502_499, 2_502_500) for draw in (7, mirrors)]
    monkeypatch.setattr(random, "getrandbits", lambda bits: draws.pop(0))
    up = None
    copied = []
    while draws:
        world.client.send(GET)
        up = up or await world.mesh.accepted()
        await world.mesh.settle()
        up.send(OK)
        await world.mesh.settle()
        copied.append(world.copies.upstream_cx_connect_fail)
    assert copied == [1, 2, 2, 2, 3, 4, 4]


async def test_there_may_be_several_copies(worlds):
    world = worlds(mirroring(), mirroring(host=b"other.org"), mirroring(suffix=False))
    world.client.send(GET)
    peers = [await world.mesh.accepted() for _ in range(4)]
    await world.mesh.settle()
    hosts = sorted(peer.received.partition(b"Host: ")[2].partition(b"\r\n")[0] for peer in peers)
    assert hosts == [b"a.com-shadow:80", b"a.com:80", b"a.com:80", b"other.org"]
    for peer in peers:
        peer.send(OK)
    await world.mesh.settle()
    assert world.copies.upstream_rq_2xx == 3


async def test_a_header_may_name_the_copies_cluster(worlds):
    drop = edits.request_edit([edits.Level(remove=(b"x-to",))])
    world = worlds(mirroring("", cluster_header=b"x-to", changes=(drop,)))
    for value, copies in ((b"copies", 1), (b"nowhere", 1)):
        world.client.send(b"GET / HTTP/1.1\r\nHost: a.com\r\nX-To: %b\r\n\r\n" % value)
        if value == b"copies":
            up, copy = await world.both()
            assert b"x-to" not in copy.received.lower()
            copy.send(OK)
        await world.mesh.settle()
        up.send(OK)
        await world.mesh.settle()
        assert world.copies.upstream_rq_total == copies


async def test_requests_for_tunnels_are_not_copied(worlds):
    world = worlds(mirroring(), upgrades={b"websocket": True})
    world.client.send(b"GET / HTTP/1.1\r\nHost: a.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    await world.mesh.accepted()
    await world.mesh.settle()
    assert world.mesh.loop.accepted.empty()
    assert world.copies.upstream_rq_total == 0
