"""An unmodified grpcio server takes from the control plane whether its ports want mutual TLS; an unmodified client calls it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST
from tests.waiting import eventually

from .stage import Stage, resource, staged
from .test_grpc_policies import DOMAIN, Clients, bootstrap, certify

pytestmark = pytest.mark.asyncio(loop_scope="session")

LABELS = {"app": "greeter"}
MUTUAL = {"trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}


def service(name: str, port: int) -> dict[str, Any]:
    """A service with one port of the server."""
    spec = {"hosts": [f"{name}.{DOMAIN}"], "location": "MESH_INTERNAL", "ports": [{"number": 7070, "name": "grpc", "protocol": "GRPC"}]}
    point = {"address": HOST, "ports": {"grpc": port}, "labels": LABELS, "serviceAccount": "server"}
    return resource("ServiceEntry", name, {**spec, "resolution": "STATIC", "endpoints": [point]})


def resources(plain: int, strict: int) -> list[dict[str, Any]]:
    """`unaware` is the strict port for clients that are not told of it."""
    modes = {"selector": {"matchLabels": LABELS}, "portLevelMtls": {str(strict): {"mode": "STRICT"}}}
    peers = {**resource("PeerAuthentication", "greeter", modes), "apiVersion": "security.istio.io/v1"}
    mutual = resource("DestinationRule", "strict", {"host": "strict", **MUTUAL})
    return [service("plain", plain), service("strict", strict), service("unaware", strict), mutual, peers]


async def start(stage: Stage, script: str, account: str, labels: Mapping[str, str], *ports: int) -> asyncio.subprocess.Process:
    environment = {"GRPC_XDS_BOOTSTRAP_CONFIG": bootstrap(stage, certify(stage, account), labels)}
    argv = [sys.executable, str(Path(__file__).parent / script), *map(str, ports)]
    return await asyncio.create_subprocess_exec(*argv, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def clients(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clients]:
    async with staged(tmp_path_factory.mktemp("grpc")) as stage:
        plain, strict = stage.ports.take(), stage.ports.take()
        stage.configure("greeter.yaml", *resources(plain, strict))
        await stage.start_control()
        processes = [
            await start(stage, "grpc_server.py", "server", LABELS, plain, strict),
            await start(stage, "grpc_clients.py", "client", {}),
        ]
        made = Clients(processes[1], stage)
        await eventually(lambda: made.said("plain"), lambda said: said == {"nobody"})
        yield made
        for process in processes:
            process.kill()
            await process.communicate()


async def test_a_port_takes_plaintext_unless_told_otherwise(clients: Clients) -> None:
    assert await clients.said("plain") == {"nobody"}


async def test_a_strict_port_knows_who_calls(clients: Clients) -> None:
    await eventually(lambda: clients.said("strict"), lambda said: said == {"spiffe://cluster.local/ns/default/sa/client"})


async def test_a_strict_port_takes_no_plaintext(clients: Clients) -> None:
    assert await clients.said("unaware") == {"UNAVAILABLE"}


async def test_everything_sent_was_accepted(clients: Clients) -> None:
    await eventually(clients.standings, lambda found: found == {"SYNCED"})
