"""Killing the control plane loses no registration, and its certificates stay valid."""

import asyncio
import contextlib
import os
import resource
import signal
import sys

import grpc.aio

from pymesh.xds import types

from ..ads.client import DeltaClient, ask_delta
from ..ads.served import read
from .started import WEB, WEB_CLUSTER, endpoints_in, first, options, stream
from .test_changes import until_told

TIMEOUT = 30
CROWD = 60
SERVICES = 400


async def start(tmp_path):
    """The real command; returns its process and plaintext address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pymesh_control.main",
        "--config", tmp_path / "config", "--state-dir", tmp_path / "state",
        "--xds", "127.0.0.1:0", "--secure-xds", "127.0.0.1:0", "--monitoring", "127.0.0.1:0",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(TIMEOUT):
        word, xds, *_ = (await process.stdout.readline()).decode().split()
    assert word == "ready"
    return process, xds.removeprefix("xds=")


async def test_a_killed_control_plane_comes_back_with_its_registrations_and_stops_when_asked(tmp_path):
    options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB)
    process, address = await start(tmp_path)
    async with stream(address) as sidecar:
        await sidecar.write(first(ask_delta(types.ENDPOINT, WEB_CLUSTER)))
        await until_told(sidecar, lambda response: endpoints_in(response) == ["127.0.0.1:21001"])
        process.kill()
        await process.wait()
    process, address = await start(tmp_path)
    async with stream(address) as client:
        await client.write(first(ask_delta(types.ENDPOINT, WEB_CLUSTER), node_id="sidecar~127.0.0.1~c.x~x.svc.cluster.local", metadata={}))
        assert endpoints_in(await read(client)) == ["127.0.0.1:21001"]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(TIMEOUT):
            assert await process.wait() == 0


async def test_a_control_plane_killed_amid_a_push_to_many_leaves_each_able_to_catch_up(tmp_path):
    options(tmp_path)
    process, address = await start(tmp_path)
    crowd = [DeltaClient() for _ in range(CROWD)]
    pushed = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(stream(address)) for _ in crowd]
        await asyncio.gather(*map(resumed, crowd, calls, range(CROWD)))
        following = asyncio.gather(*(follow(client, call, pushed) for client, call in zip(crowd, calls, strict=True)))
        (tmp_path / "many.yaml").write_text("---\n".join(WEB.replace("web", f"web-{number}") for number in range(SERVICES)))
        os.replace(tmp_path / "many.yaml", tmp_path / "config" / "many.yaml")
        async with asyncio.timeout(TIMEOUT):
            await pushed.wait()
        process.kill()
        await process.wait()
        await following
    process, address = await start(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        calls = [await stack.enter_async_context(stream(address)) for _ in (*crowd, None)]
        new = DeltaClient()
        await asyncio.gather(*map(resumed, (*crowd, new), calls, range(CROWD + 1)))
        assert len(new.held[types.CLUSTER]) > SERVICES
        assert all(client.held == new.held for client in crowd)
        process.kill()
        await process.wait()


async def resumed(client, call, number):
    """Ask for all clusters, as one who holds what the client does, and take the answer."""
    node_id = f"sidecar~127.0.0.1~c-{number}.x~x.svc.cluster.local"
    await call.write(first(ask_delta(types.CLUSTER, held=client.held.get(types.CLUSTER)), node_id, {}))
    await call.write(client.take(await read(call)))


async def follow(client, call, pushed):
    """Take what comes until the stream is gone; the first of all clients to be told something says so."""
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        while (response := await call.read()) is not grpc.aio.EOF:
            ack = client.take(response)
            pushed.set()
            await call.write(ack)


async def test_the_keys_of_the_authority_cannot_get_into_a_core_dump(tmp_path):
    options(tmp_path)
    process, _ = await start(tmp_path)
    assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)
    process.terminate()
    await process.wait()
