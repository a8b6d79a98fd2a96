"""Connections that come to nothing leave nothing behind."""

import asyncio

from pymesh_proxy.testing import Mesh, static_cluster
from pymesh_proxy.tls.config import UpstreamTls

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


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
