"""The whole mesh as processes: it serves, it survives the death of any part, and it leaves nothing behind."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from pymesh.local.demo.load import Users
from pymesh.local.demo.run import copy_folder
from pymesh.local.mesh import CONTROL, LocalMesh, Plan, parts_of
from pymesh.local.ports import HOST, FreePorts
from pymesh.local.supervisor import Supervisor

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PROCESSES = [
    CONTROL, "istio-ingressgateway",
    "algorithm-selector-v1", "algorithm-selector-v1-proxy", "model-serving-v1", "model-serving-v1-proxy",
    "model-serving-v2-0", "model-serving-v2-0-proxy", "model-serving-v2-1", "model-serving-v2-1-proxy",
    "featurestore-s3",
]  # fmt: skip
RECOVERY = 30.0  # seconds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalMesh]:
    state, ports = tmp_path_factory.mktemp("mesh"), FreePorts()
    copy_folder(state / "folder", gateway_port=ports.take(), store_port=ports.take())
    plan = Plan.make(state / "folder", state)
    async with Supervisor(plan.logs) as supervisor:
        running = LocalMesh(plan, supervisor, lambda what: None)
        await running.start()
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def users(mesh: LocalMesh) -> AsyncIterator[Users]:
    async with aiohttp.ClientSession() as session:
        yield Users(session, f"http://{HOST}:{mesh.plan.gateway_ports[0]}")


async def test_every_process_is_killed_once(mesh: LocalMesh) -> None:
    assert sorted(parts_of(mesh.plan)) == sorted(PROCESSES)


async def test_a_request_crosses_two_sidecars(users: Users) -> None:
    assert await users.until("v1", in_a_row=10, within=RECOVERY) is not None, users.last_words()


async def test_every_proxy_passes_its_health_on(mesh: LocalMesh) -> None:
    async with aiohttp.ClientSession() as session:
        for proxy in mesh.plan.proxies:
            async with session.get(f"http://{HOST}:{proxy.health}/healthz/ready") as answer:
                assert (answer.status, await answer.text()) == (200, "LIVE\n"), proxy.name


@pytest.mark.parametrize("name", PROCESSES)
async def test_service_returns_when_a_killed_process_does(mesh: LocalMesh, users: Users, name: str) -> None:
    await mesh.kill(name)
    outcome = await users.ask()
    assert outcome.failure is None or not outcome.failure.startswith("TimeoutError"), "a dead part is an answer, not a silence"
    await mesh.start_process(name)
    assert await users.until("v1", in_a_row=10, within=RECOVERY) is not None, users.last_words()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder whose name leaves room for Unix sockets below it (their paths have about 100 bytes; pytest's own have most of that)."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


STARTS = """\
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: all, namespace: istio-system}
spec: {concurrency: 2, environmentVariables: {ISTIO_META_TASTE: sweet}}
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: edge, namespace: default}
spec: {selector: {matchLabels: {at: edge}}, concurrency: 1, environmentVariables: {POD_NAME: other}}
"""


async def test_proxies_are_started_as_proxyconfigs_say(scratch: Path) -> None:
    (scratch / "config").mkdir()
    (scratch / "config" / "starts.yaml").write_text(STARTS)
    gateways = [{"name": "inner"}, {"name": "edge", "labels": {"at": "edge"}}]
    outside = {"name": "app", "command": ["python", "-m", "http.server", "$(PORT_HTTP)"], "ports": {"http": 0}, "sidecar": False}
    (scratch / "mesh.yaml").write_text(json.dumps({"gateways": gateways, "workloads": [outside]}))
    plan = Plan.make(scratch, scratch / "state")
    assert plan.overruled == ["edge is started without the ProxyConfig's proxyMetadata.POD_NAME, which this mesh decides itself"]
    async with Supervisor(plan.logs) as supervisor, aiohttp.ClientSession() as session:
        await LocalMesh(plan, supervisor, lambda what: None).start()
        for proxy, workers in zip(plan.proxies, (2, 1), strict=True):
            async with session.get(f"http://{HOST}:{proxy.admin}/server_info") as answer:
                info = await answer.json(content_type=None)
            assert (info["command_line_options"]["concurrency"], info["node"]["metadata"]["TASTE"]) == (workers, "sweet")


async def test_the_story_holds(scratch: Path) -> None:
    port = str(FreePorts().take())
    process = await pymesh("demo", "--once", "--requests", "100", "--port", port, scratch=scratch)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert output.decode().count("yes") == 7
    assert not os.listdir(scratch), "the demo leaves no file behind"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_an_interrupted_mesh_leaves_nothing_behind(tmp_path: Path, scratch: Path, number: signal.Signals) -> None:
    folder, ports = tmp_path / "folder", FreePorts()
    copy_folder(folder, gateway_port=ports.take(), store_port=ports.take())
    process = await pymesh("up", str(folder), scratch=scratch)
    await said(process, "Press Ctrl-C to stop.")
    assert len(processes_of(scratch)) == len(PROCESSES) + 1
    process.send_signal(number)
    await process.communicate()
    assert process.returncode == 130
    assert not processes_of(scratch)
    assert not os.listdir(scratch)


async def pymesh(*arguments: str, scratch: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("pymesh")), *arguments, env={**os.environ, "TMPDIR": str(scratch)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def said(process: asyncio.subprocess.Process, text: str) -> None:
    """Wait until the process has written a line with `text`."""
    assert process.stdout is not None
    lines = []
    while line := (await process.stdout.readline()).decode():
        lines.append(line)
        if text in line:
            return
    pytest.fail(f"ended without {text!r}: {''.join(lines)}")


def processes_of(scratch: Path) -> set[int]:
    """The processes that were started with this folder for their temporary files."""
    found = set()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TMPDIR={scratch}".encode() in environment.read_bytes():
                found.add(int(environment.parent.name))
        except OSError:
            continue
    return found
