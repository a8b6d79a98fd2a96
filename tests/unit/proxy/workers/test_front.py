"""The admin answers of several workers as one."""

from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from pymesh_proxy.front import Answer, Front, combine


def answer(text: str, status: int = 200) -> Answer:
    return Answer(status, {}, text.encode())


def both(path: str, one: Answer, other: Answer, form: str = "") -> tuple[int, str]:
    combined = combine(path, form, [one, other])
    return combined.status, combined.text


def test_counters_are_added() -> None:
    assert both("/stats", answer("a.upstream_rq_total: 1\n"), answer("a.upstream_rq_total: 2\n")) == (200, "a.upstream_rq_total: 3\n")


def test_prometheus_samples_are_added_under_both_addresses() -> None:
    one, other = answer("# TYPE a counter\na 1\n"), answer("# TYPE a counter\na 2\n")
    assert both("/stats/prometheus", one, other)[1] == "# TYPE a counter\na 3\n"
    assert both("/stats", one, other, "prometheus")[1] == "# TYPE a counter\na 3\n"


def test_proxy_is_ready_when_its_last_worker_is() -> None:
    assert both("/ready", answer("LIVE\n"), answer("INITIALIZING\n", 503)) == (503, "INITIALIZING\n")
    assert both("/ready", answer("LIVE\n"), answer("LIVE\n")) == (200, "LIVE\n")


def test_configuration_comes_from_the_first() -> None:
    assert both("/config_dump", answer("{1}"), answer("{2}")) == (200, "{1}")


def test_refusal_of_one_is_the_answer() -> None:
    assert both("/stats", answer("x", 400), answer("a: 1\n")) == (400, "x")


def test_refusal_of_all_is_not_added() -> None:
    assert both("/stats", answer("bad regex", 400), answer("bad regex", 400)) == (400, "bad regex")


async def worker(socket: Path, text: str, seen: list[str]) -> web.AppRunner:
    async def handle(request: web.Request) -> web.Response:
        seen.append(f"{request.method} {request.raw_path}")
        return web.Response(text=text)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    return runner


async def ask(front: Path, method: str, target: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(front))) as session,
        session.request(method, URL(f"http://admin{target}", encoded=True)) as response,
    ):
        return response.status, await response.text()


async def test_every_worker_is_asked_and_a_dead_one_left_out(tmp_path: Path) -> None:
    seen: list[str] = []
    runners = [await worker(tmp_path / str(index), "a.total: 2\n", seen) for index in range(2)]
    front = Front([tmp_path / "0", tmp_path / "1", tmp_path / "dead"])
    await front.start(str(tmp_path / "front"), 0)
    try:
        assert await ask(tmp_path / "front", "GET", "/stats?filter=a%20b") == (200, "a.total: 4\n")
        await ask(tmp_path / "front", "POST", "/drain_listeners?graceful")
        assert sorted(seen) == ["GET /stats?filter=a%20b"] * 2 + ["POST /drain_listeners?graceful"] * 2
    finally:
        for closing in (front.stop(), *(runner.cleanup() for runner in runners)):
            await closing


async def test_no_worker_at_all_is_a_503(tmp_path: Path) -> None:
    front = Front([tmp_path / "dead"])
    await front.start(str(tmp_path / "front"), 0)
    try:
        assert await ask(tmp_path / "front", "GET", "/ready") == (503, "no worker answers\n")
    finally:
        await front.stop()
