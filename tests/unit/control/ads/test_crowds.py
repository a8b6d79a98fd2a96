"""Many clients at once, clients that take nothing, and clocks that jump: everybody else is served as before."""

import asyncio
import time

import grpc
import grpc.aio
import pytest

from pymesh import __version__
from pymesh.xds import types

from .client import ask_delta, told, versions_in
from .served import TIMEOUT, node, plaintext, read, refusal, stub

CROWD = 200
CDS = types.CLUSTER
MANY = {f"cluster-{number:03}": "1" for number in range(100)}


def first(number, held=None):
    request = ask_delta(CDS, held=held)
    request.node.CopyFrom(node(f"sidecar~127.0.0.1~web-{number}.shop~shop.svc.cluster.local"))
    return request


async def connected(channel, number, held=None):
    call = stub(channel).DeltaAggregatedResources()
    await call.write(first(number, held))
    return call, await read(call)


async def test_a_crowd_that_reconnects_at_once_is_sent_only_what_it_missed():
    async with plaintext(cds=MANY) as served:
        async with grpc.aio.insecure_channel(served.address) as channel:
            arrivals = await asyncio.gather(*(connected(channel, number) for number in range(CROWD)))
            assert all(versions_in(response) == MANY for _, response in arrivals)
            assert served.metrics.registry.get_sample_value("pilot_xds", {"version": __version__}) == CROWD
        served.push(cds={**MANY, "cluster-000": "2"})  # while nobody is there
        async with grpc.aio.insecure_channel(served.address) as channel:
            arrivals = await asyncio.gather(*(connected(channel, number, held=MANY) for number in range(CROWD)))
            assert all(told([response]) == ["cds cluster-000"] for _, response in arrivals)
            served.push(cds={**MANY, "cluster-000": "3"})
            assert all(told([response]) == ["cds cluster-000"] for response in await asyncio.gather(*(read(call) for call, _ in arrivals)))


async def test_clients_that_never_read_keep_nobody_waiting_and_no_more_than_one_push_each():
    content = {f"cluster-{'x' * 2000}-{number:03}": "0" for number in range(200)}
    async with plaintext(cds=content) as served:
        deaf_channel, channel = grpc.aio.insecure_channel(served.address), grpc.aio.insecure_channel(served.address)
        deaf = [stub(deaf_channel).DeltaAggregatedResources() for _ in range(20)]
        for number, call in enumerate(deaf):
            await call.write(first(number))
        call, _ = await connected(channel, 99)
        for version in range(1, 20):
            served.push(cds=dict.fromkeys(content, str(version)))
            assert set(versions_in(await read(call)).values()) == {str(version)}
        # What a deaf client has coming is the answer to its request and one push; all later pushes have become one.
        assert all(len(stream._outbox) <= 2 for stream in served.clients)
        await deaf_channel.close()
        await channel.close()


async def test_one_more_client_than_allowed_is_told_to_come_later():
    async with plaintext(limit=2, cds={"a": "1"}) as served, grpc.aio.insecure_channel(served.address) as channel:
        calls = [(await connected(channel, number))[0] for number in range(2)]
        third = stub(channel).DeltaAggregatedResources()
        await third.write(first(3))
        code, sentence = await refusal(third)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert sentence == "2 clients are connected, and --max-clients allows no more"
        calls[0].cancel()
        async with asyncio.timeout(TIMEOUT):
            while (await served.presence.seen.get())[0] != "left":
                pass
        await connected(channel, 4)


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
async def test_a_clock_that_jumps_changes_no_push(monkeypatch, jump):
    async with plaintext(cds={"a": "1"}) as served, grpc.aio.insecure_channel(served.address) as channel:
        call, response = await connected(channel, 1)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        await call.write(ask_delta(CDS, nonce=response.nonce))
        served.push(cds={"a": "2"})
        assert told([await read(call)]) == ["cds a"]
        monkeypatch.undo()
        served.push(cds={"a": "3"})
        assert told([await read(call)]) == ["cds a"]
