"""Debian's Prometheus scrapes the sidecars and answers what people ask of Istio's metrics."""

import json
import math
from typing import Any

import pytest
import pytest_asyncio

from pymesh.local.process import Command
from tests.interop.conftest import require
from tests.mesh import HOST, Mesh
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

_SCRAPE = 0.5  # seconds

_BY_VERSION = """sum by (destination_version) (
    {function}(istio_requests_total{{reporter="source", destination_service="reviews.default.svc.cluster.local"}}[1m])
)"""


class Prometheus:
    """A running one."""

    def __init__(self, mesh: Mesh, port: int) -> None:
        self._mesh = mesh
        self._port = port

    async def ask(self, query: str) -> list[Any]:
        """The result of an instant query; fails the test when it is refused."""
        url = f"http://{HOST}:{self._port}/api/v1/query"
        async with self._mesh.session.get(url, params={"query": query}) as answer:
            document = await answer.json()
        assert document["status"] == "success", document
        return list(document["data"]["result"])

    async def values(self, query: str) -> dict[str, float]:
        """The same as destination_version -> value."""
        return {each["metric"]["destination_version"]: float(each["value"][1]) for each in await self.ask(query)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def prometheus(mesh: Mesh) -> Prometheus:
    """A Prometheus that scrapes the caller's and both reviews' sidecars."""
    binary, port, folder = require("prometheus"), mesh.ports.take(), mesh.state / "prometheus"
    folder.mkdir()
    targets = [f"{HOST}:{proxy.prometheus}" for proxy in mesh.plan.proxies]
    job = {"job_name": "mesh", "metrics_path": "/stats/prometheus", "static_configs": [{"targets": targets}]}
    config = {"global": {"scrape_interval": f"{_SCRAPE * 1000:.0f}ms"}, "scrape_configs": [job]}
    (folder / "prometheus.yml").write_text(json.dumps(config))
    argv = [str(binary), f"--config.file={folder}/prometheus.yml", f"--web.listen-address={HOST}:{port}", f"--storage.tsdb.path={folder}"]
    child = await mesh.supervisor.start(Command(name="prometheus", argv=argv))
    await mesh.supervisor.ready(child, f"http://{HOST}:{port}/-/ready")
    return Prometheus(mesh, port)


async def test_requests_can_be_asked_for_by_version(mesh: Mesh, prometheus: Prometheus) -> None:
    await mesh.versions(mesh.reviews, 60)
    total = 'sum by (destination_version) (istio_requests_total{reporter="source", destination_app="reviews"})'
    before = await eventually(lambda: prometheus.values(total), lambda seen: set(seen) == {"v1", "v2"} and sum(seen.values()) >= 20)

    sent = await mesh.versions(mesh.reviews, 200)
    expected = {version: before[version] + count for version, count in sent.items()}
    await eventually(lambda: prometheus.values(total), lambda seen: seen == expected)

    for function in ("increase", "rate"):
        seen = await prometheus.values(_BY_VERSION.format(function=function))
        assert seen["v1"] > seen["v2"] > 0


async def test_every_sidecar_is_scraped(mesh: Mesh, prometheus: Prometheus) -> None:
    up = await eventually(lambda: prometheus.ask("up"), lambda seen: len(seen) == len(mesh.plan.proxies))
    assert [each["value"][1] for each in up] == ["1"] * len(up)


async def test_latency_quantiles_can_be_asked_for(mesh: Mesh, prometheus: Prometheus) -> None:
    await mesh.versions(mesh.reviews, 20)
    buckets = 'sum by (le, destination_version) (increase(istio_request_duration_milliseconds_bucket{reporter="source"}[1m]))'
    query = f"histogram_quantile(0.5, {buckets})"
    seen = await eventually(lambda: prometheus.values(query), lambda seen: sum(map(math.isfinite, seen.values())) == 2)
    assert all(0 < milliseconds < 10_000 for milliseconds in seen.values())
