"""An ADS server in this process, on free ports, and real gRPC clients of it."""

import asyncio
import contextlib
import socket
import time

import grpc.aio

from pymesh.xds import node as nodes
from pymesh.xds import proto
from pymesh_control.ads import admission, front, servicer
from pymesh_control.ads.clients import DEFAULT_LIMIT, Clients
from pymesh_control.metrics import Metrics
from pymesh_control.push.pusher import Pusher

from .client import world

NODE = "sidecar~127.0.0.1~web-1.shop~shop.svc.cluster.local"
TIMEOUT = 10


class Configuration:
    """A world that tests replace."""

    def __init__(self, **content):
        self.now = world(**content)

    def view(self, node, identity):
        try:
            return nodes.parse(node.id)
        except nodes.InvalidNodeId as error:
            raise ValueError(str(error)) from None

    def resources(self, view):
        return self.now


class Presence:
    """Writes down who comes and goes."""

    def __init__(self):
        self.seen = asyncio.Queue()

    def arrived(self, node, view, identity):
        self.seen.put_nowait(("arrived", node.id, identity and str(identity)))

    def felt(self, node, view, reason):
        self.seen.put_nowait(("unwell" if reason else "well", node.id))

    def left(self, node, view, *, well):
        self.seen.put_nowait(("left" if well else "left for good", node.id))


class Served:
    def __init__(self, configuration, limit=DEFAULT_LIMIT):
        self.configuration = configuration
        self.presence = Presence()
        self.metrics = Metrics()
        self.pusher = Pusher()
        self.clients = Clients(configuration, self.presence, self.pusher.queue, self.metrics, limit=limit)

    def push(self, **content):
        self.configuration.now = world(**content)
        self.clients.push(time.monotonic())


@contextlib.asynccontextmanager
async def plaintext(limit=DEFAULT_LIMIT, **content):
    """A server without identities; `.address` is where it listens."""
    served = Served(Configuration(**content), limit)
    server = servicer.server(served.clients, admission.anyone, served.metrics)
    served.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    served.pusher.start()
    try:
        yield served
    finally:
        await served.pusher.stop()
        await server.stop(None)


@contextlib.asynccontextmanager
async def secure(root, clock=time.time, **content):
    """A server behind the TLS front, for trust domain cluster.local."""
    served = Served(Configuration(**content))
    served.front = front.TlsFront(front.context(*root.server(), root.pem), clock)
    server = servicer.server(
        served.clients,
        lambda peer, node: admission.as_itself(served.front.identity_of(peer), node, "cluster.local"),
        served.metrics,
    )
    server.add_insecure_port(served.front.address)
    await server.start()
    listening = socket.create_server(("127.0.0.1", 0))
    await served.front.start(listening)
    served.address = f"127.0.0.1:{listening.getsockname()[1]}"
    served.pusher.start()
    try:
        yield served
    finally:
        await served.pusher.stop()
        await served.front.stop()
        await server.stop(None)


def node(node_id=NODE, **metadata):
    made = proto.base.Node(id=node_id)
    made.metadata.update(metadata)
    return made


def stub(channel):
    return proto.ads_grpc.AggregatedDiscoveryServiceStub(channel)


async def read(call):
    """The next response; an RPC error or silence fails the test."""
    async with asyncio.timeout(TIMEOUT):
        response = await call.read()
    assert response is not grpc.aio.EOF
    return response


async def refusal(call):
    """How the server ended the stream: code and sentence."""
    async with asyncio.timeout(TIMEOUT):
        return await call.code(), await call.details()
