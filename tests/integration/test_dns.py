"""A sidecar of two workers that answers DNS queries, asked by dnspython and by the c-ares of gRPC; the machine's server is the test's."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode
import grpc
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from pymesh.local.environment import Proxy
from pymesh.local.ports import HOST
from pymesh.local.process import Command
from tests.dns import Upstream
from tests.mesh import REVIEWS, Mesh
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  ports: [{{number: {port}, name: tcp, protocol: TCP}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1}}]
  {more}
"""


class Sidecar:
    """How to ask it."""

    def __init__(self, proxy: Proxy, port: int, upstream: Upstream) -> None:
        self.proxy = proxy
        self.port = port
        self.upstream = upstream

    async def ask(self, name: str, kind: str = "A", over: str = "udp") -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        return await getattr(dns.asyncquery, over)(query, HOST, timeout=10, port=self.port)

    async def addresses(self, name: str, over: str = "udp") -> list[str]:
        return sorted(record.address for rrset in (await self.ask(name, over=over)).answer for record in rrset)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sidecar(mesh: Mesh, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sidecar]:
    proxy, port = mesh.place("resolving"), mesh.ports.take()
    resolv = tmp_path_factory.mktemp("dns") / "resolv.conf"
    async with Upstream({"outside.example": ["192.0.2.7"]}).running() as upstream:
        resolv.write_text(f"nameserver [{HOST}]:{upstream.port}\nsearch default.svc.cluster.local svc.cluster.local\n")
        child = await mesh.supervisor.start(Command(name=proxy.name, argv=["pymesh-proxy"], env=await variables(mesh, proxy, port, resolv)))
        await mesh.supervisor.ready(child, proxy.ready_url)
        yield Sidecar(proxy, port, upstream)
        child.signal(15)
        await child.exit()


async def variables(mesh: Mesh, proxy: Proxy, port: int, resolv: Path) -> dict[str, str]:
    own = proxy.environment(mesh.plan.control)
    config: dict[str, Any] = {**json.loads(own["PROXY_CONFIG"]), "concurrency": 2, "proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}}
    return {
        **own,
        "PROXY_CONFIG": json.dumps(config),
        "PYMESH_TOKEN_FILE": str(await mesh.token("resolving")),
        "DNS_PROXY_ADDR": f"{HOST}:{port}",
        "PYMESH_RESOLV_CONF": str(resolv),
    }


@pytest.mark.parametrize("over", ["udp", "tcp"])
async def test_hosts_of_the_mesh_are_answered_and_others_passed_on(sidecar: Sidecar, over: str) -> None:
    (address,) = await sidecar.addresses(REVIEWS, over)
    assert address.startswith("240.240.")
    assert await sidecar.addresses("outside.example", over) == ["192.0.2.7"]
    assert (await sidecar.ask("nowhere.example", over=over)).rcode() == dns.rcode.NXDOMAIN
    assert REVIEWS not in {name for _, name in sidecar.upstream.asked}


async def test_every_worker_knows_of_a_new_service(mesh: Mesh, sidecar: Sidecar) -> None:
    mesh.configure("new.yaml", ENTRY.format(name="new", host="new.example", port=90, more="addresses: [10.7.7.7]"))

    async def known() -> list[list[str]]:
        return [await sidecar.addresses("new.example") for _ in range(8)]

    await eventually(known, lambda seen: all(one == ["10.7.7.7"] for one in seen))
    (mesh.plan.config / "new.yaml").unlink()
    await eventually(known, lambda seen: all(one == [] for one in seen))


async def test_the_control_plane_shows_the_table(mesh: Mesh, sidecar: Sidecar) -> None:
    (table,) = await mesh.control("/debug/ndsz?proxyID=resolving.default")
    assert table["table"][REVIEWS] == {"ips": await sidecar.addresses(REVIEWS), "registry": "External"}
    assert (await mesh.types("resolving"))["nds"]["status"] == "SYNCED"


async def test_grpcs_own_resolver_finds_its_way(mesh: Mesh, sidecar: Sidecar) -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    mesh.configure("called.yaml", ENTRY.format(name="called", host="called.example", port=port, more="addresses: [127.0.0.1]"))
    await eventually(lambda: sidecar.addresses("called.example"))
    before = await counted(mesh.session, sidecar.proxy)
    async with grpc.aio.insecure_channel(f"dns://{HOST}:{sidecar.port}/called.example:{port}") as channel:
        async with asyncio.timeout(20):
            await channel.channel_ready()
    assert (await counted(mesh.session, sidecar.proxy))["dns_requests_total"] > before["dns_requests_total"]
    (mesh.plan.config / "called.yaml").unlink()
    await server.stop(None)


async def test_the_queries_of_all_workers_are_counted_together(mesh: Mesh, sidecar: Sidecar) -> None:
    before = await counted(mesh.session, sidecar.proxy)
    for _ in range(10):
        await sidecar.ask("outside.example")
    after = await counted(mesh.session, sidecar.proxy)
    grown = {name: after[name] - before[name] for name in before}
    assert grown.pop("dns_upstream_request_duration_seconds_sum") > 0
    assert grown == {
        "dns_requests_total": 10,
        "dns_upstream_requests_total": 10,
        "dns_upstream_failures_total": 0,
        "dns_upstream_request_duration_seconds_count": 10,
    }


async def counted(session: aiohttp.ClientSession, proxy: Proxy) -> dict[str, float]:
    async with session.get(f"http://{HOST}:{proxy.admin}/stats/prometheus") as answer:
        families = list(text_string_to_metric_families(await answer.text()))
    return {one.name: one.value for family in families for one in family.samples if one.name.startswith("dns_") and not one.labels}
