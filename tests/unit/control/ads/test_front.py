"""TLS in front of the secure port: what it takes from clients, and what it never gives them."""

import asyncio
import logging
import socket
import ssl
import struct
import time

import grpc
import grpc.aio
import pytest

from pymesh.xds import types

from .client import ask
from .pki import Root
from .served import node, refusal, secure, stub

WEB = "spiffe://cluster.local/ns/shop/sa/web"


@pytest.fixture(scope="module")
def root():
    return Root()


def client(root):
    made = ssl.create_default_context(cadata=root.pem.decode())
    made.set_alpn_protocols(["h2"])
    return made


async def connected(served, tls):
    host, port = served.address.split(":")
    return await asyncio.open_connection(host, int(port), ssl=tls, server_hostname="localhost")


async def refused(served, root, leaf):
    """How a stream with this certificate ended: code and sentence."""
    credentials = grpc.ssl_channel_credentials(root.pem, leaf[1], leaf[0])
    async with grpc.aio.secure_channel(served.address, credentials) as via:
        call = stub(via).StreamAggregatedResources()
        request = ask(types.CLUSTER)
        request.node.CopyFrom(node(NAMESPACE="shop"))
        await call.write(request)
        return await refusal(call)


async def test_a_client_that_aborts_after_the_handshake_leaves_no_trace(root, caplog):
    caplog.set_level(logging.ERROR)
    async with secure(root) as served:
        _, writer = await connected(served, client(root))
        reset = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()
        reader, writer = await connected(served, client(root))  # the reset has been seen before this handshake is done
        assert await reader.read(1)  # the server's HTTP/2 settings
        writer.close()
    assert caplog.records == []


async def test_a_certificate_that_may_sign_others_identifies_nobody(root, caplog):
    async with secure(root) as served:
        code, _ = await refused(served, root, root.workload(WEB, signs=True))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "may sign others" in caplog.text


async def test_a_certificate_that_expired_within_its_session_identifies_nobody(root, caplog):
    async with secure(root, clock=lambda: time.time() + 2 * 3600) as served:
        code, _ = await refused(served, root, root.workload(WEB))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "expired" in caplog.text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_session_ticket_is_given_out(root, version):
    tls = client(root)
    tls.maximum_version = version
    async with secure(root) as served:
        reader, writer = await connected(served, tls)
        assert await reader.read(1)  # tickets of TLS 1.3 come before any data
        ssl_object = writer.get_extra_info("ssl_object")
        assert ssl_object.version() == version.name.replace("_", ".")
        assert ssl_object.session is None or not ssl_object.session.has_ticket
        writer.close()
