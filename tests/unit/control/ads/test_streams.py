"""Both forms over real gRPC: streams, pushes, and clients that vanish."""

import asyncio

import grpc
import grpc.aio

from pymesh.xds import types

from .client import ask, ask_delta, told, versions_in
from .served import NODE, TIMEOUT, node, plaintext, read, refusal, stub

CDS, EDS = types.CLUSTER, types.ENDPOINT


def first(request, **kwargs):
    request.node.CopyFrom(node(**kwargs))
    return request


async def test_a_state_of_the_world_client_gets_answers_and_pushes():
    async with plaintext(cds={"a": "1"}, eds={"a": "1"}) as served, grpc.aio.insecure_channel(served.address) as channel:
        call = stub(channel).StreamAggregatedResources()
        await call.write(first(ask(CDS)))
        clusters = await read(call)
        assert versions_in(clusters) == {"a": "1"}
        await call.write(ask(EDS, "a"))
        assert told([await read(call)]) == ["eds a"]
        await call.write(ask(CDS, nonce=clusters.nonce))
        served.push(cds={"a": "1", "b": "1"}, eds={"a": "1"})
        assert told([await read(call)]) == ["cds a b"]
        call.cancel()


async def test_a_delta_client_gets_answers_and_pushes():
    async with plaintext(cds={"a": "1"}) as served, grpc.aio.insecure_channel(served.address) as channel:
        call = stub(channel).DeltaAggregatedResources()
        await call.write(first(ask_delta(CDS)))
        assert told([await read(call)]) == ["cds a"]
        served.push(cds={"b": "1"})
        assert told([await read(call), await read(call)]) == ["cds b", "cds -a"]
        call.cancel()


async def test_a_client_counts_as_present_from_its_first_request_to_the_end_of_its_stream():
    async with plaintext() as served, grpc.aio.insecure_channel(served.address) as channel:
        call = stub(channel).DeltaAggregatedResources()
        await call.write(first(ask_delta(CDS)))
        await read(call)
        assert [stream.node.id for stream in served.clients] == [NODE]
        call.cancel()
        async with asyncio.timeout(TIMEOUT):
            assert await served.presence.seen.get() == ("arrived", NODE, None)
            assert await served.presence.seen.get() == ("left", NODE)
        assert list(served.clients) == []


async def test_a_client_that_is_not_well_says_so_on_its_stream_and_is_served_on():
    async with plaintext(cds={"a": "1"}) as served, grpc.aio.insecure_channel(served.address) as channel:
        call = stub(channel).DeltaAggregatedResources()
        await call.write(first(ask_delta(CDS)))
        await read(call)
        for _ in range(2):  # saying it again changes nothing
            await call.write(ask_delta(types.HEALTH, error="draining"))
        served.push(cds={"a": "2"})
        assert told([await read(call)]) == ["cds a"]
        await call.write(ask_delta(types.HEALTH))
        await call.write(ask_delta(types.HEALTH, error="draining"))
        await call.done_writing()
        async with asyncio.timeout(TIMEOUT):
            seen = [(await served.presence.seen.get())[0] for _ in range(5)]
        assert seen == ["arrived", "unwell", "well", "unwell", "left for good"]


async def test_a_client_that_closes_its_side_ends_its_stream_without_an_error():
    async with plaintext(cds={"a": "1"}) as served, grpc.aio.insecure_channel(served.address) as channel:
        call = stub(channel).StreamAggregatedResources()
        await call.write(first(ask(CDS)))
        await read(call)
        await call.done_writing()
        assert (await refusal(call))[0] is grpc.StatusCode.OK


async def test_a_stream_cut_in_the_middle_of_a_push_disturbs_no_other_and_is_made_up_for_on_the_next():
    big = {f"cluster-{number:04}": "1" for number in range(3000)}
    async with plaintext(cds={"a": "1"}, eds={"a": "1"}) as served:
        other_channel = grpc.aio.insecure_channel(served.address)
        other = stub(other_channel).DeltaAggregatedResources()
        await other.write(first(ask_delta(CDS), node_id="sidecar~127.0.0.2~web-2.shop~shop.svc.cluster.local"))
        await read(other)
        channel = grpc.aio.insecure_channel(served.address)
        call = stub(channel).DeltaAggregatedResources()
        await call.write(first(ask_delta(CDS)))
        held = await read(call)
        served.push(cds={"a": "1", **big})
        await channel.close()
        assert versions_in(await read(other)) == big
        served.push(cds={"a": "2", **big})
        assert told([await read(other)]) == ["cds a"]
        async with grpc.aio.insecure_channel(served.address) as again:
            call = stub(again).DeltaAggregatedResources()
            await call.write(first(ask_delta(CDS, held=versions_in(held))))
            assert versions_in(await read(call)) == {"a": "2", **big}
            call.cancel()
        other.cancel()
        await other_channel.close()


async def test_a_first_request_without_a_node_is_refused_with_a_sentence():
    async with plaintext() as served, grpc.aio.insecure_channel(served.address) as channel:
        call = stub(channel).StreamAggregatedResources()
        await call.write(ask(CDS))
        assert await refusal(call) == (
            grpc.StatusCode.INVALID_ARGUMENT, "the first request of a stream must carry the node with its id",
        )  # fmt: skip


async def test_a_node_id_that_is_not_istios_is_refused_with_a_sentence():
    async with plaintext() as served, grpc.aio.insecure_channel(served.address) as channel:
        call = stub(channel).StreamAggregatedResources()
        await call.write(first(ask(CDS), node_id="me"))
        code, sentence = await refusal(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "has 1 parts" in sentence


async def test_an_error_of_ours_ends_one_stream_and_is_counted():
    async with plaintext() as served, grpc.aio.insecure_channel(served.address) as channel:

        def fails(type_url, names):
            raise ZeroDivisionError

        served.configuration.now = fails
        call = stub(channel).StreamAggregatedResources()
        await call.write(first(ask(CDS)))
        assert (await refusal(call))[0] is grpc.StatusCode.INTERNAL
        assert served.metrics.registry.get_sample_value("pilot_total_xds_internal_errors") == 1
