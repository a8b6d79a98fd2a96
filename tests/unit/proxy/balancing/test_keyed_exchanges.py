"""Requests that a hash sends somewhere, through a connection manager."""

from pymesh_proxy.route.cookies import NewCookie
from pymesh_proxy.route.hashing import cookie, header
from pymesh_proxy.route.retry_policy import RetryPolicy
from pymesh_proxy.testing import Mesh, forward_to, static_cluster
from pymesh_proxy.upstream.balancer import build
from pymesh_proxy.upstream.balancing.config import Balancing, BalancingConfig
from pymesh_proxy.upstream.balancing.hashes import xx_hash

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
COOKIE = cookie("s", NewCookie(name="s", ttl=60))
RING = BalancingConfig(policy=Balancing.RING_HASH)


def mesh_of(balancing, hashing, **route):
    addresses = [(f"10.0.0.{number}", 80) for number in range(4)]
    return Mesh(route=forward_to("up", hashing=hashing, **route), cluster=static_cluster("up", *addresses, balancing=balancing))


def get(*headers):
    return b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *headers, b"", b""])


async def answered(mesh, answer=OK):
    """Answer the request on the next connection; where that went."""
    upstream = await mesh.accepted()
    await mesh.settle()
    upstream.send(answer)
    await mesh.settle()


async def test_a_key_decides_about_the_first_attempt_and_the_next():
    retry = RetryPolicy(conditions=frozenset(["5xx"]), avoid_previous_hosts=True, host_selection_attempts=50)
    for number in range(8):
        user = b"user-%d" % number
        async with mesh_of(RING, header("x-user", None), retry=retry) as mesh:
            endpoints = mesh.runtime.clusters.get("up").endpoints
            ring = build(RING, endpoints)
            mesh.connect().send(get(b"x-user: " + user))
            await answered(mesh, BUSY)
            await mesh.advance(0.05)
            await answered(mesh)
            walk = [ring.pick(xx_hash(user), attempt) for attempt in range(50)]
            second = next(endpoint for endpoint in walk if endpoint is not walk[0])
            assert [endpoint for endpoint in endpoints if endpoint.rq_total] == sorted([walk[0], second], key=endpoints.index)
            assert mesh.exchanges[0].endpoint is second


async def test_an_upstreams_answer_brings_the_new_cookie():
    async with mesh_of(RING, COOKIE) as mesh:
        client = mesh.connect()
        client.send(get())
        await answered(mesh)
        assert client.received.count(b'set-cookie: s="') == 1
        client.send(get(b"cookie: s=1"))
        await answered(mesh)
        assert client.received.count(b"set-cookie") == 1


async def test_several_attempts_bring_it_once():
    async with mesh_of(RING, COOKIE, retry=RetryPolicy(conditions=frozenset(["5xx"]))) as mesh:
        client = mesh.connect()
        client.send(get())
        await answered(mesh, BUSY)
        await mesh.advance(0.05)
        await answered(mesh)
        assert client.received.startswith(b"HTTP/1.1 200 OK")
        assert client.received.count(b"set-cookie") == 1


async def test_where_no_hash_decides_nobody_gets_a_cookie():
    async with mesh_of(BalancingConfig(), COOKIE) as mesh:
        client = mesh.connect()
        client.send(get())
        await answered(mesh)
        assert b"200 OK" in client.received
        assert b"set-cookie" not in client.received


async def test_an_answer_of_our_own_brings_none():
    async with Mesh(route=forward_to("up", hashing=COOKIE), cluster=static_cluster("up", balancing=RING)) as mesh:
        client = mesh.connect()
        client.send(get())
        await mesh.settle()
        assert b"503 Service Unavailable" in client.received
        assert b"set-cookie" not in client.received
