"""An unmodified grpcio client, without any proxy, finds servers through our ADS stream (state of the world)."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio

from tests.mesh import HOST, Mesh
from tests.waiting import eventually

from .grpc_caller import METHOD

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOST_NAME = "greeter.default.svc.cluster.local"


def service(v1: int, v2: int) -> str:
    """The service with one server of each version, told apart by label."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: greeter}}
spec:
  hosts: [{HOST_NAME}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 7070, name: grpc, protocol: GRPC}}]
  endpoints:
  - {{address: {HOST}, ports: {{grpc: {v1}}}, labels: {{version: v1}}}}
  - {{address: {HOST}, ports: {{grpc: {v2}}}, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: greeter}}
spec:
  host: greeter
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
"""


def routes(v1: int, v2: int) -> str:
    """Shares of the two versions, in percent."""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: greeter}}
spec:
  hosts: [greeter]
  http:
  - route:
    - {{destination: {{host: greeter, subset: v1}}, weight: {v1}}}
    - {{destination: {{host: greeter, subset: v2}}, weight: {v2}}}
"""


@asynccontextmanager
async def server(version: str) -> AsyncIterator[int]:
    """A gRPC server that answers with its version; its port."""

    async def who(request: bytes, context: Any) -> bytes:
        return version.encode()

    _, service_name, method = METHOD.split("/")
    running = grpc.aio.server()
    handlers = {method: grpc.unary_unary_rpc_method_handler(who)}
    running.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service_name, handlers),))
    port = running.add_insecure_port(f"{HOST}:0")
    await running.start()
    try:
        yield port
    finally:
        await running.stop(None)


class Caller:
    """The client's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def who(self) -> str:
        """Who answers one call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"who\n")
        return (await self._process.stdout.readline()).decode().strip()

    async def stop(self) -> None:
        self._process.kill()
        await self._process.communicate()


def client_bootstrap(mesh: Mesh) -> str:
    """What Istio's agent writes for such a client, as far as it is needed without certificates."""
    xds = {"server_uri": f"{HOST}:{mesh.plan.control.xds}", "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}
    node = {"id": "sidecar~127.0.0.1~grpc-caller.default~default.svc.cluster.local", "metadata": {"GENERATOR": "grpc"}}
    return json.dumps({"xds_servers": [xds], "node": node})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def caller(mesh: Mesh) -> AsyncIterator[Caller]:
    """A client of the service, which starts with all traffic on v1."""
    async with server("v1") as v1, server("v2") as v2:
        mesh.configure("greeter.yaml", service(v1, v2))
        mesh.configure("greeter_routes.yaml", routes(100, 0))
        script = Path(__file__).parent / "grpc_caller.py"
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), f"xds:///{HOST_NAME}:7070",
            env={"GRPC_XDS_BOOTSTRAP_CONFIG": client_bootstrap(mesh)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        running = Caller(process)
        yield running
        await running.stop()


async def test_a_call_by_name_reaches_a_server(caller: Caller) -> None:
    assert await caller.who() == "v1"


async def test_a_changed_share_is_followed(mesh: Mesh, caller: Caller) -> None:
    mesh.configure("greeter_routes.yaml", routes(50, 50))
    await eventually(caller.who, lambda version: version == "v2")
    answered = Counter([await caller.who() for _ in range(200)])
    assert set(answered) == {"v1", "v2"}
    assert answered["v2"] / 200 == pytest.approx(0.5, abs=0.18)  # five standard deviations


async def test_everything_sent_was_accepted(mesh: Mesh, caller: Caller) -> None:
    await caller.who()
    (client,) = [proxy for proxy in await mesh.syncz() if "grpc-caller" in proxy["proxy"]]
    assert client["user_agent"].startswith("gRPC")
    assert {name: one["status"] for name, one in client["types"].items()} == dict.fromkeys(("lds", "rds", "cds", "eds"), "SYNCED")
