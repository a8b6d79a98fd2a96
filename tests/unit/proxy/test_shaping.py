"""What the router makes of routes that look beyond the head, and of hosts that endpoints name."""

from dataclasses import replace

from pymesh_proxy.http.headers import RequestHead
from pymesh_proxy.http.local_reply import BodyFormat
from pymesh_proxy.route import conditions
from pymesh_proxy.route.retry_policy import RetryPolicy
from pymesh_proxy.route.table import DirectReply, Forward, Route, RouteTable, Target
from pymesh_proxy.testing import Mesh, forward_to, static_cluster
from pymesh_proxy.upstream.config import Assignment, EndpointConfig

GET = b"GET /a HTTP/1.1\r\nHost: a.com\r\n\r\n"


async def one(mesh, request=GET):
    client = mesh.connect()
    client.send(request)
    upstream = await mesh.accepted()
    await mesh.settle()
    return client, upstream


def named(*hosts):
    endpoints = tuple(EndpointConfig(host=f"10.0.0.{index}", port=80, hostname=host) for index, host in enumerate(hosts, 1))
    return replace(static_cluster("up"), assignment=Assignment(cluster="up", endpoints=endpoints))


async def test_an_endpoint_gives_its_name_to_the_host():
    async with Mesh(route=forward_to("up", auto_host=True, forwarded_host=True), cluster=named("one.org")) as mesh:
        _, upstream = await one(mesh)
        assert b"Host: one.org\r\n" in upstream.received
        assert b"x-envoy-original-host: a.com\r\n" in upstream.received
        assert b"x-forwarded-host: a.com\r\n" in upstream.received


async def test_an_endpoint_without_a_name_leaves_the_host():
    async with Mesh(route=forward_to("up", auto_host=True, forwarded_host=True), cluster=named("")) as mesh:
        _, upstream = await one(mesh)
        assert b"Host: a.com\r\n" in upstream.received
        assert b"x-envoy-original-host" not in upstream.received


async def test_a_retry_asks_for_its_own_endpoints_name_and_keeps_the_first_host():
    policy = RetryPolicy(conditions=frozenset(("5xx",)), base_interval=0.001, max_interval=0.001)
    async with Mesh(route=forward_to("up", auto_host=True, forwarded_host=True, retry=policy), cluster=named("one.org", "two.org")) as mesh:
        _, first = await one(mesh)
        first.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        await mesh.advance(0.1)
        second = await mesh.accepted()
        await mesh.settle()
        hosts = [peer.received.partition(b"Host: ")[2].partition(b"\r\n")[0] for peer in (first, second)]
        assert sorted(hosts) == [b"one.org", b"two.org"]
        assert second.received.count(b"a.com") == 2, "once as the original host, once as forwarded"


async def test_a_body_is_written_as_configured():
    written = BodyFormat(b"text/html", lambda exchange, body: b"<%b of %b>" % (body, exchange.head.path))
    async with Mesh(route=Route(name="r", action=DirectReply(status=200, body=b"it", format=written))) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert b"content-type: text/html\r\n" in client.received
        assert client.received.endswith(b"\r\n\r\n<it of /a>")


async def test_a_route_may_ask_for_a_certificate():
    none = forward_to("up")
    async with Mesh(route=Route(name="r", action=none.action, requires=conditions.certificate(False))) as mesh:
        _, upstream = await one(mesh)
        assert upstream.received
    async with Mesh(route=Route(name="r", action=none.action, requires=conditions.certificate(True))) as mesh:
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        assert client.received.startswith(b"HTTP/1.1 404")


async def test_headers_for_insiders_are_taken_from_strangers():
    async with Mesh() as mesh:
        table = mesh.options.route.table
        mesh.options.route.table = RouteTable("test", table._find_host, internal_only=(b"x-inside", b"x-other"))
        _, upstream = await one(mesh, GET[:-2] + b"X-Inside: 1\r\nX-Outside: 2\r\n\r\n")
        assert b"X-Outside" in upstream.received
        assert b"X-Inside" not in upstream.received


async def test_a_share_may_have_its_cluster_from_a_header():
    targets = ((30, Target(cluster="up")), (100, Target(cluster="", cluster_header=b"x-to")))
    action = Forward(targets=targets, total_weight=100, draws=lambda exchange: int(exchange.head.get(b"x-number")))
    async with Mesh(route=Route(name="r", action=action)) as mesh:
        client, upstream = await one(mesh, GET[:-2] + b"X-Number: 29\r\n\r\n")
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await mesh.settle()
        client.send(GET[:-2] + b"X-Number: 30\r\nX-To: nowhere\r\n\r\n")
        await mesh.settle()
        assert [exchange.cluster_name for exchange in mesh.exchanges] == ["up", "nowhere"]
        assert mesh.exchanges[1].details == "cluster_not_found"


def test_a_table_may_find_hosts_by_another_header():
    seen = []
    table = RouteTable("t", lambda host: seen.append(host), host_header=b"x-host")
    for fields in ([(b"X-Host", b"b.org")], []):
        table.match(_head(fields), 0)
    assert seen == [b"b.org", b""]


def _head(fields):
    return RequestHead(b"GET", b"/", b"a.com", fields)
