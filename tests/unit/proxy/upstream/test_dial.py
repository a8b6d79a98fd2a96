"""Connections that come to nothing: whatever the reason, the request hears of it, and nothing is left open or counted."""

import asyncio
import errno

import pytest

from pymesh_proxy.testing import Mesh, static_cluster
from pymesh_proxy.tls.config import UpstreamTls, ValidationSource
from pymesh_proxy.upstream import dial
from tests.waiting import eventually

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def mesh_of(**settings):
    return Mesh(cluster=static_cluster("up", ("10.0.0.1", 80), **settings))


async def answered(client):
    async def look():
        return client.received

    return await eventually(look)


def assert_nothing_is_left(mesh):
    cluster = mesh.runtime.clusters.get("up")
    assert cluster.breaker.connections == cluster.breaker.pending == cluster.endpoints[0].cx_active == 0
    assert cluster.upstream_cx_connect_fail == 1


async def test_a_server_that_does_not_shake_hands_in_time_loses_its_connection():
    cluster = static_cluster("up", ("10.0.0.1", 80), tls=UpstreamTls(), connect_timeout=0.05)
    async with Mesh(cluster=cluster) as mesh:
        mesh.connect().send(GET)
        upstream = await mesh.accepted()
        async with asyncio.timeout(30):
            while not mesh.exchanges:
                await mesh.settle()
        await mesh.settle()
        assert mesh.exchanges[0].details == "upstream_reset_before_response_started{connection_timeout|connection_timeout}"
        assert upstream.received, "there was no handshake"
        assert upstream.hung_up
        assert mesh.runtime.clusters.get("up").handshakes["ssl.connection_error"] == 0, "no handshake has failed: none took place"
        assert_nothing_is_left(mesh)


async def test_keepalive_times_that_the_system_refuses_leave_no_connection(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(dial, "_keepalive", refuse)
    async with mesh_of(keepalive=(3, 40_000, 10)) as mesh:
        client = mesh.connect()
        client.send(GET)
        server = await mesh.accepted()
        assert (await answered(client)).startswith(b"HTTP/1.1 503")
        await mesh.settle()
        assert server.hung_up
        assert_nothing_is_left(mesh)


NO_BUNDLE = ValidationSource(trusted_ca=b"none")


@pytest.mark.parametrize("tls", [UpstreamTls(sni="a..b"), UpstreamTls(sni=".a"), UpstreamTls(validation=NO_BUNDLE)])
async def test_tls_settings_that_do_not_work_fail_the_request(tls):
    async with mesh_of(tls=tls) as mesh:
        client = mesh.connect()
        client.send(GET)
        assert (await answered(client)).startswith(b"HTTP/1.1 503")
        assert_nothing_is_left(mesh)
