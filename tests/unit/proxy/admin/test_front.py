"""One admin address for several workers."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pymesh_proxy.admin import Admin
from pymesh_proxy.admin.facts import Answer, Facts
from pymesh_proxy.admin.front import Front, combine


@pytest.fixture
async def client(facts: Facts, tmp_path: Path) -> AsyncIterator[Any]:
    """Two workers that share their facts, a third that has not started, and the front before them."""
    workers = [Admin(facts.runtime, life=facts.life, istio=facts.istio) for _ in range(2)]
    sockets = [tmp_path / f"worker-{number}" for number in range(3)]
    for worker, socket in zip(workers, sockets, strict=False):
        await worker.start(str(socket), 0)
    front = Front(sockets, stop=lambda: setattr(facts, "failed", True))
    await front.start("127.0.0.1", 0)
    host, port = front.address
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session
    for closing in (front, *workers):
        await closing.stop()


async def test_counters_of_all_workers_are_added(client: Any, facts: Facts) -> None:
    facts.runtime.http_stats("out").downstream_rq_total = 4
    async with client.get("/stats/prometheus") as answer:
        text = await answer.text()
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="out"} 8\n' in text
    assert 'envoy_cluster_membership_total{envoy_cluster_name="static"} 1\n' in text
    async with client.get("/stats?format=json&filter=downstream_rq_total") as answer:
        assert json.loads(await answer.text())["stats"] == [{"name": "http.out.downstream_rq_total", "value": 8}]


async def test_what_cannot_be_added_is_told_once(client: Any) -> None:
    async with client.get("/listeners") as answer:
        assert await answer.text() == "0.0.0.0_80::0.0.0.0:80\n"


async def test_a_command_reaches_every_worker(client: Any, facts: Facts) -> None:
    facts.runtime.http_stats("out").downstream_rq_total = 4
    async with client.post("/reset_counters") as answer:
        assert (answer.status, await answer.text()) == (200, "OK\n")
    assert facts.runtime.http_stats("out").downstream_rq_total == 0


async def test_quitting_ends_the_parent_not_a_worker(client: Any, facts: Facts) -> None:
    async with client.post("/quitquitquit") as answer:
        assert answer.status == 200
    assert facts.failed


async def test_refusals_need_no_worker(client: Any) -> None:
    async with client.get("/nothing") as answer:
        assert answer.status == 404
    async with client.get("/quitquitquit") as answer:
        assert answer.status == 405


async def test_without_any_worker_the_proxy_is_not_ready(tmp_path: Path) -> None:
    front = Front([tmp_path / "absent"], stop=lambda: None)
    await front.start("127.0.0.1", 0)
    host, port = front.address
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session, session.get("/ready") as answer:
        assert (answer.status, await answer.text()) == (503, "PRE_INITIALIZING\n")
    await front.stop()


def test_the_worst_worker_speaks_for_readiness() -> None:
    answers = [Answer(body=b"LIVE\n"), Answer(body=b"DRAINING\n", status=503)]
    assert combine("/ready", "text", answers) == Answer(body="DRAINING\n", status=503)


def test_an_error_of_one_worker_is_the_answer() -> None:
    error = Answer(body=b"Invalid filter", status=400)
    assert combine("/stats", "text", [Answer(body=b"a: 1\n"), error]) is error
