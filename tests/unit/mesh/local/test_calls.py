"""Calls that nothing declares are told when the mesh is up."""

from dataclasses import replace
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local.calls import undeclared
from pymesh.local.mesh import Plan

MESH = """\
namespace: shop
workloads:
- {name: web, command: [web], ports: {http: 0}, calls: ["pay:80"]}
- {name: pay, command: [pay], ports: {http: 0}}
"""


def planned(folder: Path, monitoring: int) -> Plan:
    (folder / "mesh.yaml").write_text(MESH)
    (folder / "config").mkdir()
    plan = Plan.make(folder, folder / "state")
    return replace(plan, control=replace(plan.control, monitoring=monitoring))


async def test_a_call_that_nothing_declares_is_told_with_who_makes_it(tmp_path: Path) -> None:
    asked: list[str] = []

    async def sidecarz(request: web.Request) -> web.Response:
        asked.append(request.query["proxyID"])
        return web.json_response({"undeclared_calls": ["pay.shop.svc.cluster.local:80"]})

    app = web.Application()
    app.router.add_get("/debug/sidecarz", sidecarz)
    async with TestServer(app, host="127.0.0.1") as server:
        assert server.port is not None
        [told] = [one async for one in undeclared(planned(tmp_path, server.port))]
    assert told.startswith("web calls pay.shop.svc.cluster.local:80, which nothing in ")
    assert asked == ["web.shop"]


async def test_a_control_plane_that_is_not_there_is_another_ones_to_tell(tmp_path: Path) -> None:
    assert [one async for one in undeclared(planned(tmp_path, 1))] == []
