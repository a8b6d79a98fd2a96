"""Killing the control plane loses no registration, and its certificates stay valid."""

import asyncio
import resource
import signal
import sys

from pymesh.xds import types

from ..ads.client import ask_delta
from ..ads.served import read
from .started import WEB, WEB_CLUSTER, endpoints_in, first, options, stream
from .test_changes import until_told

TIMEOUT = 30


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


async def test_the_keys_of_the_authority_cannot_get_into_a_core_dump(tmp_path):
    options(tmp_path)
    process, _ = await start(tmp_path)
    assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)
    process.terminate()
    await process.wait()
