"""The ADS client against a control plane over real gRPC: order of requests, refusals, lost streams."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError

from pymesh.xds import proto, types
from pymesh_proxy.discovery.channel import Channels
from pymesh_proxy.discovery.client import ADS, Client
from pymesh_proxy.discovery.secrets import SecretStreams
from pymesh_proxy.discovery.source import GrpcSource, Variant

from .resources import assignment, cluster, delta, listener, route, secret, sotw, with_secret
from .server import Server, Stream
from .world import World

CDS, EDS, LDS, RDS, SDS, NDS = types.PUSH_ORDER
NODE = proto.base.Node(id="sidecar~1.1.1.1~a.b~b.svc", cluster="c")


class Bench:
    """A server, and a client that configures a recording runtime from it."""

    def __init__(self, server: Server, world: World, variant: Variant) -> None:
        self.server = server
        self.world = world
        source = GrpcSource(
            variant=variant,
            target="wherever the server is",
            metadata=(("authorization", "Bearer x"),),
            back_off_base=0.01,
            back_off_max=0.02,
        )
        self.client = Client(
            source,
            open_channel=self.open_channel,
            methods=ADS,
            subscribe=types.PUSH_ORDER,
            consumer=world.configuration,
            node=NODE,
            status=world.status,
            stream=world.status.control_plane,
            name="ads",
        )
        world.configuration.on_change.append(self.client.refresh)

    def open_channel(self, source: GrpcSource, attempt: int) -> Any:
        return Channels({}, lambda name: None).open(dataclasses.replace(source, target=self.server.target), attempt)

    async def hear(self, stream: Stream, count: int) -> list[str]:
        """The next requests, in short."""
        return [brief(await stream.heard()) for _ in range(count)]


def brief(request: Any) -> str:
    """`cds +a -b ack 1` and the like."""
    words = [types.SHORT[request.type_url]]
    if request.DESCRIPTOR.name == "DeltaDiscoveryRequest":
        words += [f"+{name}" for name in request.resource_names_subscribe] + [f"-{name}" for name in request.resource_names_unsubscribe]
        words += [f"{name}={version}" for name, version in sorted(request.initial_resource_versions.items())]
    else:
        words += [*request.resource_names, *([f"at {request.version_info}"] if request.version_info else [])]
    if request.response_nonce:
        words.append(f"{'nack' if request.HasField('error_detail') else 'ack'} {request.response_nonce}")
    return " ".join(words)


@contextlib.asynccontextmanager
async def running(directory: Path, variant: Variant) -> AsyncIterator[Bench]:
    async with Server(directory) as server:
        bench = Bench(server, await World().start(), variant)
        task = asyncio.ensure_future(bench.client.run())  # noqa: TID251  cancelled below
        try:
            yield bench
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with running(tmp_path, Variant.DELTA) as made:
        yield made


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for offers no event
            await asyncio.sleep(0)


async def configured(bench: Bench) -> Stream:
    """A stream on which cluster c and listener l with routes r were given and acknowledged."""
    stream = await bench.server.accept()
    stream.say(delta(CDS, cluster("c"), nonce="1"))
    stream.say(delta(EDS, assignment("c", 80), nonce="2"))
    stream.say(delta(LDS, listener("l", "r"), nonce="3"))
    stream.say(delta(RDS, route("r"), nonce="4"))
    assert await bench.hear(stream, 8) == ["cds", "eds +c", "cds ack 1", "eds ack 2", "lds", "rds +r", "lds ack 3", "rds ack 4"]
    return stream


async def test_what_a_response_names_is_asked_for_before_it_is_acknowledged(bench: Bench) -> None:
    await configured(bench)
    assert bench.world.runtime.take() == ["cluster c", "endpoints c", "routes r", "listener l:1"]


async def test_node_introduces_itself(bench: Bench) -> None:
    stream = await bench.server.accept()
    assert (await stream.heard()).node == NODE


async def test_token_of_the_service_goes_along(bench: Bench) -> None:
    stream = await bench.server.accept()
    await stream.heard()
    assert stream.metadata["authorization"] == "Bearer x"


async def test_state_of_the_world_speaks_in_the_same_order(tmp_path: Path) -> None:
    async with running(tmp_path, Variant.SOTW) as bench:
        stream = await bench.server.accept()
        stream.say(sotw(CDS, cluster("c"), nonce="1", version="v1"))
        stream.say(sotw(EDS, assignment("c", 80), nonce="2", version="v2"))
        stream.say(sotw(LDS, listener("l"), nonce="3", version="v3"))
        assert await bench.hear(stream, 6) == ["cds", "eds c", "cds at v1 ack 1", "eds c at v2 ack 2", "lds", "lds at v3 ack 3"]


async def test_refusal_names_the_field_and_the_last_good_stays(bench: Bench) -> None:
    stream = await configured(bench)
    bench.world.runtime.take()
    stream.say(delta(CDS, cluster("c", timeout=13), nonce="5", removed=("x",)))
    refused = await stream.heard()
    assert (brief(refused), refused.error_detail.code) == ("cds nack 5", 13)
    assert refused.error_detail.message == "Cluster c: connect_timeout: 13 is not supported; Cluster c: name: neither"
    assert bench.world.runtime.take() == []
    status = bench.world.status.of(CDS)
    assert (status.update_success, status.update_rejected, status.last_error) == (1, 1, refused.error_detail.message)


async def test_stream_goes_on_after_a_refusal(bench: Bench) -> None:
    stream = await configured(bench)
    stream.say(delta(CDS, cluster("c", timeout=13), nonce="5"))
    stream.say(delta(CDS, cluster("d", eds=False), nonce="6"))
    assert await bench.hear(stream, 2) == ["cds nack 5", "cds ack 6"]
    assert bench.world.status.of(CDS).last_error == ""


async def test_response_of_a_type_nobody_asked_for_is_ignored(bench: Bench) -> None:
    stream = await configured(bench)
    stream.say(proto.discovery.DeltaDiscoveryResponse(type_url="type.googleapis.com/istio.workload.Address", nonce="5"))
    stream.say(delta(CDS, nonce="6"))
    assert await bench.hear(stream, 1) == ["cds ack 6"]


async def test_lost_stream_is_opened_again_with_what_is_held(bench: Bench) -> None:
    stream = await configured(bench)
    bench.world.runtime.take()
    stream.cut()
    stream = await bench.server.accept()
    assert await bench.hear(stream, 4) == ["cds c=1", "eds +c c=1", "lds l=1", "rds +r r=1"]
    assert bench.world.runtime.take() == []


async def test_what_was_refused_on_a_lost_stream_is_refused_again_on_the_next(bench: Bench) -> None:
    stream = await configured(bench)
    bad = delta(CDS, cluster("c", timeout=13), nonce="5", version="2")
    stream.say(bad)
    stream.cut()
    stream = await bench.server.accept()
    assert await bench.hear(stream, 4) == ["cds c=1", "eds +c c=1", "lds l=1", "rds +r r=1"]
    stream.say(bad)
    assert await bench.hear(stream, 1) == ["cds nack 5"]


async def test_response_larger_than_grpcs_own_limit_is_taken(bench: Bench) -> None:
    stream = await configured(bench)
    large = cluster("large", eds=False)
    large.alt_stat_name = "x" * (5 * 1024 * 1024)
    stream.say(delta(CDS, large, nonce="5"))
    assert await bench.hear(stream, 1) == ["cds ack 5"]


async def test_push_cut_in_the_middle_is_finished_on_the_next_stream(bench: Bench) -> None:
    stream = await bench.server.accept()
    stream.say(delta(CDS, cluster("c"), nonce="1"))
    assert await bench.hear(stream, 3) == ["cds", "eds +c", "cds ack 1"]
    stream.cut()
    stream = await bench.server.accept()
    assert await bench.hear(stream, 2) == ["cds c=1", "eds +c"]
    stream.say(delta(EDS, assignment("c", 80), nonce="2"))
    assert await bench.hear(stream, 2) == ["eds ack 2", "lds"]
    assert bench.world.runtime.take() == ["cluster c", "endpoints c"]


async def test_state_of_the_stream_can_be_seen(bench: Bench) -> None:
    stream = await configured(bench)
    control_plane = bench.world.status.control_plane
    assert (control_plane.connected_state, control_plane.last_failure) == (1, "")
    stream.cut()
    await bench.server.accept()
    assert (control_plane.connected_state, control_plane.last_failure) == (0, "UNAVAILABLE: cut by the test")
    assert bench.world.status.of(CDS).update_failure == 1


async def test_control_plane_that_is_away_does_not_end_the_client(bench: Bench, tmp_path: Path) -> None:
    await configured(bench)
    await bench.server.stop()
    await until(lambda: bench.world.status.control_plane.last_failure == "cannot connect")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with Server(elsewhere) as bench.server:
        stream = await bench.server.accept()
        assert await bench.hear(stream, 1) == ["cds c=1"]


async def test_secrets_of_a_service_come_on_a_stream_of_their_own(tmp_path: Path) -> None:
    world = await World().start()
    async with Server(tmp_path) as server:
        channels = Channels({}, lambda name: None)

        def open_channel(source: GrpcSource, attempt: int) -> Any:
            assert source.cluster == "agent"
            return channels.open(GrpcSource(variant=source.variant, target=server.target), attempt)

        streams = SecretStreams(world.configuration, open_channel, NODE, world.status)
        world.configuration.on_change.append(streams.refresh)
        try:
            assert await world.give(CDS, with_secret(cluster("c", eds=False), "default", service="agent")) == []
            stream = await server.accept()
            assert brief(await stream.heard()) == "sds default"
            stream.say(sotw(SDS, secret("default"), nonce="1", version="v1"))
            assert brief(await stream.heard()) == "sds default at v1 ack 1"
            assert world.runtime.take() == ["secret default", "cluster c"]
        finally:
            streams.close()


@pytest.mark.parametrize("variant", Variant)
async def test_goodbye_is_on_its_way_when_it_returns_and_is_repeated_on_a_new_stream(tmp_path: Path, variant: Variant) -> None:
    async with running(tmp_path, variant) as bench:
        stream = await bench.server.accept()
        assert await bench.hear(stream, 1) == ["cds"]
        await bench.client.say_unwell("draining")
        told = await stream.heard()
        assert (told.type_url, told.error_detail.message) == (types.HEALTH, "draining")
        stream.cut()
        stream = await bench.server.accept()
        told = await stream.heard()
        assert (told.type_url, told.node) == (types.HEALTH, NODE)


async def test_what_is_felt_is_told_at_once_and_the_last_of_it_on_a_new_stream(tmp_path: Path) -> None:
    async with running(tmp_path, Variant.DELTA) as bench:
        stream = await bench.server.accept()
        assert await bench.hear(stream, 1) == ["cds"]
        for reason in ("refused", ""):
            bench.client.feel(reason)
            told = await stream.heard()
            assert (told.type_url, told.HasField("error_detail"), told.error_detail.message) == (types.HEALTH, bool(reason), reason)
        bench.client.feel("late")
        assert (await stream.heard()).error_detail.message == "late"
        stream.cut()
        stream = await bench.server.accept()
        assert (await stream.heard()).error_detail.message == "late"


async def test_goodbye_without_a_stream_waits_for_nobody(tmp_path: Path) -> None:
    client = Bench(Server(tmp_path), await World().start(), Variant.DELTA).client
    async with asyncio.timeout(0.5):
        await client.say_unwell("draining")


async def test_a_response_that_does_not_parse_loses_the_stream_and_not_the_client(bench: Bench) -> None:
    class Unreadable:
        @staticmethod
        def FromString(_: bytes) -> Any:  # noqa: N802  protobuf's name
            raise DecodeError("cut short")

    first, readable = await bench.server.accept(), bench.client._response_class
    bench.client._response_class = Unreadable
    first.cut()
    (await bench.server.accept()).say(delta(CDS, cluster("c"), nonce="1"))
    bench.client._response_class = readable
    await configured(bench)


async def test_a_defect_of_ours_loses_the_stream_and_not_the_client(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(bench.world.configuration, "_promote_clusters", lambda: 1 // 0)
        stream = await bench.server.accept()
        stream.say(delta(CDS, cluster("c"), nonce="1"))
        await stream.heard()
        second = await bench.server.accept()
    second.cut()
    stream = await bench.server.accept()
    stream.say(delta(CDS, cluster("d"), nonce="1"))
    while brief(await stream.heard()) != "cds ack 1":
        pass
