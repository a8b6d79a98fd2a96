"""A real Envoy tells the control plane what it does not let through, and each destination becomes a ServiceEntry that mends it."""

import asyncio
import json
import ssl
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pymesh.api import parse_text
from pymesh.cli import main
from pymesh.local.process import Child, Command
from tests.interop.conftest import require
from tests.mesh import HOST, Mesh
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIDECAR = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: known}
spec:
  hosts: [known.test]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: %(port)d, name: http, protocol: HTTP}]
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: shut}
spec:
  workloadSelector: {labels: {app: shut}}
  egress:
  - {port: {number: %(port)d, protocol: HTTP, name: http}, bind: 127.0.0.1, captureMode: NONE, hosts: ["./known.test"]}
"""


async def started(mesh: Mesh, port: int) -> Child:
    """An Envoy through which an application calls out at a port of its own."""
    mesh.configure("shut.yaml", SIDECAR % {"port": port})
    proxy = mesh.place("shut")
    (await mesh.token("shut")).replace(proxy.token)
    environment = proxy.environment(mesh.plan.control)
    del environment["ISTIO_METAJSON_OUTBOUND_PORTS"]
    folder = mesh.state / "shut"
    folder.mkdir()
    argv = ["pymesh-agent", "--sds-path", "sds", "--", str(require("envoy"))]
    child = await mesh.supervisor.start(Command(name="shut", argv=argv, env=environment, cwd=folder))
    await mesh.supervisor.ready(child, proxy.ready_url)
    return child


async def refused(mesh: Mesh, port: int, host: str) -> None:
    """Ask for a host until it is refused: the first configuration may be on its way still."""

    async def status() -> int:
        try:
            async with mesh.session.get(f"http://{HOST}:{port}/", headers={"Host": host}) as answer:
                return answer.status
        except OSError:
            return 0

    assert await eventually(status, lambda found: found == 502) == 502


async def cut(port: int, name: str) -> None:
    """Begin TLS, which nobody answers."""
    with pytest.raises(OSError):
        await asyncio.open_connection(HOST, port, ssl=ssl.create_default_context(), server_hostname=name)


async def test_what_an_envoy_blocks_is_listed_with_its_callers_and_as_service_entries(mesh: Mesh) -> None:
    port = mesh.ports.take()
    child = await started(mesh, port)
    await refused(mesh, port, "api.example.com")
    await refused(mesh, port, "store.example.com:8443")
    await cut(port, "pay.example.com")

    async def reported() -> dict[str, Any]:
        return {f"{one['protocol']} {one['host']}:{one['port']}": one["sources"] for one in await mesh.control("/debug/blockedz")}

    found = await eventually(reported, lambda seen: len(seen) == 3)
    assert found == {
        "HTTP api.example.com:0": {"default/shut": 1},
        "HTTP store.example.com:8443": {"default/shut": 1},
        f"TLS pay.example.com:{port}": {"default/shut": 1},
    }
    control = f"{HOST}:{mesh.plan.control.monitoring}"
    listed = await asyncio.to_thread(CliRunner().invoke, main, ["blocked", "--control", control])
    assert ["api.example.com", "HTTP", "1", "default/shut"] in [line.split() for line in listed.output.splitlines()]
    entries = (await asyncio.to_thread(CliRunner().invoke, main, ["blocked", "--control", control, "-o", "yaml"])).output
    assert [str(one) for one in parse_text(entries, "blocked.yaml").problems] == []
    assert {json.dumps(one["spec"]["hosts"]) for one in yaml.safe_load_all(entries)} == {
        '["api.example.com"]', '["store.example.com"]', '["pay.example.com"]',
    }  # fmt: skip
    await child.stop(5)
    (mesh.plan.config / "shut.yaml").unlink()
