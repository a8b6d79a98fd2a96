"""`pymesh describe` against a control plane."""

import asyncio
import contextlib
import json

import pytest
from click.testing import CliRunner

from pymesh.api import parse_text
from pymesh.cli import main
from pymesh.xds import types
from pymesh_control.debug.described import UnknownService, servicez
from pymesh_control.metrics import Metrics
from pymesh_control.plane import ControlPlane
from pymesh_control.store.catalogue import Contents
from pymesh_control.world import World

from ..ads.client import ask_delta
from ..ads.served import read
from .started import WEB, first, options, stream

RULES = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: halves, namespace: shop}
spec:
  host: web
  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}
  subsets: [{name: v9, labels: {version: v9}}, {name: whole, labels: {app: web}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: shop}
spec: {hosts: [shop.test], gateways: [edge], http: [{route: [{destination: {host: web}}]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec: {selector: {app: edge}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [shop.test]}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: one, namespace: shop}
spec: {address: 127.0.0.1, labels: {app: web}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""
WEB_LINES = """\
Service: web.shop.svc.cluster.local
   Declared by: ServiceEntry shop/web
   Addresses for sidecars that answer DNS queries: 240.240.230.235, 2001:2::f0f0:e6eb
   Port: http 80/HTTP targets port 80; instances: 1; mutual TLS: STRICT in 1
DestinationRule: shop/halves
   TLS of clients: ISTIO_MUTUAL
   Subset v9 (version=v9): NO instances
   Subset whole (app=web): 1 instance
VirtualService: none; requests go to all instances
Exposed by Gateway shop/edge, port 8080: shop.test (VirtualService shop/edge)
"""


@pytest.fixture
async def describe(tmp_path):
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB + RULES)
    async with contextlib.AsyncExitStack() as stack:
        plane = await stack.enter_async_context(ControlPlane(chosen))
        call = await stack.enter_async_context(stream(plane.bound.xds))
        await call.write(first(ask_delta(types.CLUSTER), metadata={"NAMESPACE": "shop", "LABELS": {"app": "web"}}))
        await read(call)

        async def run(*arguments):
            return await asyncio.to_thread(CliRunner().invoke, main, ["describe", *arguments, "--control", str(plane.bound.monitoring)])

        yield run


@pytest.mark.parametrize("name", [["web.shop.svc.cluster.local"], ["web.shop"], ["web", "-n", "shop"], ["web"]])
async def test_a_service_is_told_with_its_rules_by_each_of_its_names(describe, name):
    assert (await describe("service", *name)).output == WEB_LINES


async def test_a_service_that_is_not_there(describe):
    result = await describe("service", "web", "-n", "other")
    assert (result.exit_code, result.output) == (1, "Error: no service 'web' is declared in namespace other\n")


async def test_a_misspelt_service_is_told_with_the_name_that_is_meant(describe):
    result = await describe("service", "wep")
    assert (result.exit_code, result.output) == (1, "Error: no service 'wep' is declared (did you mean \"web\"?)\n")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [("{}", "at most NONE of 3 instances (maxEjectionPercent: 10)"), ("{maxEjectionPercent: 67}", "at most 2 of 3 instances")],
)
async def test_how_many_instances_outlier_detection_may_throw_out(tmp_path, settings, sentence):
    entry = "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w%d, namespace: shop}\n"
    entry += "spec: {address: 10.0.0.%d, labels: {app: web}}\n"
    rule = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web, namespace: shop}\n"
    rule += f"spec: {{host: web, trafficPolicy: {{outlierDetection: {settings}}}}}\n"
    chosen = options(tmp_path)
    (tmp_path / "config" / "web.yaml").write_text(WEB + "".join(entry % (n, n) for n in (1, 2, 3)) + rule)
    async with ControlPlane(chosen) as plane:
        arguments = ["describe", "service", "web", "--control", str(plane.bound.monitoring)]
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert sentence in result.output


def test_a_bare_name_that_several_namespaces_have_is_told_with_these():
    world = World("cluster.local", Metrics())
    world.rebuild(Contents(tuple(parse_text(WEB + "---\n" + WEB.replace("shop", "other"), "web.yaml").resources)), [])
    with pytest.raises(UnknownService, match="several namespaces have a service 'web': other, shop"):
        servicez(world.snapshot, "web", "")


async def test_a_pod_is_told_with_what_it_serves(describe):
    result = await describe("pod", "web-1")
    assert result.exit_code == 0, result.output
    head, _, told = result.output.partition("-" * 20 + "\n")
    assert head.splitlines()[0] == "Pod: web-1.shop"
    assert told == WEB_LINES


async def test_programs_get_json(describe):
    assert json.loads((await describe("pod", "web-1", "-o", "json")).output)["serves"][0]["virtual_service"] is None
