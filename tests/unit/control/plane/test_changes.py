"""From a file or a workload to what a proxy is told, through the whole control plane."""

import asyncio

import aiohttp

from pymesh.xds import types
from pymesh_control.plane import ControlPlane

from ..ads.client import ask_delta, told
from ..ads.served import read
from .started import WEB, WEB_CLUSTER, endpoints_in, first, options, stream

TIMEOUT = 20


async def until_told(call, wanted):
    """Read and accept responses until one is as wanted."""
    async with asyncio.timeout(TIMEOUT):
        while not wanted(response := await read(call)):
            await call.write(ask_delta(response.type_url, nonce=response.nonce))
    return response


async def test_a_new_file_reaches_a_connected_proxy(tmp_path):
    async with ControlPlane(options(tmp_path)) as plane, stream(plane.bound.xds) as call:
        await call.write(first(ask_delta(types.CLUSTER)))
        assert WEB_CLUSTER not in told([await read(call)])[0]
        (tmp_path / "config" / "web.yaml").write_text(WEB)
        await until_told(call, lambda response: WEB_CLUSTER in told([response])[0])


async def test_a_bad_file_takes_nothing_away_and_a_good_change_beside_it_arrives(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB)
    (tmp_path / "config" / "broken.yaml").write_text("kind: [")
    async with ControlPlane(chosen) as plane, stream(plane.bound.xds) as call:
        await call.write(first(ask_delta(types.CLUSTER)))
        assert WEB_CLUSTER in told([await read(call)])[0]
        (tmp_path / "config" / "web.yaml").write_text("kind: [")
        (tmp_path / "config" / "api.yaml").write_text(WEB.replace("web", "api"))
        response = await until_told(call, lambda response: WEB_CLUSTER.replace("web", "api") in told([response])[0])
        assert list(response.removed_resources) == []
        assert {problem.file for problem in plane.world.problems} == {
            str(tmp_path / "config" / name) for name in ("web.yaml", "broken.yaml")
        }  # fmt: skip


async def test_a_sidecar_that_connects_becomes_an_endpoint_and_one_that_leaves_stops_being_one(tmp_path):
    chosen = options(tmp_path, registration_grace=0.0)
    (tmp_path / "config" / "web.yaml").write_text(WEB)
    async with ControlPlane(chosen) as plane, stream(plane.bound.xds) as client:
        await client.write(first(ask_delta(types.ENDPOINT, WEB_CLUSTER), node_id="sidecar~127.0.0.1~c.x~x.svc.cluster.local", metadata={}))
        assert endpoints_in(await read(client)) == []
        async with stream(plane.bound.xds) as server:
            await server.write(first(ask_delta(types.CLUSTER)))
            await until_told(client, lambda response: endpoints_in(response) == ["127.0.0.1:21001"])
        await until_told(client, lambda response: endpoints_in(response) == [])


async def test_the_monitoring_pages_tell_who_rejected_what_and_why(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB)
    (tmp_path / "config" / "broken.yaml").write_text("kind: [")
    async with ControlPlane(chosen) as plane, stream(plane.bound.xds) as call, aiohttp.ClientSession() as http:
        await call.write(first(ask_delta(types.CLUSTER)))
        await call.write(ask_delta(types.CLUSTER, nonce=(await read(call)).nonce, error="web: no such thing"))
        await call.write(ask_delta(types.ENDPOINT, WEB_CLUSTER))
        await read(call)  # requests are heard in order, so the rejection is recorded now

        async def page(path):
            async with http.get(f"http://{plane.bound.monitoring}{path}") as response:
                assert response.status == 200
                return await response.text() if path in ("/metrics", "/ready") else await response.json()

        [proxy] = await page("/debug/syncz")
        assert (proxy["types"]["cds"]["status"], proxy["types"]["cds"]["error"]) == ("NACKED", "web: no such thing")
        assert proxy["types"]["eds"]["status"] == "STALE"
        config = await page("/debug/configz")
        read_from_files = [resource for resource in config["resources"] if resource["kind"] != "WorkloadEntry"]
        assert [resource["metadata"]["name"] for resource in read_from_files] == ["web"]
        assert config["problems"][0]["text"].startswith(f"{tmp_path}/config/broken.yaml:")
        registry = await page("/debug/registryz")
        assert registry["services"][0]["host"] == "web.shop.svc.cluster.local"
        metrics = await page("/metrics")
        wanted = {'pilot_total_xds_rejects{type="cds"} 1.0', "pilot_xds_cds_reject 1.0", "pilot_services 1.0"}
        assert wanted <= set(metrics.splitlines())
        assert "citadel_server_csr_count 0.0" in metrics
        assert await page("/ready") == "ready\n"
        assert (await page("/version"))["name"] == "pymesh-control"
