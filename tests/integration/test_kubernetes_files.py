"""A folder of Kubernetes' own objects as the mesh's services, with real processes."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from pymesh.local.ports import HOST
from tests.app import application
from tests.mesh import Mesh
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

_FILE = "kubernetes.yaml"
_NODES = {"here": "eu-1", "there": "eu-2"}


def thing(kind: str, name: str, *, labels: Mapping[str, str] | None = None, version: str = "v1", **body: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels or {}}, **body}


def service(name: str, **spec: Any) -> dict[str, Any]:
    return thing("Service", name, spec={"ports": [{"name": "http", "port": 80, "targetPort": "web"}], **spec})


def endpoint_slice(name: str, port: int, **endpoint: Any) -> dict[str, Any]:
    """One instance of `ratings` at a port of this machine."""
    labels = {"kubernetes.io/service-name": "ratings"}
    instance = {"addresses": [HOST], "targetRef": {"kind": "Pod", "name": name}, **endpoint}
    body = {"addressType": "IPv4", "ports": [{"name": "http", "port": port}], "endpoints": [instance]}
    return thing("EndpointSlice", name, labels=labels, version="discovery.k8s.io/v1", **body)


@asynccontextmanager
async def answering(version: str) -> AsyncIterator[int]:
    """An application outside the mesh; its port."""
    runner = web.AppRunner(application(version))
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Ratings:
    """The service `ratings` with two instances, `one` and `two`, called as the caller's application calls any host."""

    mesh: Mesh
    ports: Mapping[str, int]

    def apply(self, *others: dict[str, Any], one: Mapping[str, Any], two: Mapping[str, Any], **spec: Any) -> None:
        """Write the service with what is said of its instances, as `kubectl get -o yaml` would."""
        slices = [endpoint_slice(f"ratings-{name}", self.ports[name], **said) for name, said in (("one", one), ("two", two))]
        items = [service("ratings", clusterIP="10.96.0.9", **spec), *slices, *others]
        self.mesh.configure(_FILE, json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    async def version(self, host: str) -> str:
        """Which version answers, or the status when none does."""
        proxy = f"http://{HOST}:{self.mesh.sidecar('caller').http_proxy}"
        async with self.mesh.session.get(f"http://{host}/", proxy=proxy) as answer:
            return str((await answer.json())["version"] if answer.status == 200 else answer.status)

    async def versions(self, host: str, requests: int = 16) -> set[str]:
        return {await self.version(host) for _ in range(requests)}

    async def settle(self, wanted: set[str]) -> None:
        await eventually(lambda: self.versions("ratings"), lambda seen: seen == wanted)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ratings(mesh: Mesh) -> AsyncIterator[Ratings]:
    async with AsyncExitStack() as stack:
        ports = {name: await stack.enter_async_context(answering(name)) for name in ("one", "two")}
        yield Ratings(mesh, ports)
        (mesh.plan.config / _FILE).unlink()


async def test_requests_follow_the_conditions_of_the_slices(ratings: Ratings) -> None:
    ready, sick = {"conditions": {"ready": True}}, {"conditions": {"ready": False}}
    ratings.apply(one=ready, two=sick)
    await ratings.settle({"one"})
    ratings.apply(one=sick, two=ready)
    await ratings.settle({"two"})
    ratings.apply(one=ready, two=ready)
    await ratings.settle({"one", "two"})
    ratings.apply(one=sick, two=sick)
    await ratings.settle({"503"})


async def test_every_name_of_a_service_leads_to_it(ratings: Ratings) -> None:
    stars = service("stars", type="ExternalName", externalName="ratings.default.svc.cluster.local")
    ratings.apply(stars, one={}, two={"conditions": {"ready": False}})
    await ratings.settle({"one"})
    await eventually(lambda: ratings.version("stars"), lambda seen: seen == "one")
    for name in ("ratings.default", "ratings.default.svc.cluster.local", "10.96.0.9", "stars.default.svc.cluster.local"):
        assert await ratings.version(name) == "one"


async def test_a_selector_finds_workloads_that_registered_behind_mutual_tls(ratings: Ratings) -> None:
    ratings.apply(service("front", selector={"app": "reviews"}), one={}, two={})
    await eventually(lambda: ratings.versions("front"), lambda seen: seen == {"v1", "v2"})


async def test_traffic_stays_in_the_zone_while_that_is_well(ratings: Ratings) -> None:
    zone = "topology.kubernetes.io/zone"
    nodes = [thing("Node", name, labels={"topology.kubernetes.io/region": "eu", zone: place}) for name, place in _NODES.items()]
    # The caller's sidecar does not say where it is: it is told from the pod at its address.
    caller = thing("Pod", "caller", labels={"app": "caller"}, spec={"nodeName": "here"}, status={"podIP": HOST})
    one, two = {"nodeName": "here"}, {"nodeName": "there"}
    ratings.apply(*nodes, caller, one=one, two=two)
    await ratings.settle({"one", "two"})
    ratings.apply(*nodes, caller, one=one, two=two, trafficDistribution="PreferClose")
    await ratings.settle({"one"})
    ratings.apply(*nodes, caller, one={**one, "conditions": {"ready": False}}, two=two, trafficDistribution="PreferClose")
    await ratings.settle({"two"})
