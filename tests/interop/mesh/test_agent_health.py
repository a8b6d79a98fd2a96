"""The agent beside a real Envoy probes the application: the workload is offered while probes succeed, and no more when it drains."""

import asyncio
import json
import signal

import pytest

from pymesh.local.process import Command
from tests.interop.conftest import require
from tests.mesh import HOST, Mesh
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

_GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: appliances}
spec: {template: {labels: {tier: edge}, weight: 7, serviceAccount: appliance}}
"""


async def test_a_workload_is_offered_while_its_application_answers_and_it_does_not_drain(mesh: Mesh) -> None:
    port = mesh.ports.take()
    proxy = mesh.place("appliance")
    (await mesh.token("appliance")).replace(proxy.token)
    mesh.configure("appliances.yaml", _GROUP)
    environment = proxy.environment(mesh.plan.control) | {"ISTIO_META_AUTO_REGISTER_GROUP": "appliances"}
    settings = {"readinessProbe": {"tcpSocket": {"port": port, "host": HOST}, "periodSeconds": 1, "failureThreshold": 1}}
    settings["terminationDrainDuration"] = "1h"
    environment["PROXY_CONFIG"] = json.dumps(json.loads(environment["PROXY_CONFIG"]) | settings)
    folder = mesh.state / "appliance"
    folder.mkdir()
    argv = ["pymesh-agent", "--sds-path", "sds", "--", str(require("envoy"))]
    child = await mesh.supervisor.start(Command(name="appliance", argv=argv, env=environment, cwd=folder))
    await mesh.supervisor.ready(child, proxy.ready_url)

    async def offered() -> list[tuple[int, str]]:
        workloads = (await mesh.control("/debug/registryz"))["workloads"]
        return [(one["weight"], one["labels"]["tier"]) for one in workloads if one["name"] == f"appliances-{HOST}"]

    async def serving() -> asyncio.Server:
        server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, port)
        assert await eventually(offered) == [(7, "edge")]
        return server

    assert await offered() == []
    (await serving()).close()
    await eventually(offered, lambda seen: seen == [])
    server = await serving()
    child.signal(signal.SIGTERM)
    await eventually(offered, lambda seen: seen == [])
    assert child.running
    server.close()
    await child.stop(0)
    (mesh.plan.config / "appliances.yaml").unlink()
