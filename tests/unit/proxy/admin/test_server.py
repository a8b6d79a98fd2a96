"""The admin interface over HTTP: headers, methods, unknown paths, and who is kept out."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pymesh_proxy.admin import Admin
from pymesh_proxy.admin.facts import Facts
from pymesh_proxy.admin.guard import refusal
from pymesh_proxy.errors import StartupError


@pytest.fixture
async def admin(facts: Facts) -> AsyncIterator[Admin]:
    admin = Admin(facts.runtime, life=facts.life, istio=facts.istio, discovery=facts.discovery, bootstrap=facts.bootstrap)
    await admin.start("127.0.0.1", 0)
    yield admin
    await admin.stop()


@pytest.fixture
async def client(admin: Admin) -> AsyncIterator[aiohttp.ClientSession]:
    host, port = admin.address
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session


async def test_an_answer_has_envoys_headers(client: Any) -> None:
    async with client.get("/ready") as answer:
        assert (answer.status, await answer.text()) == (200, "LIVE\n")
        assert answer.headers["cache-control"] == "no-cache, max-age=0"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        assert answer.headers.getall("server") == ["envoy"]


async def test_what_changes_something_needs_post(client: Any) -> None:
    async with client.get("/healthcheck/fail") as answer:
        assert (answer.status, await answer.text()) == (405, "Method GET not allowed, POST required.")
    async with client.get("/ready") as answer:
        assert answer.status == 200
    async with client.post("/healthcheck/fail") as answer:
        assert answer.status == 200
    async with client.delete("/ready") as answer:
        assert answer.status == 405


async def test_an_unknown_path_lists_the_commands(client: Any) -> None:
    async with client.get("/no/such/path") as answer:
        assert answer.status == 404
        text = await answer.text()
    assert text.startswith("invalid path. admin commands are:\n")
    assert "  /quitquitquit (POST): " in text
    async with client.get("/help") as answer:
        assert "  /config_dump: " in await answer.text()


async def test_a_bad_parameter_is_a_400_with_the_reason(client: Any) -> None:
    async with client.get("/stats?filter=(") as answer:
        assert (answer.status, await answer.text()) == (400, "Invalid filter: missing ): (\n")
    async with client.get("/config_dump?resource=nothing") as answer:
        assert (answer.status, await answer.text()) == (404, "nothing not found in config dump\n")


async def test_a_name_that_is_not_ours_reads_nothing(client: Any) -> None:
    async with client.get("/config_dump", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403


async def test_another_origin_changes_nothing(client: Any) -> None:
    async with client.post("/quitquitquit", headers={"Origin": "http://evil.example"}) as answer:
        assert answer.status == 403


@pytest.mark.parametrize(
    ("path", "method", "headers", "bound", "passes"),
    [
        ("/stats", "GET", {"Host": "localhost:15000"}, "127.0.0.1", True),
        ("/stats", "GET", {"Host": "127.0.0.1:15000"}, "0.0.0.0", True),
        ("/stats", "GET", {"Host": "[::1]:15000"}, "::1", True),
        ("/stats", "GET", {"Host": "admin.internal"}, "admin.internal", True),
        ("/stats", "GET", {"Host": "anything"}, "/run/admin.sock", True),
        ("/stats", "GET", {"Host": "evil.example:15000"}, "127.0.0.1", False),
        ("/stats", "GET", {"Host": "localhost.evil.example"}, "127.0.0.1", False),
        ("/stats", "GET", {"Host": "[::1"}, "127.0.0.1", False),
        ("/ready", "GET", {"Host": "pod.example"}, "127.0.0.1", True),
        ("/stats/prometheus", "GET", {"Host": "pod.example:15090"}, "127.0.0.1", True),
        ("/quitquitquit", "POST", {"Host": "localhost"}, "127.0.0.1", True),
        ("/quitquitquit", "POST", {"Host": "localhost", "Origin": "http://localhost"}, "127.0.0.1", True),
        ("/quitquitquit", "POST", {"Host": "localhost", "Origin": "http://localhost:81"}, "127.0.0.1", False),
        ("/quitquitquit", "POST", {"Host": "localhost", "Origin": "null"}, "127.0.0.1", False),
        ("/quitquitquit", "POST", {"Host": "localhost", "Sec-Fetch-Site": "cross-site"}, "127.0.0.1", False),
    ],
)
def test_the_guard_lets_in_only_those_who_call_us_by_our_name(
    path: str, method: str, headers: dict[str, str], bound: str, passes: bool
) -> None:
    assert (refusal(path, method, headers, bound) is None) is passes


async def test_a_unix_socket_serves_too(facts: Facts, tmp_path: Path) -> None:
    admin = Admin(facts.runtime, life=facts.life)
    await admin.start(str(tmp_path / "admin.sock"), 0)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "admin.sock"))) as session,
        session.get("http://worker/server_info") as answer,
    ):
        assert answer.status == 200
    await admin.stop()


async def test_a_taken_address_is_told_in_words(admin: Admin, facts: Facts) -> None:
    other = Admin(facts.runtime, life=facts.life)
    with pytest.raises(StartupError, match=r"admin: cannot listen on 127\.0\.0\.1:"):
        await other.start(*admin.address)
    await other.stop()
