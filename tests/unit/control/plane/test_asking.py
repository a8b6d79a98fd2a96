"""`pymesh proxy-status` and `pymesh proxy-config` against a control plane with one connected sidecar."""

import asyncio
import contextlib
import json

import pytest
import yaml
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
    head, *rows = await asked.table("proxy-config", "endpoints", "web-1", "--port", "21001", "--fqdn", "web.shop")
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


async def test_filters_mean_what_they_mean_to_istioctl(asked):
    await asked.accept(types.LISTENER)
    names = [row[0] for row in (await asked.table("proxy-config", "c", "web-1", "--fqdn", "web.sh"))[1:]]
    assert set(names) == {"web.shop.svc.cluster.local"}
    assert (await asked.table("proxy-config", "ep", "web-1", "--status", "unhealthy"))[1:] == []
    assert len(await asked.table("proxy-config", "eds", "web-1", "--status", "healthy", "--cluster", WEB_CLUSTER)) == 2
    everything = await asked.table("proxy-config", "l", "web-1")
    http = await asked.table("proxy-config", "l", "web-1", "--type", "http")
    assert 1 < len(http) <= len(everything)
    assert (await asked.table("proxy-config", "l", "web-1", "--type", "HTTP+TCP", "--port", "1"))[1:] == []


async def test_a_proxy_may_be_named_as_istioctl_names_it(asked):
    for words in (["web-1", "-n", "shop"], ["pod/web-1.shop"], ["web-1.shop", "-n", "other"]):
        assert (await asked.run("proxy-config", "clusters", *words)).exit_code == 0, words
    assert (await asked.run("proxy-config", "clusters", "web-1", "-n", "other")).exit_code == 1
    assert len((await asked.run("proxy-status", "-n", "shop")).output.splitlines()) == 2
    assert len((await asked.run("proxy-status", "-n", "other")).output.splitlines()) == 1


async def test_a_dump_that_was_kept_is_read_like_a_proxys_own_and_compared(asked, tmp_path):
    kept = tmp_path / "dump.json"
    kept.write_text((await asked.run("proxy-config", "all", "web-1", "-o", "json")).output)
    live = await asked.table("proxy-config", "clusters", "web-1")
    assert await asked.table("proxy-config", "clusters", "--file", str(kept)) == live
    told = yaml.safe_load((await asked.run("proxy-config", "clusters", "-f", str(kept), "--name", WEB_CLUSTER, "-o", "yaml")).output)
    assert [one["name"] for one in told] == [WEB_CLUSTER]
    compared = await asked.run("proxy-status", "web-1", "--file", str(kept))
    assert (compared.exit_code, compared.output.splitlines()[0]) == (0, "Clusters Match")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot read"), ("{", "is not JSON"), ("[]", "holds no dump"), ('{"configs": []}', "tells no bootstrap")],
)
async def test_a_file_that_is_no_dump_is_told_in_one_line(asked, tmp_path, content, sentence):
    file = tmp_path / "dump.json"
    if content is not None:
        file.write_text(content)
    result = await asked.run("proxy-config", "bootstrap", "-f", str(file))
    assert (result.exit_code, sentence in result.output, len(result.output.splitlines())) == (1, True, 1)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "\u2028:1"])
@pytest.mark.parametrize(
    "words", [["proxy-status"], ["proxy-config", "all", "x"], ["get", "vs"], ["describe", "service", "a.b"], ["blocked"]]
)
def test_a_control_plane_that_is_not_there_is_one_line_and_no_traceback(address, words):
    result = CliRunner().invoke(main, [*words, "--control", address])
    assert (result.exit_code, len(result.output.rstrip("\n").split("\n"))) == (1, 1), result.output
    assert result.output.startswith("Error: nothing answers at")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://127.0.0.1:1/metrics"])
def test_an_address_may_be_written_as_the_url_that_is_printed(address):
    result = CliRunner().invoke(main, ["proxy-status", "--control", address])
    assert result.output.startswith("Error: nothing answers at 127.0.0.1:1:")


def test_a_token_that_cannot_be_read_is_one_line(monkeypatch):
    monkeypatch.setenv("PYMESH_TOKEN_FILE", "/nowhere/token")
    result = CliRunner().invoke(main, ["proxy-status", "--control", "127.0.0.1:1"])
    assert (result.exit_code, result.output.splitlines()) == (
        1,
        ["Error: cannot read the token of PYMESH_TOKEN_FILE: [Errno 2] No such file or directory: '/nowhere/token'"],
    )
