"""A gateway that passes the mesh's own TLS on by server name (AUTO_PASSTHROUGH): ours and a real Envoy, in front of the mesh's sidecars."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from pymesh.local.environment import place_gateway
from pymesh.local.meshfile import Gateway
from pymesh.local.ports import HOST
from pymesh.local.process import Command
from tests.interop.conftest import require
from tests.mesh import REVIEWS, Mesh
from tests.waiting import eventually

from .stage import ENVOY, OURS
from .test_openssl import Client, of_the_mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")

_RESOURCE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: %(name)s}
spec:
  selector: {edge: %(name)s}
  servers: [{port: {number: %(port)d, name: tls, protocol: TLS}, hosts: ["*.local"], tls: {mode: AUTO_PASSTHROUGH}}]
"""


def server_name(subset: str = "") -> str:
    """What Istio's clients send towards `reviews`."""
    return f"outbound_.80_.{subset}_.{REVIEWS}"


_NETWORKS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  meshNetworks: |
    networks: {home: {endpoints: [{fromCidr: 127.0.0.0/8}], gateways: [{address: 127.0.0.1, port: %d}]}}
"""


@dataclass(frozen=True)
class Caller:
    """A client of another network, which reaches the mesh through the gateway alone."""

    client: Client
    certificate: list[str]
    flavor: str
    port: int

    async def call(self, name: str, *options: str, alpn: str = "istio-http/1.1,istio") -> str:
        """All that OpenSSL says about one request to a server name."""
        return await self.client.connect("-servername", name, "-alpn", alpn, *self.certificate, *options)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[OURS, ENVOY])
async def caller(request: pytest.FixtureRequest, mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Caller]:
    name, port = f"east-west-{request.param}", mesh.ports.take()
    proxy = place_gateway(Gateway(name=name, labels={"edge": name}), "default", mesh.state / "tokens", mesh.ports)
    (await mesh.token(proxy.service_account)).replace(proxy.token)
    folder = mesh.state / name
    folder.mkdir()
    argv = ["pymesh-proxy"] if request.param == OURS else ["pymesh-agent", "--sds-path", "sds", "--", str(require("envoy"))]
    command = Command(name=name, argv=argv, env=proxy.environment(mesh.plan.control), cwd=folder)
    child = await mesh.supervisor.start(command)
    await mesh.supervisor.ready(child, proxy.ready_url)
    mesh.configure(f"{name}.yaml", _RESOURCE % {"name": name, "port": port})
    client = Client(f"{HOST}:{port}", mesh.plan.control.root)
    caller = Caller(client, of_the_mesh(mesh, tmp_path_factory.mktemp(name)), request.param, port)
    await eventually(lambda: caller.call(server_name()), lambda said: "HTTP/1.1 200" in said)
    yield caller
    await child.stop(5.0)


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_the_server_name_says_which_subset_is_meant(caller: Caller, version: str) -> None:
    for _ in range(3):
        assert f'"version": "{version}"' in await caller.call(server_name(version))


async def test_the_handshake_is_the_sidecars(caller: Caller) -> None:
    said = await caller.call(server_name())
    assert "Verify return code: 0 (ok)" in said
    assert "URI=spiffe://cluster.local/ns/default/sa/openssl" in said  # as the application was told


@pytest.mark.parametrize(
    ("name", "alpn"),
    [
        (server_name(), "http/1.1"),  # an application's own TLS, which a sidecar might pass to its application
        (server_name("v9"), "istio"),
        (REVIEWS, "istio"),
    ],
)
async def test_nothing_else_is_passed_on(caller: Caller, name: str, alpn: str) -> None:
    said = await caller.call(name, alpn=alpn)
    assert "no peer certificate available" in said
    assert "HTTP/1.1" not in said


async def test_a_sidecar_of_another_network_is_sent_through_the_gateway(caller: Caller, mesh: Mesh) -> None:
    """What it is told of a service is the gateway; the handshake is with the instance behind it all the same."""
    mesh.configure("networks.yaml", _NETWORKS % caller.port)
    far = mesh.place(f"far-{caller.flavor}")
    (await mesh.token(far.pod)).replace(far.token)
    folder = mesh.state / far.pod
    folder.mkdir()
    argv = ["pymesh-proxy"] if caller.flavor == OURS else ["pymesh-agent", "--sds-path", "sds", "--", str(require("envoy"))]
    environment = far.environment(mesh.plan.control) | {"ISTIO_META_NETWORK": "elsewhere"}
    child = await mesh.supervisor.start(Command(name=far.pod, argv=argv, env=environment, cwd=folder))
    await mesh.supervisor.ready(child, far.ready_url)
    try:
        async with mesh.session.get(f"http://{HOST}:{far.admin}/clusters?format=json") as answer:
            clusters = {one["name"]: one for one in (await answer.json())["cluster_statuses"]}
        hosts = [one["address"]["socket_address"]["port_value"] for one in clusters[f"outbound|80||{REVIEWS}"]["host_statuses"]]
        assert hosts == [caller.port]
        url = f"http://{HOST}:{far.outbound[f'{REVIEWS}:80']}"
        assert set(await mesh.versions(url, 60)) == {"v1", "v2"}  # v2 gets 30 %
        async with mesh.session.get(url) as answer:
            assert f"/sa/{far.pod}" in (await answer.json())["headers"]["x-forwarded-client-cert"]
        assert await mesh.instances_known() == 2  # within the network nothing has changed
    finally:
        await child.stop(5.0)
        (mesh.plan.config / "networks.yaml").unlink()
