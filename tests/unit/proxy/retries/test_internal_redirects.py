"""Redirects of an upstream that are followed here."""

import pytest

from pymesh_proxy.route.internal_redirect import Destination, InternalRedirects, destination
from pymesh_proxy.route.retry_policy import RetryPolicy
from pymesh_proxy.testing import Mesh, forward_to

GET = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def found(where, status=302):
    return b"HTTP/1.1 %d Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, where)


@pytest.mark.parametrize(
    ("location", "where"),
    [
        (b"http://b/c", Destination(b"http", b"b", b"/c")),
        (b"HTTPS://b:8443/c?d=/e#f", Destination(b"https", b"b:8443", b"/c?d=/e")),
        (b"http://b", Destination(b"http", b"b", b"/")),
        (b"http://b?c", Destination(b"http", b"b", b"/?c")),
        (b"http://user:secret@b/", Destination(b"http", b"b", b"/")),
        (b"/c", None),
        (b"//b/c", None),
        (b"", None),
        (b"ftp://b/c", None),
        (b"http:///c", None),
        (b"http://b/c d", None),
        (b"http://b/\r\nx: y", None),
    ],
)
def test_only_absolute_urls_are_followed(location, where):
    assert destination(location) == where


async def answered(mesh, answer):
    upstream = await mesh.accepted()
    await mesh.settle()
    upstream.send(answer)
    await mesh.settle()
    return upstream


async def test_the_client_gets_the_answer_of_where_it_leads():
    route = forward_to("up", internal_redirects=InternalRedirects())
    async with Mesh(route=route) as mesh:
        client = mesh.connect()
        client.send(GET)
        await answered(mesh, found(b"http://b/second"))
        second = await answered(mesh, OK)
        assert second.received.startswith(b"GET /second HTTP/1.1\r\nHost: b\r\n")
        assert b"x-envoy-original-url: http://a/first\r\n" in second.received
        assert client.received.startswith(b"HTTP/1.1 200 OK")
        assert [(exchange.status, exchange.details) for exchange in mesh.exchanges] == [(302, "internal_redirect"), (200, "via_upstream")]
        breaker = mesh.runtime.clusters.get("up").breaker
        assert (breaker.requests, breaker.pending, breaker.retries) == (0, 0, 0)


async def test_a_request_is_sent_round_only_so_often():
    async with Mesh(route=forward_to("up", internal_redirects=InternalRedirects(maximum=2))) as mesh:
        client = mesh.connect()
        client.send(GET)
        for _ in range(3):
            await answered(mesh, found(b"http://a/first"))
        assert client.received.startswith(b"HTTP/1.1 302")
        cluster = mesh.runtime.clusters.get("up")
        assert (cluster.upstream_internal_redirect_succeeded_total, cluster.upstream_internal_redirect_failed_total) == (2, 1)


async def test_each_leg_has_its_own_retries_and_timeout():
    policy = RetryPolicy(conditions=frozenset({"5xx"}))
    async with Mesh(route=forward_to("up", timeout=1.0, retry=policy, internal_redirects=InternalRedirects())) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
        await answered(mesh, busy)
        await mesh.advance(0.9)
        await answered(mesh, found(b"http://b/second"))
        await answered(mesh, busy)
        await mesh.advance(0.9)
        last = await answered(mesh, OK)
        assert last.received.endswith(b"\r\n\r\nhello")
        assert client.received.startswith(b"HTTP/1.1 200 OK")
        assert [exchange.attempt for exchange in mesh.exchanges] == [2, 2]


async def test_see_other_turns_a_post_into_a_get():
    policy = InternalRedirects(statuses=frozenset({303}))
    async with Mesh(route=forward_to("up", internal_redirects=policy)) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        await answered(mesh, found(b"http://b/", 303))
        second = await answered(mesh, OK)
        assert second.received.startswith(b"GET / HTTP/1.1\r\n")
        assert second.received.endswith(b"\r\n\r\n")
        assert b"transfer-encoding" not in second.received.lower()
        assert client.received.startswith(b"HTTP/1.1 200 OK")


async def test_a_request_that_has_not_come_to_its_end_is_not_sent_elsewhere():
    async with Mesh(route=forward_to("up", internal_redirects=InternalRedirects())) as mesh:
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
        await answered(mesh, found(b"http://b/"))
        assert client.received.startswith(b"HTTP/1.1 302")
