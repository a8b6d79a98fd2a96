"""The peers themselves: what the other tests of this folder lean on works."""

import aiohttp

from pymesh.local.ports import HOST, FreePorts
from tests.interop.conftest import StartEnvoy, StartNginx, StartPrometheus


async def test_a_real_envoy_starts_and_says_its_version(envoy: StartEnvoy) -> None:
    running = await envoy({"node": {"id": "test", "cluster": "test"}})
    async with aiohttp.ClientSession() as session, session.get(f"http://{HOST}:{running.admin}/server_info") as answer:
        assert "1.40" in (await answer.json())["version"]


async def test_nginx_answers(nginx: StartNginx) -> None:
    running = await nginx()
    async with aiohttp.ClientSession() as session, session.get(f"http://{HOST}:{running.admin}/any") as answer:
        assert await answer.text() == "hello"


async def test_prometheus_answers_queries(prometheus: StartPrometheus, ports: FreePorts) -> None:
    running = await prometheus(ports.take())
    query = {"query": "vector(42)"}
    async with aiohttp.ClientSession() as session, session.get(f"http://{HOST}:{running.admin}/api/v1/query", params=query) as answer:
        assert (await answer.json())["data"]["result"][0]["value"][1] == "42"


async def test_the_echo_upstream_tells_what_it_was_asked(echo: int) -> None:
    url = f"http://{HOST}:{echo}/status/404?x=%20y"
    async with aiohttp.ClientSession() as session, session.post(url, data=b"\xff", headers={"X-One": "1"}) as answer:
        document = await answer.json()
    assert answer.status == 404
    assert (document["method"], document["path"], document["body"]) == ("POST", "/status/404?x=%20y", "\xff")
    assert ["x-one", "1"] in document["headers"]
