"""Circuit breakers of a real Envoy and of ours, when a second request comes while the first is still under way."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pymesh.tasks import spawn
from tests.interop.connections.twins import Twin, Twins, twins
from tests.waiting import eventually

from .bootstrap import Site, bootstrap, retry
from .cases import Case
from .test_retries import Story, play
from .upstream import Http1Upstream, Http2Upstream, Memory

_KEPT = {"max_requests_per_connection": 1000}
_COUNTED = re.compile(
    r"cluster\.[^.]*\.(upstream_(rq_(total|active|pending_active|active_overflow|pending_overflow|retry.*)|cx_(overflow|active|total))"
    r"|circuit_breakers\.(default|high)\.((cx|rq|rq_pending)_open|remaining_(rq|pending|retries|cx)))"
)


def limited(*thresholds: dict[str, object], per_host: tuple[dict[str, object], ...] = (), **more: object) -> Site:
    tracked = [{**one, "track_remaining": True} for one in thresholds]
    breakers = {"thresholds": tracked, "per_host_thresholds": list(per_host)}
    return Site(cluster={**_KEPT, "circuit_breakers": breakers}, **more)  # type: ignore[arg-type]


HIGH = {"action": {"priority": "HIGH"}}
SITES = {
    "one-request": limited({"max_requests": 1}),
    "no-request": limited({"max_requests": 0}),
    "one-connection": limited({"max_connections": 1}),
    "no-connection": limited({"max_connections": 0}),
    "one-pending": limited({"max_connections": 1, "max_pending_requests": 1}),
    "no-pending": limited({"max_pending_requests": 0}),
    "one-a-host": limited({}, per_host=({"max_connections": 1},)),
    "high-free": limited({"max_requests": 0, "max_pending_requests": 0}, {"priority": "HIGH"}, **HIGH),
    "high-one": limited({"priority": "HIGH", "max_requests": 1}, **HIGH),
    "h2-one-request": Site(cluster={"circuit_breakers": {"thresholds": [{"max_requests": 1}]}}, endpoints=("$UP2",), http2=True),
    "h2-no-pending": Site(cluster={"circuit_breakers": {"thresholds": [{"max_pending_requests": 0}]}}, endpoints=("$UP2",), http2=True),
    "one-retry": Site(retry("5xx"), cluster={**_KEPT, "circuit_breakers": {"thresholds": [{"max_retries": 1, "track_remaining": True}]}}),
    "half-retries": Site(
        retry("5xx"),
        cluster={
            **_KEPT,
            "circuit_breakers": {"thresholds": [{"retry_budget": {"budget_percent": {"value": 50}, "min_retry_concurrency": 0}}]},
        },
    ),
}


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Twins, Memory]]:
    memory = Memory()
    async with Http1Upstream(memory) as up, Http2Upstream(memory) as up2:
        known = {"UP": up.port, "UP2": up2.port}
        async with twins(folder, bootstrap(SITES), "HTTP", **known) as both:
            yield both, memory


_QUEUED = {"one-connection", "no-connection", "one-pending", "one-a-host"}
"""Sites whose second request waits for the connection of the first."""
_ZERO = ("no-", "h2-no-", "high-free")
"""Sites with a limit of 0, which Envoy calls open when something has begun and ended, and we at once."""


async def counters(twin: Twin, site: str) -> dict[str, int]:
    found = {name: value for name, value in (await twin.stats()).items() if _COUNTED.fullmatch(name)}
    mine = {name: value for name, value in found.items() if name.startswith(f"cluster.{site}.")}
    return {name: value for name, value in mine.items() if not (site.startswith(_ZERO) and name.endswith("_open"))}


async def tell(twin: Twin, memory: Memory, site: str, base: int) -> tuple[list[tuple[str, list[str], str]], dict[str, int], dict[str, int]]:
    """Three requests, one after the other, of which none that comes to the upstream is answered before all have come as far as they can."""
    plan = "503,gate" if SITES[site].action.get("retry_policy") else "gate"
    gate = asyncio.Event()
    asked: list[asyncio.Task[Story]] = []

    async def settled() -> bool:
        """Every request so far is answered, waits for a connection, or is held by the upstream."""
        numbers = range(base, base + len(asked))
        there = sum(len(memory.attempts[f"{twin.name}-{number}"]) == plan.count(",") + 1 for number in numbers)
        waits = site in _QUEUED and len(asked) > 1
        pending = (await twin.stats())[f"cluster.{site}.upstream_rq_pending_active"] if waits else 0
        return sum(task.done() for task in asked) + there + pending == len(asked)

    for number in range(base, base + 3):
        memory.gates[f"{twin.name}-{number}"] = gate
        asked.append(spawn(play(twin, memory, number, Case(site, plan)), name="request"))
        await eventually(settled)
    while_held = await counters(twin, site)
    gate.set()
    stories = await asyncio.gather(*asked)
    return [(story.status, story.headers, story.body) for story in stories], while_held, await counters(twin, site)


async def log(twin: Twin) -> list[str]:
    return sorted(re.sub(r"^\S+-(\d+)", r"\1", line) for line in await twin.logged(3 * len(SITES)))


async def test_what_is_over_a_limit_fails_alike_and_is_counted_alike(tmp_path: Path) -> None:
    async with running(tmp_path) as (both, memory):
        different: list[object] = []
        for number, site in enumerate(SITES):
            their, our = [await tell(twin, memory, site, 10 * number) for twin in (both.envoy, both.ours)]
            different += [(site, *pair) for pair in zip(their[0], our[0], strict=True) if pair[0] != pair[1]]
            for moment in (1, 2):
                found = our[moment]
                different += [(name, moment, value, found.get(name)) for name, value in their[moment].items() if found.get(name) != value]
        assert different == [], "\n".join(map(str, different))
        assert await log(both.ours) == await log(both.envoy)
