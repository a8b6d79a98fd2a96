"""What a running mesh answers when `pymesh` asks it, and whether its parts agree."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from pymesh.cli import main
from tests.asking import ask
from tests.mesh import HOST, REVIEWS, Mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECTIONS = ("clusters", "listeners", "routes", "endpoints", "secrets")


async def test_every_proxy_is_in_sync(mesh: Mesh) -> None:
    result = await ask(mesh, "proxy-status")
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line for line in result.output.splitlines()[1:]}
    assert {"caller.default", "reviews-v1.default", "reviews-v2.default"} <= set(rows)
    assert all("SYNCED" in row for row in rows.values())


async def test_a_proxy_has_what_it_was_sent(mesh: Mesh) -> None:
    result = await ask(mesh, "proxy-status", "caller", "--admin", f"{HOST}:{mesh.sidecar('caller').admin}")
    assert (result.exit_code, result.output) == (0, "Clusters Match\nListeners Match\nRoutes Match\n")


@pytest.mark.parametrize("section", SECTIONS)
async def test_a_proxy_itself_tells_every_section(mesh: Mesh, section: str) -> None:
    """Secrets never pass through the control plane, endpoints are those of EDS and of the bootstrap."""
    result = await ask(mesh, "proxy-config", section, "--admin", f"{HOST}:{mesh.sidecar('caller').admin}")
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) > 1


async def test_both_tell_the_same_endpoints(mesh: Mesh) -> None:
    wanted = ("proxy-config", "endpoints", "caller", "--fqdn", REVIEWS)
    told = (await ask(mesh, *wanted)).output
    assert len(told.splitlines()) == 5  # the head, two instances of the service, one of each subset
    admin = ("--admin", f"{HOST}:{mesh.sidecar('caller').admin}")
    own = [line.split() for line in (await ask(mesh, *wanted, *admin, "--status", "healthy")).output.splitlines()]
    assert own[0] == ["ENDPOINT", "STATUS", "OUTLIER", "CHECK", "CLUSTER"]
    assert {(line[0], line[1], line[3]) for line in own[1:]} == {(*line.split()[:2], line.split()[-1]) for line in told.splitlines()[1:]}
    assert {line[2] for line in own[1:]} == {"OK"}
    as_json = json.loads((await ask(mesh, *wanted, *admin, "-o", "json")).output)
    assert {one["health_status"]["eds_health_status"] for one in as_json} == {"HEALTHY"}


async def test_the_proxy_tells_its_bootstrap(mesh: Mesh) -> None:
    result = await ask(mesh, "proxy-config", "bootstrap", "--admin", f"{HOST}:{mesh.sidecar('caller').admin}")
    assert json.loads(result.output)["bootstrap"]["node"]["id"].startswith("sidecar~")


async def test_a_blocked_host_is_told_with_what_would_let_it_be_called(mesh: Mesh) -> None:
    proxy = mesh.sidecar("caller")
    async with mesh.session.get("http://undeclared.example.com/", proxy=f"http://{HOST}:{proxy.http_proxy}") as answer:
        assert answer.status == 502
    result = await asyncio.to_thread(CliRunner().invoke, main, ["blocked", f"{HOST}:{proxy.admin}"])
    assert ["undeclared.example.com", "HTTP", "1", "caller"] in [line.split() for line in result.output.splitlines()], result.output
