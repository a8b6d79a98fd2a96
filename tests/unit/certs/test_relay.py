"""xDS through the agent: what Envoy says arrives as it is, and the workload's health with it."""

import asyncio

import grpc
import grpc.aio
import pytest

from pymesh.xds import proto, types
from pymesh_certs.agent.relay import Relay

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
DELTA = proto.discovery.DeltaDiscoveryRequest
FIRST = DELTA(node=proto.base.Node(id="me"), type_url=types.CLUSTER)
SECOND = DELTA(type_url=types.LISTENER)


class ControlPlane:
    """Notes what it hears, and answers each request about resources with its type."""

    def __init__(self):
        self.heard = asyncio.Queue()
        self.ended = asyncio.Event()
        self.server = grpc.aio.server()
        handler = grpc.stream_stream_rpc_method_handler(
            self.serve, DELTA.FromString, proto.discovery.DeltaDiscoveryResponse.SerializeToString
        )
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"DeltaAggregatedResources": handler}),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    async def serve(self, requests, context):
        try:
            async for request in requests:
                self.heard.put_nowait(request)
                if request.type_url == types.SECRET:
                    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you")
                if request.type_url != types.HEALTH:
                    yield proto.discovery.DeltaDiscoveryResponse(type_url=request.type_url)
        finally:
            self.ended.set()


@pytest.fixture
async def control():
    control = ControlPlane()
    await control.server.start()
    yield control
    await control.server.stop(None)


@pytest.fixture
async def relay(control, tmp_path):
    relay = Relay(lambda: grpc.aio.insecure_channel(f"127.0.0.1:{control.port}"), tmp_path / "XDS")
    await relay.start()
    yield relay
    await relay.stop()


@pytest.fixture
async def stream(relay, tmp_path):
    """Envoy's stream, not begun yet."""
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'XDS'}") as channel:
        yield channel.stream_stream(
            f"/{SERVICE}/DeltaAggregatedResources",
            request_serializer=DELTA.SerializeToString,
            response_deserializer=proto.discovery.DeltaDiscoveryResponse.FromString,
        )()


async def told(control, count):
    """What the control plane has heard: type, node, and why the workload is unwell."""
    async with asyncio.timeout(30):
        heard = [await control.heard.get() for _ in range(count)]
    return [(one.type_url, one.node.id, one.error_detail.message) for one in heard]


async def test_both_sides_hear_each_other_as_if_there_were_nobody_between(control, stream):
    for request in (FIRST, SECOND):
        await stream.write(request)
        assert (await stream.read()).type_url == request.type_url
    assert [await control.heard.get(), await control.heard.get()] == [FIRST, SECOND]


async def test_an_end_of_the_control_planes_is_envoys(stream):
    await stream.write(FIRST)
    await stream.read()
    await stream.write(DELTA(type_url=types.SECRET))
    with pytest.raises(grpc.aio.AioRpcError):
        await stream.read()
    assert (await stream.code(), await stream.details()) == (grpc.StatusCode.PERMISSION_DENIED, "not for you")


@pytest.mark.parametrize("end", ["done_writing", "cancel"])
async def test_an_end_of_envoys_is_the_control_planes(control, stream, end):
    await stream.write(FIRST)
    await stream.read()
    if end == "cancel":
        stream.cancel()
    else:
        await stream.done_writing()
    async with asyncio.timeout(30):
        await control.ended.wait()


async def test_a_control_plane_that_is_away_is_said_to_be(control, stream):
    await control.server.stop(None)
    await stream.write(FIRST)
    assert await stream.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_root_that_cannot_be_read_ends_the_stream_with_the_reason(tmp_path):
    relay = Relay((tmp_path / "absent.pem").read_bytes, tmp_path / "XDS")
    await relay.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'XDS'}") as channel:
        call = channel.stream_stream(f"/{SERVICE}/DeltaAggregatedResources")()
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert "absent.pem" in await call.details()
    await relay.stop()


async def test_health_is_told_before_a_stream_begins_and_when_it_changes(control, relay, stream):
    relay.feel("no probe has succeeded yet")
    await stream.write(FIRST)
    assert await told(control, 2) == [(types.HEALTH, "me", "no probe has succeeded yet"), (types.CLUSTER, "me", "")]
    relay.feel("")
    relay.feel("refused")
    assert await told(control, 2) == [(types.HEALTH, "", ""), (types.HEALTH, "", "refused")]


async def test_a_well_workload_says_nothing_until_it_leaves(control, relay, stream):
    await stream.write(FIRST)
    assert await told(control, 1) == [(types.CLUSTER, "me", "")]
    await relay.say_unwell("draining")
    assert await told(control, 1) == [(types.HEALTH, "", "draining")]


async def test_a_farewell_waits_for_no_stream_that_is_not_there(relay):
    async with asyncio.timeout(0.5):
        await relay.say_unwell("draining")
