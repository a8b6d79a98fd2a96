"""A port that does not say what it speaks: inside mutual TLS servers are told which connections carry requests.

Sidecars and gateways, each ours and a real Envoy, call applications behind sidecars of ours and behind real Envoys. A server whose
chain is for requests adds the caller's identity to them; what is no HTTP passes as it is. Without mutual TLS first bytes tell them apart.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from pymesh.local.environment import Proxy, place_instances
from pymesh.local.meshfile import Workload
from pymesh.local.ports import HOST
from tests.interop.conftest import require
from tests.waiting import eventually

from .any_application import LINE, any_application
from .stage import ENVOY, NAMESPACE, OURS, Stage, resource, staged

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

PORT = 7070
SERVERS = (OURS, ENVOY)
GATEWAYS = (f"gateway-{OURS}", f"gateway-{ENVOY}")
WITHIN = 40.0


def host(server: str) -> str:
    return f"{server}.{NAMESPACE}.svc.cluster.local"


@dataclass(frozen=True)
class Way:
    """How a caller reaches each server: the ports of its proxy for connections, and for requests where these are others."""

    account: str
    connections: Mapping[str, int]
    requests: int = 0

    async def get(self, server: str, *options: str, path: str = "/") -> str:
        """The answer to a request."""
        url = f"http://{HOST}:{self.requests or self.connections[server]}{path}"
        argv = ["-s", "-m", "30", "-H", f"Host: {host(server)}", *options, url]
        curl = await asyncio.create_subprocess_exec(str(require("curl")), *argv, stdout=asyncio.subprocess.PIPE)
        told, _ = await curl.communicate()
        return told.decode(errors="replace")

    async def say(self, server: str) -> str:
        """The answer to a line that is no HTTP."""
        reader, writer = await asyncio.open_connection(HOST, self.connections[server])
        try:
            writer.write(LINE)
            return (await asyncio.wait_for(reader.readline(), 30)).decode(errors="replace")
        except (ConnectionError, TimeoutError) as error:
            return type(error).__name__
        finally:
            writer.close()


@dataclass(frozen=True)
class Site:
    stage: Stage
    session: aiohttp.ClientSession
    ways: Mapping[str, Way]
    ours: Proxy
    """Our sidecar of a server."""
    mutual: bool
    """Whether mutual TLS is spoken."""

    def principal(self, name: str) -> str:
        """Who calls one way, as servers know it."""
        account = "default" if name in GATEWAYS else self.ways[name].account
        return f"spiffe://cluster.local/ns/{NAMESPACE}/sa/{account}"

    async def counted(self, name: str, **labels: str) -> float:
        """The sum of a counter of our server's sidecar."""
        async with self.session.get(self.ours.metrics_url) as answer:
            samples = [one for family in text_string_to_metric_families(await answer.text()) for one in family.samples]
        return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["PERMISSIVE", "STRICT", "DISABLE"])
async def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        apps = {server: await stack.enter_async_context(any_application(server)) for server in SERVERS}
        stage = await stack.enter_async_context(staged(tmp_path_factory.mktemp("stage")))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        edges = {name: Way(name, {one: stage.ports.take() for one in SERVERS}, stage.ports.take()) for name in GATEWAYS}
        stage.configure("mesh.yaml", *_mesh(request.param, edges))
        await stage.start_control()
        serving = await asyncio.gather(*(_sidecar(stage, one, one, {"any": apps[one]}) for one in SERVERS))
        calling = await asyncio.gather(*(_sidecar(stage, f"caller-{one}", one, {"unused": 0}, calls=SERVERS) for one in SERVERS))
        await asyncio.gather(*(stage.start_gateway(name, name.removeprefix("gateway-")) for name in GATEWAYS))
        callers = {one.service_account: Way(one.service_account, _outbound(one)) for one in calling}
        site = Site(stage, session, {**callers, **edges}, serving[0], mutual=request.param != "DISABLE")
        for way in site.ways.values():
            for one in SERVERS:
                await eventually(lambda way=way, one=one: way.get(one), lambda told, one=one: told.startswith(one), WITHIN)
                await eventually(lambda way=way, one=one: way.say(one), lambda told, one=one: told.startswith(one), WITHIN)
        yield site


def _outbound(sidecar: Proxy) -> dict[str, int]:
    return {server: sidecar.outbound[f"{host(server)}:{PORT}"] for server in SERVERS}


