"""Meshes for tests: real processes on free ports, made of a mesh file and of Istio resources.

Every mesh has a `caller`, which calls `reviews` through its sidecar, and `reviews` in two versions, each behind a sidecar that takes
mutual TLS only. What a test adds it writes into the configuration folder.
"""

import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from pymesh.local.environment import Instance, Proxy, place_instances
from pymesh.local.mesh import LocalMesh, Plan
from pymesh.local.meshfile import Workload
from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor

from .waiting import eventually

REVIEWS = "reviews.default.svc.cluster.local"
ROUTES = "routes.yaml"
_APP = Path(__file__).parent / "app.py"

MESH_FILE = f"""
namespace: default
workloads:
- name: caller
  serviceAccount: caller
  labels: {{app: caller, version: v1}}
  command: [python, {_APP}, --version, caller, --port, $(PORT_HTTP)]
  ports: {{http: 0}}
  calls: ["reviews:80"]
- name: reviews-v1
  serviceAccount: reviews
  labels: {{app: reviews, version: v1}}
  command: [python, {_APP}, --version, v1, --port, $(PORT_HTTP)]
  ports: {{http: 0}}
- name: reviews-v2
  serviceAccount: reviews
  labels: {{app: reviews, version: v2}}
  command: [python, {_APP}, --version, v2, --port, $(PORT_HTTP)]
  ports: {{http: 0}}
"""

RESOURCES = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    accessLogFile: /dev/stdout
    outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  # The default, least request, favours an instance that has just died: nothing is waiting there.
  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""


def split(**weights: int) -> str:
    """The VirtualService that gives each subset its share."""
    route = [{"destination": {"host": "reviews", "subset": subset}, "weight": weight} for subset, weight in weights.items()]
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews}}
spec:
  hosts: [reviews]
  http: [{{route: {route}}}]
"""


def moved(number: int, version: str) -> str:
    """A service of one version's instances, and the route of `reviews` that leads there."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: moved-{number}}}
spec:
  hosts: [moved-{number}.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  workloadSelector: {{labels: {{app: reviews, version: {version}}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews}}
spec:
  hosts: [reviews]
  http: [{{route: [{{destination: {{host: moved-{number}}}}}]}}]
"""


class Mesh:
    """A running mesh and the questions that tests ask of it."""

    def __init__(self, local: LocalMesh, supervisor: Supervisor, session: aiohttp.ClientSession) -> None:
        self.local = local
        self.supervisor = supervisor
        self.session = session
        self.ports = FreePorts()

    @property
    def plan(self) -> Plan:
        return self.local.plan

    @property
    def state(self) -> Path:
        return self.plan.state

    @property
    def reviews(self) -> str:
        """Where the caller's application finds `reviews`: its sidecar."""
        return f"http://{HOST}:{self.sidecar('caller').outbound[f'{REVIEWS}:80']}"

    def instance(self, pod: str) -> Instance:
        return next(each for each in self.plan.instances if each.pod == pod)

    def sidecar(self, pod: str) -> Proxy:
        proxy = self.instance(pod).sidecar
        assert proxy is not None
        return proxy

    def configure(self, name: str, text: str) -> None:
        """Put a file into the configuration folder, whole at once, as `kubectl` or an editor would."""
        draft = self.state / name
        draft.write_text(text)
        os.replace(draft, self.plan.config / name)

    async def syncz(self) -> list[dict[str, Any]]:
        """What the control plane knows of its proxies."""
        return await self.control("/debug/syncz")

    async def control(self, path: str) -> Any:
        """A JSON page of the control plane."""
        async with self.session.get(f"http://{HOST}:{self.plan.control.monitoring}{path}") as answer:
            return await answer.json()

    async def types(self, pod: str) -> dict[str, Any]:
        """The subscriptions of one proxy as the control plane sees them, by short type name."""
        known = [proxy for proxy in await self.syncz() if f"~{pod}.default~" in proxy["proxy"]]
        return dict(known[0]["types"]) if known else {}

    async def version(self, url: str) -> str:
        """Which version answers, or the status when none does."""
        async with self.session.get(url) as answer:
            return str((await answer.json())["version"] if answer.status == 200 else answer.status)

    async def versions(self, url: str, requests: int) -> Counter[str]:
        """Who answered how often."""
        return Counter([await self.version(url) for _ in range(requests)])

    def place(self, pod: str) -> Proxy:
        """Ports and an identity for a further sidecar, whose application would call `reviews`; nothing is started."""
        workload = Workload(
            name=pod, service_account=pod, labels={"app": pod}, command=["none"], ports={"http": 0}, calls=["reviews:80"]
        )  # fmt: skip
        (instance,) = place_instances(workload, "default", self.state / "tokens", self.ports)
        assert instance.sidecar is not None
        return instance.sidecar

    async def instances_known(self) -> int:
        """How many instances of `reviews` the caller's sidecar has been told of."""
        async with self.session.get(f"http://{HOST}:{self.sidecar('caller').admin}/clusters") as answer:
            hosts = re.findall(rf"^outbound\|80\|\|{re.escape(REVIEWS)}::{HOST}:(\d+)::", await answer.text(), re.MULTILINE)
        return len(set(hosts))

    async def metrics(self, proxy: Proxy) -> list[Sample]:
        """Every sample of a proxy's metrics."""
        async with self.session.get(proxy.metrics_url) as answer:
            families = text_string_to_metric_families(await answer.text())
            return [sample for family in families for sample in family.samples]

    async def token(self, service_account: str, ttl: str = "1h") -> Path:
        """A join token of the default namespace, in a file."""
        path = self.state / f"token-{service_account}-{ttl}"
        options = ["--ca-dir", str(self.plan.control.ca_dir), "--namespace", "default", "--service-account", service_account, "--ttl", ttl]
        path.write_text(await self.supervisor.output(Command(name="token", argv=["pymesh-ca", "token", *options])))
        return path


@asynccontextmanager
async def running(folder: Path, routes: str = "") -> AsyncIterator[Mesh]:
    """A mesh under `folder` that answers requests. `routes` go to `routes.yaml`, which tests may replace."""
    (folder / "mesh" / "config").mkdir(parents=True)
    (folder / "mesh" / "mesh.yaml").write_text(MESH_FILE)
    (folder / "mesh" / "config" / "mesh.yaml").write_text(RESOURCES)
    (folder / "mesh" / "config" / ROUTES).write_text(routes)
    plan = Plan.make(folder / "mesh", folder)
    async with Supervisor(plan.logs) as supervisor, aiohttp.ClientSession() as session:
        local = LocalMesh(plan, supervisor, lambda what: None)
        await local.start()
        mesh = Mesh(local, supervisor, session)
        await eventually(mesh.instances_known, lambda seen: seen == 2)
        yield mesh
