"""Ways out of the mesh: through an egress gateway that begins TLS, and through somebody else's CONNECT proxy."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local.environment import Proxy, place_instances
from pymesh.local.meshfile import Workload
from pymesh.local.ports import HOST
from pymesh_certs.authority import Authority
from tests.waiting import eventually

from .stage import ENVOY, NAMESPACE, OURS, resource, staged

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAR, FORWARD = "far.test", "forward.test"
GATEWAY = "egress.default.svc.cluster.local"


@dataclass(frozen=True)
class Site:
    """A sidecar, an egress gateway, and what is outside."""

    sidecar: Proxy
    session: aiohttp.ClientSession
    asked: list[str]
    """The heads of the CONNECT requests that the foreign proxy got."""

    async def far(self) -> dict[str, Any]:
        """The headers that the far host got; nothing while it cannot be reached."""
        async with self.session.get(f"http://{FAR}/", proxy=f"http://{HOST}:{self.sidecar.http_proxy}") as answer:
            return dict(await answer.json()) if answer.status == 200 else {}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the public authority, beside the far host's own certificate and key in one file."""
    folder = tmp_path_factory.mktemp("public")
    authority = Authority.load_or_create(folder / "ca", "public.test")
    (folder / "far.pem").write_bytes(b"".join(authority.issue_server([FAR], [])))
    (folder / "roots.pem").write_bytes(authority.root_pem)
    return folder / "roots.pem"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def far(roots: Path) -> AsyncIterator[int]:
    """The far host, which speaks TLS and answers with the headers that it got; its port."""

    async def headers(request: web.Request) -> web.Response:
        return web.json_response({name.lower(): value for name, value in request.headers.items()})

    app = web.Application()
    app.router.add_get("/", headers)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(roots.with_name("far.pem"))
    server = TestServer(app)
    await server.start_server(ssl=context)
    assert server.port is not None
    yield server.port
    await server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def forward() -> AsyncIterator[tuple[int, list[str]]]:
    """A CONNECT proxy behind whose tunnels an echo greets and answers: its port, and the heads that it got."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nready")
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[OURS, ENVOY])
async def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, roots: Path, far: int, forward: tuple[int, list[str]]
) -> AsyncIterator[Site]:
    """Both proxies are of one kind."""
    folder = tmp_path_factory.mktemp(request.param)
    async with staged(folder) as stage, aiohttp.ClientSession() as session:
        port = stage.ports.take()
        stage.configure("far.yaml", *through_a_gateway(port, far, roots), *through_a_tunnel(forward[0]))
        await stage.start_control()
        workload = Workload(
            name="app", service_account="app", labels={"app": "app"}, command=["none"], ports={"http": 0}, calls=[f"{FORWARD}:90"]
        )  # fmt: skip
        (instance,) = place_instances(workload, NAMESPACE, folder / "tokens", stage.ports)
        assert instance.sidecar is not None
        await asyncio.gather(stage.start(instance.sidecar, request.param), stage.start_gateway("egress", request.param))
        site = Site(instance.sidecar, session, forward[1])
        await eventually(site.far)
        yield site


def entry(name: str, host: str, ports: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    spec = {"hosts": [host], "resolution": "STATIC", "ports": ports, "endpoints": [{"address": HOST}], **more}
    return resource("ServiceEntry", name, spec)


def through_a_gateway(port: int, far: int, roots: Path) -> list[dict[str, Any]]:
    """Istio's recipe: plain HTTP in the application, mutual TLS to the gateway, and TLS from there."""
    tls = {"mode": "ISTIO_MUTUAL", "sni": FAR}
    hop = {"host": GATEWAY, "subset": "far", "port": {"number": 80}}
    inside = {"address": HOST, "serviceAccount": "default"}
    served = {"number": port, "name": "https", "protocol": "HTTPS"}
    return [
        entry("far", FAR, [http_port(80, far), {"number": 443, "name": "https", "protocol": "HTTPS", "targetPort": far}]),
        entry("egress", GATEWAY, [http_port(80, port)], location="MESH_INTERNAL", endpoints=[inside]),
        resource("Gateway", "egress", {
            "selector": {"edge": "egress"}, "servers": [{"port": served, "hosts": [FAR], "tls": {"mode": "ISTIO_MUTUAL"}}],
        }),
        resource("DestinationRule", "egress", {
            "host": GATEWAY, "subsets": [{"name": "far", "trafficPolicy": {"portLevelSettings": [{"port": {"number": 80}, "tls": tls}]}}],
        }),
        resource("VirtualService", "far", {"hosts": [FAR], "gateways": ["mesh", "egress"], "http": [
            {"match": [{"gateways": ["mesh"], "port": 80}], "route": [{"destination": hop}]},
            {"match": [{"gateways": ["egress"], "port": port}], "route": [{"destination": {"host": FAR, "port": {"number": 443}}}]},
        ]}),
        resource("DestinationRule", "far", {"host": FAR, "trafficPolicy": {
            "portLevelSettings": [{"port": {"number": 443}, "tls": {"mode": "SIMPLE", "caCertificates": str(roots)}}],
        }}),
    ]  # fmt: skip


def http_port(number: int, target: int) -> dict[str, Any]:
    return {"number": number, "name": "http", "protocol": "HTTP", "targetPort": target}


def through_a_tunnel(forward: int) -> list[dict[str, Any]]:
    ports = [{"number": 90, "name": "tcp", "protocol": "TCP", "targetPort": forward}]
    tunnel = {"protocol": "CONNECT", "targetHost": "target.test", "targetPort": 443}
    rule = {"host": FORWARD, "trafficPolicy": {"tunnel": tunnel}}
    return [entry("forward", FORWARD, ports), resource("DestinationRule", "forward", rule)]


async def test_requests_leave_through_the_gateway_which_begins_tls(site: Site) -> None:
    seen = await site.far()
    assert seen["host"] == FAR
    assert "URI=spiffe://cluster.local/ns/default/sa/app" in seen["x-forwarded-client-cert"]  # the gateway knows who asked


async def test_connections_leave_through_a_tunnel(site: Site) -> None:
    site.asked.clear()
    reader, writer = await asyncio.open_connection(HOST, site.sidecar.outbound[f"{FORWARD}:90"])
    assert await reader.readexactly(5) == b"ready"  # the server speaks first, and nobody waits for the client
    writer.write(b"any bytes\x00\xff")
    assert await reader.readexactly(11) == b"any bytes\x00\xff"
    writer.close()
    await writer.wait_closed()
    assert [head.splitlines()[0] for head in site.asked] == ["CONNECT target.test:443 HTTP/1.1"]
