"""Versions of a cluster that come, go and come back: what belonged to one that serves no longer ends with it."""

import asyncio
import dataclasses

import pytest

from pymesh_proxy.http.exchange import Downstream
from pymesh_proxy.testing import Mesh, static_cluster
from pymesh_proxy.tls.config import UpstreamTls
from pymesh_proxy.upstream.config import (
    Assignment,
    ClusterConfig,
    Discovery,
    EndpointConfig,
    Limits,
    ProxyHeader,
    TransportMatch,
    UpstreamProtocol,
)
from pymesh_proxy.upstream.dns_config import DnsConfig, NameServers
from pymesh_proxy.upstream.health_config import HealthCheckConfig, TcpProbe
from pymesh_proxy.upstream.manager import _ORIGINAL_LIMIT
from pymesh_proxy.upstream.zones import LocalCluster

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FACTS = Downstream(remote_address="192.0.2.7:40000", local_address="192.0.2.1:8080")
NOBODY = NameServers(addresses=(("192.0.2.1", 53),), search=False)
CHECK = HealthCheckConfig(
    probe=TcpProbe(receive=(b"never",)), timeout=5.0, interval=5.0, unhealthy_threshold=1, healthy_threshold=1, unhealthy_interval=5.0,
    unhealthy_edge_interval=5.0, healthy_edge_interval=5.0,
)  # fmt: skip


def named(name="d", **settings):
    endpoint = EndpointConfig(host="a.test", port=80)
    assignment = Assignment(cluster=name, endpoints=(endpoint,))
    return ClusterConfig(
        name=name, discovery=Discovery.STRICT_DNS, assignment=assignment, dns=DnsConfig(servers=NOBODY), connect_timeout=1.0, **settings
    )


async def test_a_version_in_between_ends_when_the_one_that_serves_is_given_again():
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        serving = named()
        clusters.look_up(serving)
        clusters.put(serving)
        again = clusters.look_up(dataclasses.replace(serving))
        kept = clusters.put(dataclasses.replace(serving))
        assert kept is clusters.get("d")
        assert again.is_set(), "nobody looks its names up any more"
        assert clusters._prepared == {}
        clusters.remove("d")


async def test_the_checks_of_a_version_in_between_end_likewise():
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        serving = clusters.get("up").config
        assert clusters.prepare(dataclasses.replace(serving, health_check=CHECK), None, list)
        checked = await mesh.accepted()
        assert not clusters.prepare(dataclasses.replace(serving), None, list)
        clusters.put(dataclasses.replace(serving))
        await mesh.settle()
        assert checked.hung_up


async def test_the_checks_of_a_static_version_end_when_one_of_names_takes_its_place():
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        assert clusters.prepare(static_cluster("d", ("10.0.0.9", 80), health_check=CHECK), None, list)
        checked = await mesh.accepted()
        newer = named()
        clusters.look_up(newer)
        clusters.put(newer)
        await mesh.settle()
        assert checked.hung_up
        clusters.remove("d")


async def test_a_new_version_of_a_cluster_of_original_destinations_begins_with_new_connections():
    config = ClusterConfig(name="through", discovery=Discovery.ORIGINAL_DST)
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        older = clusters.original_destination(clusters.put(config), ("10.0.0.7", 80))
        pool = mesh.runtime.pools.of(clusters.get("through"), older, FACTS)
        newer = clusters.put(dataclasses.replace(config, limits=Limits(max_requests=1)))
        endpoint = clusters.original_destination(newer, ("10.0.0.7", 80))
        assert endpoint is not older
        assert mesh.runtime.pools.of(newer, endpoint, FACTS).cluster is newer
        assert older.pool is None, "its connections are left"
        assert pool.cluster is not newer


async def test_destinations_in_use_are_not_gone_through_for_each_new_one():
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        cluster = clusters.put(ClusterConfig(name="through", discovery=Discovery.ORIGINAL_DST))
        tables = []
        for number in range(_ORIGINAL_LIMIT + 100):
            clusters.original_destination(cluster, (f"10.0.{number // 256}.{number % 256}", 80)).cx_active = 1
            if not tables or clusters._original is not tables[-1]:
                tables.append(clusters._original)
        assert len(tables) == 2
        assert len(clusters._original) == _ORIGINAL_LIMIT + 100


async def test_an_endpoint_whose_tls_changes_is_left():
    tls = TransportMatch(name="istio", labels=(("tlsMode", "istio"),), tls=UpstreamTls())
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), transport_matches=(tls,))) as mesh:
        mesh.connect().send(GET)
        upstream = await mesh.accepted()
        upstream.send(OK)
        await mesh.settle()
        cluster = mesh.runtime.clusters.get("up")
        (before,) = cluster.endpoints
        changed = EndpointConfig(host="10.0.0.1", port=80, transport_match=(("tlsMode", "istio"),))
        assert cluster.assign(Assignment(cluster="up", endpoints=(changed,))) == [before]
        assert cluster.membership_change == 2


async def test_requests_under_way_to_a_former_local_cluster_tell_nothing_of_the_callers():
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        clusters.local = LocalCluster("like", None)
        former = clusters.put(static_cluster("like", ("10.0.0.1", 80)))
        clusters.put(static_cluster("like", ("10.0.0.2", 80)))
        former.rebalance()
        assert [endpoint.config.host for endpoint in clusters.local.hosts.endpoints] == ["10.0.0.2"]


async def test_eds_names_that_nobody_uses_are_forgotten():
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        clusters.put(ClusterConfig(name="e", discovery=Discovery.EDS, eds_name="there"))
        clusters.remove("e")
        assert clusters._by_eds_name == {}


@pytest.mark.parametrize("protocol", [UpstreamProtocol.HTTP1, UpstreamProtocol.HTTP2])
async def test_a_connection_that_only_one_client_may_use_ends_if_that_has_gone(protocol):
    """With a PROXY header nobody else's request may follow on it."""
    async with Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), proxy_header=ProxyHeader(version=1), protocol=protocol)) as mesh:
        connected, gate = mesh.loop.create_connection, asyncio.Event()

        async def connect(*args, **options):
            await gate.wait()
            return await connected(*args, **options)

        mesh.loop.create_connection = connect
        client = mesh.connect()
        client.send(GET)
        await mesh.settle()
        client.reset()
        await mesh.settle()
        gate.set()
        upstream = await mesh.accepted()
        await mesh.settle()
        assert upstream.hung_up
        assert mesh.runtime.clusters.get("up").breaker.connections == 0
