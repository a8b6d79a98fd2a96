"""A sidecar that probes its application: the workload is offered while probes succeed, as a member of its WorkloadGroup."""

import asyncio
import json

import pytest

from pymesh.local.process import Command
from tests.mesh import HOST, Mesh
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

_GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: machines}
spec: {template: {labels: {tier: edge}, weight: 7, serviceAccount: probed}}
"""


async def test_a_workload_is_offered_while_its_application_answers(mesh: Mesh) -> None:
    port = mesh.ports.take()
    proxy = mesh.place("probed")
    (await mesh.token("probed")).replace(proxy.token)
    mesh.configure("group.yaml", _GROUP)
    environment = proxy.environment(mesh.plan.control) | {"ISTIO_META_AUTO_REGISTER_GROUP": "machines"}
    probe = {"tcpSocket": {"port": port, "host": HOST}, "periodSeconds": 1, "failureThreshold": 1}
    environment["PROXY_CONFIG"] = json.dumps(json.loads(environment["PROXY_CONFIG"]) | {"readinessProbe": probe})
    folder = mesh.state / "probed"
    folder.mkdir()
    child = await mesh.supervisor.start(Command(name="probed", argv=["pymesh-proxy"], env=environment, cwd=folder))
    await mesh.supervisor.ready(child, proxy.ready_url)

    async def offered() -> list[tuple[int, str]]:
        workloads = (await mesh.control("/debug/registryz"))["workloads"]
        return [(one["weight"], one["labels"]["tier"]) for one in workloads if one["name"] == f"machines-{HOST}"]

    assert await offered() == []
    server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, port)
    assert await eventually(offered) == [(7, "edge")]
    server.close()
    await eventually(offered, lambda seen: seen == [])
    await child.stop(5.0)
    (mesh.plan.config / "group.yaml").unlink()
