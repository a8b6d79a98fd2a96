"""The control plane dies at the worst moments; traffic flows on, and what was decided arrives in the end."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from pymesh.local.environment import Proxy
from pymesh.local.mesh import CONTROL
from pymesh.local.process import Command
from pymesh.tasks import spawn
from tests.load import under_load
from tests.mesh import HOST, REVIEWS, ROUTES, Mesh, moved, running, split
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILLERS = 150
MOVES = 6


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """All to v1; each test leaves it so."""
    async with running(tmp_path_factory.mktemp("mesh"), split(v1=100)) as mesh:
        yield mesh


def services(count: int) -> str:
    """Many services, so that a push is long enough to be cut in two."""
    return "\n---\n".join(
        f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: filler-{number}}}
spec:
  hosts: [filler-{number}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 10.0.0.1}}]
"""
        for number in range(count)
    )


class Relay:
    """Stands between a proxy and the control plane, and cuts the connection where it is told to."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._left: int | None = None
        self.port = 0
        self.cut = asyncio.Event()

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def cut_after(self, size: int) -> None:
        """Pass on that many more bytes of what the control plane sends, then abort; what comes later is passed on again."""
        self._left = size

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, self._target)
        upward = spawn(self._pass_on(reader, back), name="relay to the control plane")
        try:
            while data := await there.read(4096):
                writer.write(self._allowed(data))
                if self.cut.is_set() and self._left == 0:
                    self._left = None
                    break
        finally:
            upward.cancel()
            back.close()
            writer.close()

    def _allowed(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        if self._left == 0:
            self.cut.set()
        return data

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)


async def test_a_stream_cut_within_a_push_is_taken_up_again(mesh: Mesh) -> None:
    async with Relay(mesh.plan.control.secure_xds) as relay:
        proxy = mesh.place("behind-relay")
        (await mesh.token(proxy.pod)).replace(proxy.token)
        environment = proxy.environment(mesh.plan.control)
        environment["PROXY_CONFIG"] = json.dumps(json.loads(environment["PROXY_CONFIG"]) | {"discoveryAddress": f"{HOST}:{relay.port}"})
        child = await mesh.supervisor.start(Command(name=proxy.pod, argv=["pymesh-proxy"], env=environment))
        await mesh.supervisor.ready(child, proxy.ready_url)

        async with under_load(f"http://{HOST}:{proxy.outbound[f'{REVIEWS}:80']}", users=2) as load:
            relay.cut_after(20_000)
            mesh.configure("fillers.yaml", services(FILLERS))
            await asyncio.wait_for(relay.cut.wait(), 20)
            await eventually(lambda: fillers_of(mesh, proxy), lambda seen: seen == FILLERS)
            mesh.configure(ROUTES, split(v2=100))
            await load.until(lambda: load.versions["v2"] > 0)
        assert load.failures == []
        await child.stop(grace=5)
    await as_before(mesh)


async def fillers_of(mesh: Mesh, proxy: Proxy) -> int:
    """How many of the many services a proxy knows."""
    async with mesh.session.get(f"http://{HOST}:{proxy.admin}/clusters") as answer:
        return len(set(re.findall(r"\boutbound\|80\|\|filler-\d+\b", await answer.text())))


async def test_a_control_plane_killed_while_it_pushes_takes_nothing_with_it(mesh: Mesh) -> None:
    async with under_load(mesh.reviews) as load:
        mesh.configure("fillers.yaml", services(FILLERS))
        mesh.configure(ROUTES, split(v2=100))
        await eventually(mesh.syncz, lambda seen: "STALE" in statuses(seen), within=10)
        await mesh.local.kill(CONTROL)
        await load.more(100)
        await mesh.local.start_process(CONTROL)
        await load.until(lambda: load.versions["v2"] > 0)
    assert load.failures == []
    assert await eventually(lambda: fillers_of(mesh, mesh.sidecar("caller")), lambda seen: seen == FILLERS)
    await as_before(mesh)


def statuses(syncz: list[dict[str, Any]]) -> set[str]:
    return {one["status"] for proxy in syncz for one in proxy["types"].values()}


async def test_a_restart_of_the_control_plane_is_not_felt(mesh: Mesh) -> None:
    async with under_load(mesh.reviews) as load:
        await load.more(50)
        await mesh.local.kill(CONTROL)
        await load.more(100)
        await mesh.local.start_process(CONTROL)
        mesh.configure(ROUTES, split(v2=100))
        await load.until(lambda: load.versions["v2"] > 0)
    assert load.failures == []
    await as_before(mesh)


async def test_routes_that_move_to_services_that_come_with_them_lose_no_request(mesh: Mesh) -> None:
    async with under_load(mesh.reviews, users=2) as load:
        for number in range(MOVES):
            version = f"v{number % 2 + 1}"
            mesh.configure(ROUTES, moved(number, version))
            await load.more(20)
            await eventually(lambda: mesh.version(mesh.reviews), lambda seen, wanted=version: seen == wanted)
    assert load.failures == []
    await as_before(mesh)


async def as_before(mesh: Mesh) -> None:
    """All to v1, and no filler."""
    mesh.configure("fillers.yaml", "")
    mesh.configure(ROUTES, split(v1=100))
    await eventually(lambda: mesh.version(mesh.reviews), lambda version: version == "v1")
    await eventually(lambda: fillers_of(mesh, mesh.sidecar("caller")), lambda seen: seen == 0)
