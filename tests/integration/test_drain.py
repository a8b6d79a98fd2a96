"""SIGTERM to a proxy under load: what was begun is finished, what is new goes elsewhere, and nobody notices."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.load import Record, under_load
from tests.mesh import HOST, REVIEWS, Mesh, running
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

_PATIENCE = 20.0  # seconds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """Without routes: both versions are instances of one service, and either may answer."""
    async with running(tmp_path_factory.mktemp("mesh")) as mesh:
        yield mesh


class Slow:
    """A request that takes as long as its client likes to read, on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def begin(cls, port: int) -> "Slow":
        """Send it and wait for the first piece of the answer."""
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /drip?n=15 HTTP/1.1\r\nHost: reviews\r\n\r\n")
        await reader.readuntil(b"drop\n")
        return cls(reader, writer)

    async def rest(self) -> bytes:
        """Everything until the connection is closed."""
        async with asyncio.timeout(_PATIENCE):
            rest = await self._reader.read()
        self._writer.close()
        return rest


async def test_a_restart_of_the_sidecar_of_either_instance_loses_no_request(mesh: Mesh) -> None:
    async with under_load(mesh.reviews) as load:
        for version, other in (("v2", "v1"), ("v1", "v2")):
            name = f"reviews-{version}-proxy"
            sidecar = mesh.local.process(name)
            await _more(load, version)
            sidecar.signal(signal.SIGTERM)
            async with asyncio.timeout(_PATIENCE):
                assert await sidecar.exit() == 0
            await _more(load, other)
            await mesh.local.start_process(name)
            await _more(load, version)
    assert load.failures == []


async def _more(load: Record, version: str) -> None:
    """Wait for further answers of an instance."""
    wanted = load.versions[version] + 50
    await load.until(lambda: load.versions[version] > wanted)


async def test_a_drained_sidecar_is_no_endpoint_any_more_before_the_grace_of_lost_ones_is_over(mesh: Mesh) -> None:
    url = f"http://{HOST}:{mesh.sidecar('caller').admin}/stats?filter=reviews.*membership_total"

    async def members() -> int:
        async with mesh.session.get(url) as answer:
            lines = (await answer.text()).splitlines()
        return max(int(line.rpartition(": ")[2]) for line in lines)  # subsets have fewer

    assert await eventually(members) == 2
    sidecar = mesh.local.process("reviews-v2-proxy")
    sidecar.signal(signal.SIGTERM)
    async with asyncio.timeout(_PATIENCE):
        assert await sidecar.exit() == 0
    assert await eventually(members, lambda count: count == 1, within=5.0)  # the grace is 10 s
    await mesh.local.start_process("reviews-v2-proxy")
    await eventually(members, lambda count: count == 2)


async def test_requests_in_flight_are_finished_and_their_connections_closed(mesh: Mesh) -> None:
    port = mesh.sidecar("caller").outbound[f"{REVIEWS}:80"]
    slow = [await Slow.begin(port) for _ in range(5)]
    sidecar = mesh.local.process("caller-proxy")
    sidecar.signal(signal.SIGTERM)
    for request in slow:
        assert (await request.rest()).endswith(b"drop\n\r\n0\r\n\r\n")
    async with asyncio.timeout(_PATIENCE):
        assert await sidecar.exit() == 0
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port)
    await mesh.local.start_process("caller-proxy")
