"""Agents keep the certificates of unmodified gRPC applications: a server and a client whose files are replaced while they run."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST
from pymesh.local.process import Command
from pymesh_certs import token
from tests.waiting import eventually

from .stage import Stage, staged
from .test_grpc_policies import Clients
from .test_grpc_servers import LABELS, resources

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIFE = 8  # seconds; files are read again every second
CLIENT = {"spiffe://cluster.local/ns/default/sa/client"}


class Agent:
    """The agent of one application, and what it keeps."""

    def __init__(self, stage: Stage, account: str) -> None:
        self.folder = stage.folder / account
        self.bootstrap = self.folder / "bootstrap.json"
        self._stage = stage
        self._account = account

    async def start(self) -> None:
        """Returns when the application can be started."""
        stage, control, status = self._stage, self._stage.control, self._stage.ports.take()
        self.folder.mkdir()
        (self.folder / "token").write_text(token.mint(control.ca_dir, "default", self._account, timedelta(hours=1)))
        environment = {
            "POD_NAME": self._account, "POD_NAMESPACE": "default", "INSTANCE_IP": HOST, "SERVICE_ACCOUNT": self._account,
            "ISTIO_METAJSON_LABELS": json.dumps(LABELS if self._account == "server" else {}),
            "PROXY_CONFIG": json.dumps({"discoveryAddress": f"{HOST}:{control.secure_xds}", "statusPort": status}),
            "CA_ROOT_CA": str(control.root), "PYMESH_TOKEN_FILE": str(self.folder / "token"), "SECRET_TTL": f"{LIFE}s",
            "DISABLE_ENVOY": "true", "OUTPUT_CERTS": str(self.folder / "certs"), "GRPC_XDS_BOOTSTRAP": str(self.bootstrap),
        }  # fmt: skip
        child = await stage.supervisor.start(Command(name=self._account, argv=["pymesh-agent"], env=environment))
        await stage.supervisor.ready(child, f"http://{HOST}:{status}/healthz/ready")
        await eventually(self._written)

    async def _written(self) -> bool:
        return self.bootstrap.exists()

    async def chain(self) -> bytes:
        return (self.folder / "certs" / "cert-chain.pem").read_bytes()

    async def application(self, script: str, *ports: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__).parent / script), *map(str, ports), env={"GRPC_XDS_BOOTSTRAP": str(self.bootstrap)},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with staged(tmp_path_factory.mktemp("grpc")) as made:
        yield made


async def test_calls_go_on_when_the_first_certificates_have_ended(stage: Stage) -> None:
    plain, strict = stage.ports.take(), stage.ports.take()
    stage.configure("greeter.yaml", *resources(plain, strict))
    await stage.start_control()
    server, client = Agent(stage, "server"), Agent(stage, "client")
    await asyncio.gather(server.start(), client.start())
    first = await server.chain(), await client.chain()
    processes = [await server.application("grpc_server.py", plain, strict), await client.application("grpc_clients.py")]
    calls = Clients(processes[1], stage)
    await eventually(lambda: calls.said("strict"), lambda said: said == CLIENT)
    await asyncio.sleep(LIFE)  # what is under test: the certificates that the processes began with end
    assert await server.chain() != first[0]
    assert await client.chain() != first[1]
    processes.append(await client.application("grpc_clients.py"))
    fresh = Clients(processes[2], stage)
    await eventually(lambda: fresh.said("strict"), lambda said: said == CLIENT)
    for process in processes:
        process.kill()
        await process.communicate()
