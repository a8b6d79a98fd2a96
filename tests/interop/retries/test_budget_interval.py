"""A retry budget that looks back (`budget_interval`): a real Envoy and our proxy count the same requests, and forget them."""

import asyncio
from pathlib import Path

from tests.interop.connections.twins import Twin, twins

from .bootstrap import Site, bootstrap, retry
from .cases import Case
from .test_retries import play
from .upstream import Http1Upstream, Memory


def budget(interval: str, percent: int = 10) -> Site:
    limits = {"budget_percent": {"value": percent}, "budget_interval": interval, "min_retry_concurrency": 0}
    return Site(retry("5xx"), cluster={"circuit_breakers": {"thresholds": [{"retry_budget": limits}]}})


SITES = {**dict.fromkeys(("nine", "eight", "retries"), budget("600s")), "short": budget("1s"), "none": budget("0s", 50)}
FAILS = "503,200"


class Player:
    """One proxy, asked one thing after the other."""

    def __init__(self, twin: Twin, memory: Memory) -> None:
        self._twin, self._memory, self._asked = twin, memory, 0

    async def ask(self, site: str, plan: str = FAILS) -> str:
        self._asked += 1
        return (await play(self._twin, self._memory, self._asked, Case(site, plan))).status

    async def good(self, site: str, times: int) -> None:
        for _ in range(times):
            await self.ask(site, "200")


async def tell(player: Player) -> list[tuple[str, str]]:
    """What becomes of a request that would be tried again after so many others."""
    told = [("first", await player.ask("nine"))]
    await player.good("nine", 8)
    told.append(("the tenth of all", await player.ask("nine")))
    await player.good("eight", 8)
    told.append(("the ninth of all", await player.ask("eight")))
    await player.good("retries", 9)
    told.append(("the tenth", await player.ask("retries")))
    await player.good("retries", 7)  # 17 and a retry
    told += [("two at once", status) for status in sorted(await asyncio.gather(player.ask("retries"), player.ask("retries")))]
    await player.good("none", 20)
    told.append(("alone in flight", await player.ask("none")))
    await player.good("short", 9)
    await asyncio.sleep(1.5)  # an interval and a half: neither may remember
    told.append(("later", await player.ask("short")))
    return told


async def test_the_same_requests_count_and_are_forgotten(tmp_path: Path) -> None:
    memory = Memory()
    async with Http1Upstream(memory) as up, twins(tmp_path, bootstrap(SITES), "HTTP", UP=up.port, UP2=1, DEAD=1) as both:
        theirs, ours = await asyncio.gather(*(tell(Player(twin, memory)) for twin in (both.envoy, both.ours)))
        assert ours == theirs
        assert dict(theirs) == {
            "first": "HTTP/1.1 503", "the tenth of all": "HTTP/1.1 200", "the ninth of all": "HTTP/1.1 503", "the tenth": "HTTP/1.1 200",
            "two at once": "HTTP/1.1 200", "alone in flight": "HTTP/1.1 503", "later": "HTTP/1.1 503",
        }  # fmt: skip
