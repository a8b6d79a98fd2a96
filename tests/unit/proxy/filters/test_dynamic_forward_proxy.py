"""Requests that name their upstream: which host is looked up, what is answered where none is found, and where requests go."""

import asyncio
from dataclasses import replace

import pytest

from pymesh_proxy.filters.dynamic_forward_proxy import DynamicForwardProxy, HostOverride
from pymesh_proxy.testing import Mesh, forward_to
from pymesh_proxy.upstream.config import ClusterConfig, Discovery
from pymesh_proxy.upstream.dns_cache import DnsCache
from pymesh_proxy.upstream.dns_config import DnsCacheConfig
from pymesh_proxy.upstream.lookup import Answer, LookupFailed

from .conftest import exchange, head


async def find(name):
    if name.startswith("slow"):
        await asyncio.Event().wait()
    if not name.startswith("known"):
        raise LookupFailed("no such name")
    return Answer(("10.0.0.7",), 60.0)


def dynamic(mesh: Mesh, **settings) -> ClusterConfig:
    cache = DnsCache(DnsCacheConfig(name="c", **settings), lambda: find, mesh.runtime.loop.time, mesh.runtime.sleep)
    return ClusterConfig(name="up", discovery=Discovery.DYNAMIC, dns_cache=cache)


@pytest.mark.parametrize(
    ("override", "headers", "host"),
    [
        (HostOverride(literal=b"b.test"), {}, b"b.test"),
        (HostOverride(header=b"x-to"), {"x_to": "c.test"}, b"c.test"),
        (HostOverride(header=b"x-to"), {}, b"a.com"),
        (HostOverride(literal=b"b.test", header=b"x-to"), {}, b"b.test"),
        (HostOverride(literal=b"b.test", header=b"x-to"), {"x_to": "c.test"}, b"c.test"),
        (HostOverride(header=b"x-to"), {"x_to": ""}, b""),
    ],
)
def test_a_route_names_another_host(override, headers, host):
    request = head(**headers)
    override.apply(request)
    assert request.authority == request.get(b"host") == host


async def answer(mesh: Mesh, host: bytes) -> bytes:
    client = mesh.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
    await mesh.settle()
    return client.received


async def test_a_host_is_looked_up_while_the_request_waits():
    async with Mesh(route=forward_to("up")) as mesh:
        mesh.runtime.clusters.put(dynamic(mesh))
        client = mesh.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: known.test:8080\r\nContent-Length: 2\r\n\r\nhi")
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.address == ("10.0.0.7", 8080)
        assert upstream.received.endswith(b"hi")


async def test_a_client_that_leaves_waits_no_more():
    async with Mesh(route=forward_to("up")) as mesh:
        cluster = mesh.runtime.clusters.put(dynamic(mesh))
        client = mesh.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: slow.test\r\n\r\n")
        await mesh.settle()
        assert cluster.config.dns_cache.pending == 1
        client.reset()
        await mesh.settle()
        assert cluster.config.dns_cache.pending == 0


async def test_a_host_that_is_not_there_is_no_healthy_upstream_without_the_filter():
    async with Mesh(route=forward_to("up")) as mesh:
        mesh.runtime.clusters.put(dynamic(mesh))
        assert (await answer(mesh, b"nowhere.test")).endswith(b"no healthy upstream")


async def test_a_replaced_cluster_knows_the_hosts_of_its_cache():
    async with Mesh(route=forward_to("up")) as mesh:
        former = dynamic(mesh)
        mesh.runtime.clusters.put(former)
        await answer(mesh, b"known.test")
        made = mesh.runtime.clusters.put(replace(former, idle_timeout=1.0))
        assert [endpoint.config.hostname for endpoint in made.endpoints] == ["known.test:80"]
        mesh.runtime.clusters.remove("up")
        assert not former.dns_cache.hosts


async def test_the_filter_answers_for_a_host_without_an_address():
    async with Mesh(route=forward_to("up")) as mesh:
        config = dynamic(mesh, max_hosts=1)
        asked = exchange(cluster=mesh.runtime.clusters.put(config))
        lookup = DynamicForwardProxy(config.dns_cache)
        asked.head.authority = b"nowhere.test"
        waited = await lookup.on_request(asked)
        assert (waited.status, waited.flags, waited.details) == (503, "DF", "dns_resolution_failure{no_such_name}")
        assert lookup.on_request(asked) == waited
        asked.head.authority = b"other.test"
        assert lookup.on_request(asked).details == "dns_cache_overflow"
        asked.head.authority = b""
        assert lookup.on_request(asked).status == 400
