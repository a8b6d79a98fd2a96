"""What becomes of resources, as `pymesh get` tells it."""

import asyncio
import contextlib
import json

import pytest
import yaml
from click.testing import CliRunner

from pymesh.cli import main
from pymesh.xds import types
from pymesh_control.plane import ControlPlane
from tests.waiting import eventually

from ..ads.client import ask_delta
from ..ads.served import read
from .started import WEB, first, options, stream

RULES = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: first, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: second, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bad, namespace: shop}
spec:
  servers:
    - port: {number: 80, name: s, protocol: HTTPS}
      hosts: [a.test]
      tls: {mode: SIMPLE, credentialName: c, insecureSkipVerify: true}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: other}
spec: {mtls: {mode: STRICT}}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: quiet, namespace: other}
spec: {}
"""


@pytest.fixture
async def get(tmp_path):
    """Runs `pymesh get`; a proxy has accepted its clusters and refused its routes."""
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB + RULES)
    async with contextlib.AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(chosen))
        call = await stack.enter_async_context(stream(plane.bound.xds))
        await call.write(first(ask_delta(types.CLUSTER), metadata={"NAMESPACE": "shop"}))
        await call.write(ask_delta(types.CLUSTER, nonce=(await read(call)).nonce))
        await call.write(ask_delta(types.ROUTE, "80"))
        await call.write(ask_delta(types.ROUTE, nonce=(await read(call)).nonce, error="no"))
        await call.write(ask_delta(types.LISTENER))
        await read(call)  # requests are heard in order

        async def run(*arguments):
            return await asyncio.to_thread(CliRunner().invoke, main, ["get", *arguments, "--control", str(plane.bound.monitoring)])

        yield run


def rows(result):
    assert result.exit_code == 0, result.output
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in result.output.splitlines()]


async def test_a_rule_that_another_shadows_says_so(get):
    head, one, other, *_ = rows(await get("virtualservices"))
    assert head == ["NAMESPACE", "NAME", "ACCEPTED", "PROGRAMMED", "ACKED", "SHADOWED BY", "FILE"]
    assert one[:6] == ["shop", "first", "yes", "yes", "0 of 1", "-"]
    assert other[:6] == ["shop", "second", "yes", "no", "-", "VirtualService shop/first"]


async def test_what_is_refused_says_why(get):
    result = await get("gw", "bad")
    assert rows(result)[1][:4] == ["shop", "bad", "no", "no"]
    assert "Gateway shop/bad: servers[0].tls.insecureSkipVerify is not supported" in result.output.splitlines()[-1]


async def test_what_a_proxy_accepted_is_counted(get):
    assert (await get("se", "web", "-n", "shop")).output.splitlines()[1].split()[:3] == ["shop", "web", "yes"]


async def test_where_nobody_can_say_nothing_is_said(get):
    assert rows(await get("telemetry"))[1][:6] == ["other", "quiet", "yes", "-", "-", "-"]


async def test_a_policy_that_no_proxy_obeys_is_not_in_use(get):
    assert rows(await get("peerauthentication"))[1][:4] == ["other", "strict", "yes", "no"]


async def test_what_could_not_be_read_has_its_reason_below_the_others(get, tmp_path):
    folder = tmp_path / "config"
    head = "apiVersion: networking.istio.io/v1\nmetadata: {name: half, namespace: shop}\n"
    (folder / "half.yaml").write_text(head + "kind: DestinationRule\nspec: {hots: web}\n")
    (folder / "torn.yaml").write_text("a: [")
    half, torn = f"{folder}/half.yaml:4:8: error: DestinationRule half: spec.hots", f"{folder}/torn.yaml:2:1: error: not valid YAML"
    told = await eventually(lambda: get("all"), lambda result: torn in result.output and half in result.output)
    assert told.exit_code == 0
    assert half in (await get("dr")).output
    services = (await get("se")).output
    assert half not in services
    assert torn in services


@pytest.mark.parametrize("kind", ["gw", "gateway", "Gateway", "gateways"])
async def test_a_kind_has_its_names_and_its_plural(get, kind):
    assert rows(await get(kind, "bad"))[1][1] == "bad"


async def test_every_kind_at_once(get):
    head, *found = rows(await get("all", "-n", "shop"))
    assert head[0] == "KIND"
    assert {row[0] for row in found if len(row) == 8} == {"VirtualService", "ServiceEntry", "Gateway"}


async def test_resources_can_be_had_as_they_are(get):
    assert [one["metadata"]["name"] for one in json.loads((await get("vs", "-o", "json")).output)] == ["first", "second"]
    [one] = yaml.safe_load_all((await get("vs", "first", "-o", "yaml")).output)
    assert (one["kind"], one["spec"]["hosts"]) == ("VirtualService", ["web"])


async def test_what_is_not_there_and_what_is_no_kind(get):
    result = await get("vs", "third")
    assert (result.exit_code, result.output) == (1, "Error: there is no VirtualService third\n")
    assert (await get("virtualservcie")).exit_code == 2


GROUP = """\
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: machines, namespace: shop}
spec: {template: {serviceAccount: web}}
"""


async def test_a_registered_workload_is_among_the_entries(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "group.yaml").write_text(GROUP)
    async with ControlPlane(chosen) as plane, stream(plane.bound.xds) as call:

        async def told(*arguments):
            return await asyncio.to_thread(CliRunner().invoke, main, ["get", "we", *arguments, "--control", str(plane.bound.monitoring)])

        await call.write(first(ask_delta(types.CLUSTER), metadata={"NAMESPACE": "shop", "AUTO_REGISTER_GROUP": "machines"}))
        await call.write(ask_delta(types.HEALTH, error="the application is down"))
        await call.write(ask_delta(types.LISTENER))
        assert [(await read(call)).type_url for _ in range(2)] == [types.CLUSTER, types.LISTENER]  # requests are heard in order
        assert rows(await told())[1][:3] == ["shop", "machines-127.0.0.1", "yes"]
        (entry,) = json.loads((await told("-o", "json")).output)
        assert entry["metadata"]["annotations"]["istio.io/autoRegistrationGroup"] == "machines"
        (condition,) = entry["status"]["conditions"]
        assert (condition["status"], condition["message"]) == ("False", "the application is down")


EXTERNAL = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: shop}
spec: {hosts: [db.example.com], ports: [{number: 5432, name: tcp}], resolution: DNS}
status: {addresses: [{value: 240.240.7.7, host: db.example.com}]}
"""


async def test_addresses_of_the_meshs_own_are_in_the_status(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "db.yaml").write_text(EXTERNAL)
    async with ControlPlane(chosen) as plane:
        arguments = ["get", "se", "-o", "json", "--control", str(plane.bound.monitoring)]
        (entry,) = json.loads((await asyncio.to_thread(CliRunner().invoke, main, arguments)).output)
    assert entry["status"] == {"addresses": [{"value": "240.240.7.7", "host": "db.example.com"}]}
