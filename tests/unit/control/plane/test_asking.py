"""`pymesh proxy-status` and `pymesh proxy-config` against a control plane with one connected sidecar."""

import asyncio
import contextlib
import json

import pytest
from click.testing import CliRunner

from pymesh.cli import main
from pymesh.xds import types
from pymesh_control.plane import ControlPlane

from ..ads.client import ask_delta
from ..ads.served import read
from .started import WEB, WEB_CLUSTER, endpoints_in, first, options, stream

RULES = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: halves, namespace: shop}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: split, namespace: shop}
spec:
  hosts: [web]
  http:
  - {match: [{uri: {prefix: /old}, headers: {end-user: {exact: jason}}}], redirect: {uri: /new}}
  - {match: [{method: {exact: GET}}], route: [{destination: {host: web, subset: v1}}]}
  - {route: [{destination: {host: web}}]}
"""


class Asked:
    """Runs commands against the control plane of a test."""

    def __init__(self, plane, call):
        self._plane, self._call = plane, call

    async def accept(self, type_url, *names):
        """Subscribe and accept what comes."""
        await self._call.write(ask_delta(type_url, *names))
        await self._call.write(ask_delta(type_url, nonce=(await read(self._call)).nonce))

    async def known(self):
        """Subscribe to endpoints and accept what comes, until the sidecar itself is one."""
        await self._call.write(ask_delta(types.ENDPOINT, WEB_CLUSTER))
        async with asyncio.timeout(20):
            while True:
                response = await read(self._call)
                await self._call.write(ask_delta(response.type_url, nonce=response.nonce))
                if response.type_url == types.ENDPOINT and endpoints_in(response):
                    return

    async def refuse(self, type_url, error):
        await self._call.write(ask_delta(type_url))
        await self._call.write(ask_delta(type_url, nonce=(await read(self._call)).nonce, error=error))
        await self._call.write(ask_delta(types.ROUTE, "80"))
        await read(self._call)  # requests are heard in order

    async def run(self, *arguments):
        control = str(self._plane.bound.monitoring)
        return await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--control", control])

    async def table(self, *arguments):
        """The rows of a table that is printed, cell by cell."""
        result = await self.run(*arguments)
        assert result.exit_code == 0, result.output
        head, *rows = result.output.splitlines()
        starts = [0, *(index for index in range(3, len(head)) if head[index - 3 : index] == "   " and head[index] != " ")]
        return [[line[begin:end].strip() for begin, end in zip(starts, [*starts[1:], None], strict=True)] for line in (head, *rows)]


@pytest.fixture
async def asked(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB + RULES)
    async with contextlib.AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(chosen))
        call = await stack.enter_async_context(stream(plane.bound.xds))
        await call.write(first(ask_delta(types.CLUSTER)))
        await call.write(ask_delta(types.CLUSTER, nonce=(await read(call)).nonce))
        asked = Asked(plane, call)
        await asked.known()
        yield asked


async def test_the_status_of_every_proxy_is_a_row(asked):
    head, row = await asked.table("proxy-status")
    assert head == ["NAME", "CLUSTER", "CDS", "LDS", "EDS", "RDS", "SDS", "ISTIOD", "VERSION"]
    assert row[:2] == ["web-1.shop", "Kubernetes"]
    assert row[2].startswith("SYNCED (")
    assert row[3] == "IGNORED"


async def test_a_refusal_is_told_with_its_reason_and_fails(asked):
    await asked.refuse(types.LISTENER, "0.0.0.0_80: too many")
    result = await asked.run("proxy-status", "web-1.shop")
    assert result.exit_code == 1
    assert "NACKED" in result.output.splitlines()[1]
    assert result.output.splitlines()[-1] == "web-1.shop refused LDS: 0.0.0.0_80: too many"


async def test_a_proxy_that_is_not_there_is_told_with_those_that_are(asked):
    result = await asked.run("proxy-config", "clusters", "web-7")
    assert (result.exit_code, result.output) == (1, "Error: no proxy 'web-7' is connected (connected: web-1.shop)\n")
    assert (await asked.run("proxy-status", "web-7")).output == result.output


async def test_clusters_have_istioctls_columns_and_can_be_filtered(asked):
    head, *rows = await asked.table("proxy-config", "clusters", "web-1", "--fqdn", "web.shop.svc.cluster.local")
    assert head == ["SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"]
    assert rows == [
        ["web.shop.svc.cluster.local", "80", "-", "outbound", "EDS", "halves.shop"],
        ["web.shop.svc.cluster.local", "80", "v1", "outbound", "EDS", "halves.shop"],
    ]
    assert (await asked.table("proxy-config", "cluster", "web-1", "--subset", "v1"))[1:] == rows[1:]
    assert (await asked.table("proxy-config", "c", "web-1", "--name", "BlackHoleCluster"))[1:] == [
        ["BlackHoleCluster", "-", "-", "-", "STATIC", ""],
    ]  # fmt: skip


async def test_clusters_as_json_are_envoys_messages(asked):
    result = await asked.run("proxy-config", "clusters", "web-1", "--subset", "v1", "-o", "json")
    assert [one["name"] for one in json.loads(result.output)] == [WEB_CLUSTER.replace("||", "|v1|")]


async def test_routes_tell_their_conditions(asked):
    await asked.accept(types.ROUTE, "80")
    head, *rows = await asked.table("proxy-config", "routes", "web-1", "--name", "80", "--fqdn", "web.shop.svc.cluster.local")
    assert head == ["NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"]
    assert {row[1] for row in rows} == {"web.shop.svc.cluster.local:80"}
    assert [row[3] for row in rows] == ["/old* end-user=jason", "/* :method=GET", "/*"]


async def test_what_something_was_made_of_is_told_with_its_line(asked, tmp_path):
    await asked.accept(types.ROUTE, "80")
    head, *rows = await asked.table("proxy-config", "clusters", "web-1", "--subset", "v1", "--origins")
    file = f"{tmp_path}/config/web.yaml"
    assert (head[-1], rows[0][-1]) == ("FROM", f"ServiceEntry shop/web ({file}:1:1), DestinationRule shop/halves ({file}:11:1)")
    routes = await asked.table("proxy-config", "routes", "web-1", "--fqdn", "web.shop.svc.cluster.local", "--origins")
    assert {row[-1] for row in routes[1:]} == {f"VirtualService shop/split ({file}:16:1)"}
    assert {row[-2] for row in routes[1:]} == {"split.shop"}


async def test_listeners_tell_where_connections_go(asked):
    await asked.accept(types.LISTENER)
    head, *rows = await asked.table("proxy-config", "listeners", "web-1", "--port", "21001")
    assert head == ["ADDRESSES", "PORT", "MATCH", "DESTINATION"]
    assert {row[0] for row in rows} == {"127.0.0.1"}
    assert {row[3] for row in rows} == {"Inline Route: inbound|21002||"}
    outbound = await asked.table("proxy-config", "l", "web-1", "--port", "80")
    assert ["127.0.0.1", "80", "Trans: raw_buffer; App: http/1.1,h2c", "Route: 80"] in outbound


async def test_endpoints_tell_their_cluster(asked):
    head, *rows = await asked.table("proxy-config", "endpoints", "web-1", "--port", "80")
    assert head == ["NAME", "STATUS", "LOCALITY", "CLUSTER"]
    assert rows == [["127.0.0.1:21001", "HEALTHY", "", WEB_CLUSTER]]


async def test_a_bootstrap_is_asked_of_the_proxy(asked):
    result = await asked.run("proxy-config", "bootstrap", "web-1")
    assert (result.exit_code, "give its --admin address" in result.output) == (2, True)


async def test_all_sections_are_told_at_once(asked):
    result = await asked.run("proxy-config", "all", "web-1")
    assert (result.exit_code, result.output.count("SERVICE FQDN"), result.output.count("RESOURCE NAME")) == (0, 1, 1)
    whole = await asked.run("proxy-config", "all", "web-1", "-o", "json")
    assert len(json.loads(whole.output)["configs"]) == 2


async def test_nobody_at_the_address_is_a_sentence(asked):
    result = await asyncio.to_thread(CliRunner().invoke, main, ["proxy-status", "--control", "127.0.0.1:1"])
    assert (result.exit_code, result.output.startswith("Error: nothing answers at 127.0.0.1:1: ")) == (1, True)
    result = await asyncio.to_thread(CliRunner().invoke, main, ["proxy-status", "--control", "nowhere"])
    assert result.exit_code == 2
