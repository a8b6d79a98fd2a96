"""Certificates that live for seconds are replaced under load, and no request notices."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.environment import Proxy
from tests.load import under_load
from tests.mesh import HOST, RESOURCES, Mesh, running, split
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

_ROTATIONS = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """Every sidecar's certificate lives for 4 seconds and is replaced after half of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_TTL", "4s")
        async with running(tmp_path_factory.mktemp("mesh"), split(v1=50, v2=50)) as mesh:
            yield mesh


async def test_no_request_is_lost_while_certificates_are_rotated(mesh: Mesh) -> None:
    # A connection outlives the certificate that it was opened with, so new ones have to be opened all the time.
    policy = "trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 5}}, "
    mesh.configure("mesh.yaml", RESOURCES.replace("trafficPolicy: {", policy))
    async with under_load(mesh.reviews) as load:
        before = await handshakes(mesh)
        await asyncio.gather(*(rotated(mesh, mesh.sidecar(pod)) for pod in ("caller", "reviews-v1", "reviews-v2")))
        await load.more(50)
    assert load.failures == []
    assert set(load.versions) == {"v1", "v2"}
    assert await handshakes(mesh) - before > 100


async def rotated(mesh: Mesh, sidecar: Proxy) -> None:
    """Wait until a sidecar has had several certificates."""
    seen: set[str] = set()
    while len(seen) < _ROTATIONS:
        seen.add(await eventually(lambda: serial(mesh, sidecar), lambda number: number not in seen))


async def serial(mesh: Mesh, sidecar: Proxy) -> str:
    """The serial number of the certificate that a sidecar shows now."""
    async with mesh.session.get(f"http://{HOST}:{sidecar.admin}/certs") as answer:
        certificates = (await answer.json())["certificates"]
    (own,) = [chain[0] for each in certificates if (chain := each.get("cert_chain"))]
    return str(own["serial_number"])


async def handshakes(mesh: Mesh) -> int:
    """How many connections the caller's sidecar has opened to instances of `reviews`."""
    url = f"http://{HOST}:{mesh.sidecar('caller').admin}/stats?filter=reviews.*upstream_cx_total"
    async with mesh.session.get(url) as answer:
        return sum(int(line.rpartition(": ")[2]) for line in (await answer.text()).splitlines())
