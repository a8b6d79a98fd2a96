"""The command itself in Istio's environment: what it answers before it has found its control plane, and how it is told to end."""

import asyncio
import json
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from pymesh_certs.authority import Authority

TIMEOUT = 30


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def environment(folder: Path, ports: list[int], concurrency: int) -> dict[str, str]:
    status, admin, prometheus, health, nobody = ports
    config = {"discoveryAddress": f"127.0.0.1:{nobody}", "statusPort": status, "proxyAdminPort": admin, "concurrency": concurrency}
    (folder / "root.pem").write_bytes(Authority.load_or_create(folder / "ca", "cluster.local").root_pem)
    (folder / "token").write_text("token")
    return {
        **os.environ,
        "POD_NAME": "model-0",
        "POD_NAMESPACE": "ml",
        "INSTANCE_IP": "127.0.0.1",
        "CA_ROOT_CA": str(folder / "root.pem"),
        "PYMESH_TOKEN_FILE": str(folder / "token"),
        "PROXY_CONFIG": json.dumps(config),
        "ISTIO_META_ENVOY_PROMETHEUS_PORT": str(prometheus),
        "ISTIO_META_ENVOY_STATUS_PORT": str(health),
    }


@asynccontextmanager
async def proxy(variables: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "pymesh_proxy.main", env=variables, stderr=pipe)
    async with asyncio.timeout(TIMEOUT), AsyncExitStack() as stack:
        stack.push_async_callback(process.communicate)
        stack.callback(lambda: process.returncode is None and process.kill())
        yield process


async def said(process: asyncio.subprocess.Process, text: bytes) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it ended without saying {text!r}")


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_it_is_not_ready_without_configuration_and_leaves_when_asked(tmp_path: Path, concurrency: int) -> None:
    ports = free_ports(5)
    async with proxy(environment(tmp_path, ports, concurrency)) as process, aiohttp.ClientSession() as session:
        await said(process, b"next attempt")  # at a certificate
        async with session.get(f"http://127.0.0.1:{ports[0]}/healthz/ready") as answer:
            assert (answer.status, await answer.text()) == (503, "PRE_INITIALIZING\n")
        async with session.get(f"http://127.0.0.1:{ports[0]}/metrics") as answer:
            assert answer.status == 200
        assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)
        async with session.post(f"http://127.0.0.1:{ports[0]}/quitquitquit") as answer:
            assert answer.status == 200
        await process.communicate()
        assert process.returncode == 0


async def test_a_taken_status_port_is_a_sentence(tmp_path: Path) -> None:
    ports = free_ports(5)
    with socket.create_server(("127.0.0.1", ports[0])):
        async with proxy(environment(tmp_path, ports, 1)) as process:
            await said(process, b"pymesh-proxy: PROXY_CONFIG.statusPort: ")
            await process.communicate()
            assert process.returncode == 1
