"""The story's instruments: what they read from the mesh, and when they say that a step held."""

import asyncio
from collections.abc import Iterable
from itertools import count

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from pymesh.local.demo.checks import SILENCE, Measured, split_faults, steady_faults
from pymesh.local.demo.load import Outcome, Record, Users
from pymesh.local.demo.metrics import Histogram, Scrape, Traffic, read
from pymesh.local.demo.probes import plaintext, through_proxy

SCRAPED = """\
# TYPE istio_requests_total counter
istio_requests_total{@v1,response_code="200",response_flags="-"} 7
istio_requests_total{@v1,response_code="200",response_flags="UR"} 1
istio_requests_total{@v1,response_code="503",response_flags="UF"} 2
istio_requests_total{@v2,response_code="200",response_flags="-"} 3
istio_requests_total{reporter="destination",destination_workload="model-serving-v2",destination_version="v2",response_code="200"} 99
istio_requests_total{reporter="source",destination_workload="other",destination_version="v2",response_code="200"} 99
# TYPE istio_request_duration_milliseconds histogram
istio_request_duration_milliseconds_bucket{@v2,le="1"} 1
istio_request_duration_milliseconds_bucket{@v2,le="5"} 3
istio_request_duration_milliseconds_bucket{@v2,le="+Inf"} 3
istio_request_duration_milliseconds_sum{@v2} 9
istio_request_duration_milliseconds_count{@v2} 3
"""
for _version in ("v1", "v2"):
    SCRAPED = SCRAPED.replace(
        f"@{_version}", f'reporter="source",destination_workload="model-serving-{_version}",destination_version="{_version}"'
    )


def record_of(versions: Iterable[str], *, pause: float = 0.0) -> Record:
    record, clock = Record(), count()
    for version in versions:
        ended = next(clock) * pause
        record.add(Outcome(ended, ended, version, None))
    return record


def counted(**requests: int) -> dict[str, Traffic]:
    return {version: Traffic({"200": number}) for version, number in requests.items()}


def test_requests_are_read_by_version_as_the_caller_reports_them() -> None:
    scrape = read(SCRAPED, "model-serving")
    assert {version: dict(traffic.codes) for version, traffic in scrape.versions.items()} == {"v1": {"200": 8, "503": 2}, "v2": {"200": 3}}


def test_only_what_was_added_since_counts() -> None:
    before, after = read(SCRAPED, "model-serving"), read(SCRAPED.replace("} 7", "} 10"), "model-serving")
    added = after.since(before)
    assert {version: traffic.requests for version, traffic in added.items()} == {"v1": 3}


def test_a_version_that_appears_between_two_scrapes_counts_from_zero() -> None:
    assert Scrape(counted(v2=4)).since(Scrape({}))["v2"].requests == 4


def test_a_quantile_is_interpolated_in_its_bucket() -> None:
    durations = read(SCRAPED, "model-serving").versions["v2"].durations
    assert durations.quantile(0.5) == pytest.approx(1 + 4 * 0.25)
    assert Histogram({1.0: 0, float("inf"): 0}).quantile(0.5) is None
    assert Histogram({5.0: 0, float("inf"): 2}).quantile(0.99) == 5.0


def test_a_fair_split_that_the_mesh_counts_alike_has_no_fault() -> None:
    measured = Measured(record_of(["v1"] * 71 + ["v2"] * 29), counted(v1=71, v2=29))
    assert not list(split_faults(measured, {"v1": 0.7, "v2": 0.3}))


@pytest.mark.parametrize(("versions", "mesh", "shares", "fault"), [
    (["v1"] * 500 + ["v2"] * 500, {"v1": 500, "v2": 500}, {"v1": 0.7, "v2": 0.3}, "30% were due"),
    (["v1"] * 99 + ["v2"], {"v1": 99, "v2": 1}, {"v1": 1.0}, "no route leads to it"),
    (["v1"] * 100, {"v1": 99}, {"v1": 1.0}, "the mesh's metrics count"),
    ([], {}, {"v1": 1.0}, "not one request"),
])
def test_a_split_that_is_not_as_due_is_a_fault(versions: list[str], mesh: dict[str, int], shares: dict[str, float], fault: str) -> None:
    assert any(fault in each for each in split_faults(Measured(record_of(versions), counted(**mesh)), shares))


def test_a_failed_request_is_a_fault_with_its_sentence() -> None:
    record = record_of(["v1", "v1"])
    record.add(Outcome(0, 0, None, "503 no healthy upstream"))
    assert list(steady_faults(record)) == ["1 of 3 requests failed: 503 no healthy upstream"]


def test_a_long_silence_is_a_fault() -> None:
    assert not list(steady_faults(record_of(["v1"] * 3, pause=SILENCE)))
    assert any("no request was answered" in fault for fault in steady_faults(record_of(["v1"] * 3, pause=SILENCE * 1.01)))


async def gateway(statuses: Iterable[int]) -> TestServer:
    remaining = iter(statuses)

    async def answer(request: web.Request) -> web.Response:
        status = next(remaining, 200)
        return web.json_response({"model_version": "v1"} if status == 200 else {"error": request.match_info["machine"]}, status=status)

    app = web.Application()
    app.router.add_get("/v1/machines/{machine}/remaining-life", answer)
    server = TestServer(app)
    await server.start_server()
    return server


async def test_users_send_exactly_the_requests_asked_for_and_keep_each_outcome() -> None:
    async with await gateway([200, 503]) as server, aiohttp.ClientSession() as session:
        record = await Users(session, str(server.make_url("")).rstrip("/")).send(25)
    assert record.versions == {"v1": 24}
    assert [(kind.split(" ", 1)[0], number) for kind, number in record.failures.items()] == [("503", 1)]


async def test_a_busy_record_grows_until_the_block_ends() -> None:
    async with await gateway([]) as server, aiohttp.ClientSession() as session:
        async with Users(session, str(server.make_url("")).rstrip("/")).busy() as record:
            assert await record.more(20, within=30)
        assert len(record.outcomes) >= 20
        assert not await record.more(1, within=0.01)


async def test_waiting_for_a_version_that_never_answers_ends() -> None:
    async with await gateway([]) as server, aiohttp.ClientSession() as session:
        users = Users(session, str(server.make_url("")).rstrip("/"))
        assert await users.until("v1", in_a_row=3, within=30) is not None
        assert await users.until("v2", in_a_row=1, within=0.05) is None
        assert users.last_words() == "the last request was answered by v1"


async def test_an_unreachable_gateway_is_an_outcome_not_an_exception() -> None:
    async with aiohttp.ClientSession() as session:
        outcome = await Users(session, "http://127.0.0.1:1").ask()
    assert outcome.version is None
    assert outcome.failure is not None
    assert "127.0.0.1:1" in outcome.failure


async def test_plaintext_that_is_answered_is_seen_as_an_answer() -> None:
    async with await gateway([]) as server:
        assert server.port is not None
        assert (await plaintext(server.port, "/none")).status == 404


async def test_plaintext_that_is_hung_up_on_is_seen_as_refused() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        answer = await plaintext(server.sockets[0].getsockname()[1], "/")
    assert answer.refused
    assert answer.status is None


async def test_a_host_is_asked_for_through_the_proxy() -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(str(request.url))
        return web.Response(status=502, text="blocked  by\npolicy")

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    async with TestServer(app) as proxy, aiohttp.ClientSession() as session:
        assert proxy.port is not None
        found = await through_proxy(session, proxy.port, "http://undeclared.example.com/x")
    assert (found.status, found.text, seen) == (502, "blocked by policy", ["http://undeclared.example.com/x"])