async def _sidecar(stage: Stage, name: str, flavor: str, ports: dict[str, int], calls: tuple[str, ...] = ()) -> Proxy:
    """The sidecar of an application; its account is its name."""
    called = [f"{one}:{PORT}" for one in calls]
    workload = Workload(name=name, service_account=name, labels={"app": name}, command=["true"], ports=ports, calls=called)
    (instance,) = place_instances(workload, NAMESPACE, stage.folder / "tokens", stage.ports)
    assert instance.sidecar is not None
    await stage.start(instance.sidecar, flavor)
    return instance.sidecar


def _mesh(mode: str, edges: Mapping[str, Way]) -> list[dict[str, Any]]:
    """The services, how requests to them are routed, and a gateway for each proxy at the edge."""
    strictness = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "default"}}
    return [
        {**strictness, "spec": {"mtls": {"mode": mode}}},
        *(resource("ServiceEntry", server, _service(server)) for server in SERVERS),
        *(resource("Gateway", name, _gateway(name, way)) for name, way in edges.items()),
        *(resource("VirtualService", f"requests-{server}", _requests(server, list(edges))) for server in SERVERS),
        *(resource("VirtualService", f"at-{name}", _connections(name, way)) for name, way in edges.items()),
    ]


def _service(server: str) -> dict[str, Any]:
    chosen = {"workloadSelector": {"labels": {"app": server}}, "location": "MESH_INTERNAL", "resolution": "STATIC"}
    return {"hosts": [host(server)], "ports": [{"number": PORT, "name": "any"}], **chosen}


def _gateway(name: str, way: Way) -> dict[str, Any]:
    http = {"port": {"number": way.requests, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    tcp = [{"port": {"number": port, "name": server, "protocol": "TCP"}, "hosts": ["*"]} for server, port in way.connections.items()]
    return {"selector": {"edge": name}, "servers": [http, *tcp]}


def _requests(server: str, gateways: list[str]) -> dict[str, Any]:
    """Routes of requests, one of them with shares; each says which it was."""
    to = {"destination": {"host": host(server)}}
    half = {**to, "weight": 50}
    routes = [
        {"match": [{"uri": {"prefix": path}}], "headers": {"request": {"set": {"x-routed": path}}}, "route": route}
        for path, route in (("/shares", [half, half]), ("/", [to]))
    ]
    return {"hosts": [host(server)], "gateways": ["mesh", *gateways], "http": routes}


def _connections(name: str, way: Way) -> dict[str, Any]:
    tcp = [
        {"match": [{"port": port}], "route": [{"destination": {"host": host(server)}}]} for server, port in way.connections.items()
    ]
    return {"hosts": ["*"], "gateways": [name], "tcp": tcp}


WAYS = (*(f"caller-{one}" for one in SERVERS), *GATEWAYS)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
async def test_requests_are_requests_to_the_server(site: Site, name: str, server: str, version: str) -> None:
    """A gateway's clients all offer HTTP/2, which says nothing of the service: it goes on with HTTP/1.1, as Istio's do."""
    way = site.ways[name]
    spoken = "HTTP/2" if "http2" in version and name not in GATEWAYS else "HTTP/1.1"
    for path in ("/", "/shares"):
        told = await way.get(server, version, path=path)
        certificate = f"By=spiffe://cluster.local/ns/{NAMESPACE}/sa/{server};" if site.mutual else "-"
        assert told.startswith(f"{server} {spoken} {path} {certificate}"), told
        assert (f"URI={site.principal(name)}" in told) is site.mutual


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", WAYS)
async def test_what_is_no_request_passes_as_it_is(site: Site, name: str, server: str) -> None:
    """Also beside requests, over the same ports."""
    way = site.ways[name]
    told = await asyncio.gather(way.say(server), way.get(server), way.say(server))
    assert [told[0], told[2]] == [f"{server} lines - -\n"] * 2
    assert told[1].startswith(f"{server} HTTP/1.1 / ")


@pytest.mark.parametrize("name", WAYS)
async def test_each_is_counted_as_what_it_is(site: Site, name: str) -> None:
    way = site.ways[name]
    security, principal = ("mutual_tls", site.principal(name)) if site.mutual else ("none", "unknown")
    labels = {"reporter": "destination", "connection_security_policy": security, "source_principal": principal}

    async def counters() -> tuple[float, float]:
        return await site.counted("istio_requests_total", **labels), await site.counted("istio_tcp_connections_opened_total", **labels)

    requests, connections = await counters()
    await way.get(OURS)
    await way.get(OURS, "--http2-prior-knowledge")
    await way.say(OURS)
    assert await eventually(counters, lambda now: now[0] >= requests + 2 and now[1] >= connections + 1) == (requests + 2, connections + 1)
