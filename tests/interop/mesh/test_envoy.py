"""A real Envoy as a sidecar of our control plane."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from pymesh.local.environment import Proxy
from pymesh.local.process import Command
from tests.asking import ask
from tests.interop.conftest import require
from tests.load import under_load
from tests.mesh import HOST, REVIEWS, ROUTES, Mesh, moved
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

_REQUESTS = 600
_MOVES = 6


@dataclass(frozen=True)
class Sidecar:
    """A running Envoy that stands beside an application which calls `reviews`."""

    proxy: Proxy

    @property
    def reviews(self) -> str:
        return f"http://{HOST}:{self.proxy.outbound[f'{REVIEWS}:80']}"

    async def rejected(self, mesh: Mesh) -> Mapping[str, int]:
        """Envoy's own counters of updates that it did not take."""
        url = f"http://{HOST}:{self.proxy.admin}/stats?format=json&filter=update_rejected"
        async with mesh.session.get(url) as answer:
            return {stat["name"]: stat["value"] for stat in (await answer.json())["stats"]}


@pytest.mark.parametrize("ads", ["over-tls", "in-plaintext"])
async def test_an_envoy_splits_traffic_over_mutual_tls(mesh: Mesh, ads: str) -> None:
    sidecar = await start(mesh, f"envoy-{ads}", plaintext=ads == "in-plaintext")
    await eventually(lambda: mesh.version(sidecar.reviews), lambda version: version in ("v1", "v2"))

    answered = await mesh.versions(sidecar.reviews, _REQUESTS)
    assert set(answered) == {"v1", "v2"}
    assert answered["v2"] / _REQUESTS == pytest.approx(0.3, abs=0.1)  # five standard deviations

    async with mesh.session.get(sidecar.reviews) as answer:
        seen_by_the_application = (await answer.json())["headers"]
    assert f"URI=spiffe://cluster.local/ns/default/sa/envoy-{ads}" in seen_by_the_application["x-forwarded-client-cert"]

    types = await mesh.types(sidecar.proxy.pod)
    assert set(types) == {"cds", "eds", "lds", "rds"}
    assert {one["status"] for one in types.values()} == {"SYNCED"}
    rejected = await sidecar.rejected(mesh)
    assert {"cluster_manager.cds.update_rejected", "listener_manager.lds.update_rejected"} < set(rejected)
    assert set(rejected.values()) == {0}

    told = await ask(mesh, "proxy-status", sidecar.proxy.pod, "--admin", f"{HOST}:{sidecar.proxy.admin}")
    assert told.output == "Clusters Match\nListeners Match\nRoutes Match\n"


@pytest.mark.parametrize("form", ["delta", "whole"])
async def test_routes_that_move_to_services_that_come_with_them_lose_no_request(mesh: Mesh, form: str) -> None:
    """Clusters and their endpoints are there before the routes that use them, and go after these."""
    sidecar = await start(mesh, f"envoy-moving-{form}", plaintext=False, ISTIO_DELTA_XDS=str(form == "delta").lower())
    await eventually(lambda: mesh.version(sidecar.reviews), lambda version: version in ("v1", "v2"))
    before = (mesh.plan.config / ROUTES).read_text()
    try:
        async with under_load(sidecar.reviews, users=2) as load:
            for number in range(_MOVES):
                version = f"v{number % 2 + 1}"
                mesh.configure(ROUTES, moved(number, version))
                await load.more(20)
                await eventually(lambda: mesh.version(sidecar.reviews), lambda seen, wanted=version: seen == wanted)
    finally:
        mesh.configure(ROUTES, before)
    assert load.failures == []
    assert set((await sidecar.rejected(mesh)).values()) == {0}


async def start(mesh: Mesh, pod: str, *, plaintext: bool, **variables: str) -> Sidecar:
    """An Envoy under our agent, whose configuration comes over mutual TLS or in plaintext; its certificate comes from our CA."""
    binary, sidecar = require("envoy"), Sidecar(mesh.place(pod))
    (await mesh.token(pod)).replace(sidecar.proxy.token)
    environment = sidecar.proxy.environment(mesh.plan.control) | variables
    if plaintext:
        control = {"discoveryAddress": f"{HOST}:{mesh.plan.control.xds}", "controlPlaneAuthPolicy": "NONE"}
        environment["PROXY_CONFIG"] = json.dumps(json.loads(environment["PROXY_CONFIG"]) | control)
    folder = mesh.state / pod
    folder.mkdir()
    command = Command(name=pod, argv=["pymesh-agent", "--sds-path", "sds", "--", str(binary)], env=environment, cwd=folder)
    await mesh.supervisor.ready(await mesh.supervisor.start(command), sidecar.proxy.ready_url)
    return sidecar
