"""Hosts that nobody lists: Envoys and our proxies of one mesh look them up, by Host header and by server name, and go to the same places.

The hosts are those below `localhost`, which every resolver has to know (RFC 6761 6.3).
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from pymesh.local.environment import place_instances
from pymesh.local.meshfile import Workload
from pymesh.local.ports import HOST
from tests.certificates import Authority
from tests.interop.forwarding.origin import origins
from tests.waiting import eventually

from .stage import ENVOY, NAMESPACE, OURS, Stage, resource, staged

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@dataclass(frozen=True)
class Way:
    """A way into the mesh: the HTTP port of a sidecar or a gateway, and of a gateway its port for TLS."""

    name: str
    http: int
    tls: int = 0


@dataclass(frozen=True)
class Site:
    stage: Stage
    session: aiohttp.ClientSession
    sidecars: tuple[Way, ...]
    gateways: tuple[Way, ...]
    plain: int
    secured: int
    roots: Path

    async def ask(self, way: Way, host: str) -> str:
        """Who answers to a host: the address that was asked, the Host header and the server name; or a status."""
        async with self.session.get(f"http://{HOST}:{way.http}/", headers={"Host": host}) as answer:
            if answer.status != 200:
                return str(answer.status)
            told = await answer.json(content_type=None)
            return " ".join([told["at"], *told["hosts"], told["sni"] or "-"])

    async def all_say(self, ways: tuple[Way, ...], host: str, expected: str) -> None:
        for way in ways:
            await eventually(lambda way=way: self.ask(way, host), lambda told: told == expected)

    def settle(self, policy: Mapping[str, Any]) -> None:
        """The mesh's policy for hosts that nobody declares."""
        settings = json.dumps({"enableAutoMtls": False, "outboundTrafficPolicy": policy})
        metadata = {"name": "istio", "namespace": "istio-system"}
        self.stage.configure("settings.yaml", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mesh": settings}})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("stage")
    authority = Authority()
    pair = authority.pair("localhost", "one.localhost")
    for name, content in (("chain.pem", pair.chain), ("key.pem", pair.key), ("roots.pem", authority.pem)):
        (folder / name).write_bytes(content)
    async with AsyncExitStack() as stack:
        plain, secured = await stack.enter_async_context(origins(folder / "chain.pem", folder / "key.pem"))
        stage = await stack.enter_async_context(staged(folder))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        gateways = tuple(Way(flavor, stage.ports.take(), stage.ports.take()) for flavor in (OURS, ENVOY))
        stage.configure("base.yaml", *_base(gateways, plain, secured))
        await stage.start_control()
        sidecars = tuple(await asyncio.gather(*(_sidecar(stage, flavor) for flavor in (OURS, ENVOY))))
        await asyncio.gather(*(stage.start_gateway(way.name, way.name) for way in gateways))
        yield Site(stage, session, sidecars, gateways, plain, secured, folder / "roots.pem")


async def _sidecar(stage: Stage, flavor: str) -> Way:
    workload = Workload(name=f"caller-{flavor}", labels={"app": "caller"}, command=["true"], ports={"http": 0})
    (instance,) = place_instances(workload, NAMESPACE, stage.folder / "tokens", stage.ports)
    assert instance.sidecar is not None
    await stage.start(instance.sidecar, flavor)
    return Way(flavor, instance.sidecar.http_proxy)


def _base(gateways: tuple[Way, ...], plain: int, secured: int) -> list[dict[str, Any]]:
    """A wildcard that is looked up, and gateways that lead to it."""
    ports = [{"number": plain, "name": "http", "protocol": "HTTP"}, {"number": secured, "name": "tls", "protocol": "TLS"}]
    http, tls = ({"destination": {"host": "*.localhost", "port": {"number": number}}} for number in (plain, secured))
    edge = {
        "hosts": ["*.localhost"],
        "gateways": [way.name for way in gateways],
        "http": [{"route": [http]}],
        "tls": [{"match": [{"sniHosts": ["*.localhost"]}], "route": [tls]}],
    }
    return [
        resource("ServiceEntry", "wild", {"hosts": ["*.localhost"], "resolution": "DYNAMIC_DNS", "ports": ports}),
        resource("VirtualService", "edge", edge),
        *(resource("Gateway", way.name, _gateway(way)) for way in gateways),
    ]


def _gateway(way: Way) -> dict[str, Any]:
    http = {"port": {"number": way.http, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    tls = {"port": {"number": way.tls, "name": "tls", "protocol": "TLS"}, "hosts": ["*"], "tls": {"mode": "PASSTHROUGH"}}
    return {"selector": {"edge": way.name}, "servers": [http, tls]}


async def test_a_wildcard_leads_to_the_host_that_is_asked_for(site: Site) -> None:
    for name in ("one.localhost", "two.localhost"):
        await site.all_say((*site.sidecars, *site.gateways), f"{name}:{site.plain}", f"127.0.0.1 {name}:{site.plain} -")


async def test_connections_are_passed_on_by_server_name(site: Site) -> None:
    context = ssl.create_default_context(cafile=site.roots)
    for way in site.gateways:
        reader, writer = await asyncio.open_connection(HOST, way.tls, ssl=context, server_hostname="one.localhost")
        writer.write(b"GET / HTTP/1.1\r\nHost: inner\r\n\r\n")
        assert b'"sni": "one.localhost"' in await reader.readuntil(b"}")
        writer.close()


async def test_unknown_hosts_are_looked_up_where_the_mesh_says_so(site: Site) -> None:
    host = f"localhost:{site.plain}"
    site.settle({"mode": "ALLOW_ANY_DYNAMIC_DNS"})
    await site.all_say(site.sidecars, host, f"127.0.0.1 {host} -")
    site.settle({"mode": "REGISTRY_ONLY"})
    await site.all_say(site.sidecars, host, "502")
    site.settle({"mode": "ALLOW_ANY_DYNAMIC_DNS"})
    await site.all_say(site.sidecars, host, f"127.0.0.1 {host} -")


async def test_a_sidecars_own_policy_comes_before_the_meshs(site: Site) -> None:
    site.settle({"mode": "ALLOW_ANY_DYNAMIC_DNS"})
    host = f"localhost:{site.plain}"
    await site.all_say(site.sidecars, host, f"127.0.0.1 {host} -")
    site.stage.configure("own.yaml", resource("Sidecar", "own", {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}))
    await site.all_say(site.sidecars, host, "502")
    site.stage.configure("own.yaml")
    await site.all_say(site.sidecars, host, f"127.0.0.1 {host} -")


async def test_tls_towards_unknown_hosts_asks_for_them_and_checks_who_they_are(site: Site) -> None:
    site.settle({"mode": "ALLOW_ANY_DYNAMIC_DNS", "tls": {"mode": "SIMPLE", "caCertificates": str(site.roots)}})
    await site.all_say(site.sidecars, f"localhost:{site.secured}", f"127.0.0.1 localhost:{site.secured} localhost")
    await site.all_say(site.sidecars, f"127.0.0.2:{site.secured}", "503")
