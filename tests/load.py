"""Requests without pause, and what became of each, for tests of what must not be felt by users."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp

from pymesh.tasks import spawn

_PATIENCE = 30.0  # seconds
_TIMEOUT = aiohttp.ClientTimeout(total=15)


class Record:
    """What has been answered so far: versions by who answered, and sentences about what went wrong."""

    def __init__(self) -> None:
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self._grown = asyncio.Event()

    @property
    def requests(self) -> int:
        return self.versions.total() + len(self.failures)

    def answered(self, version: str) -> None:
        """Note a good answer."""
        self.versions[version] += 1
        self._grown.set()

    def failed(self, why: str) -> None:
        """Note that there was none."""
        self.failures.append(why)
        self._grown.set()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for something that a further answer makes true; TimeoutError when none does."""
        async with asyncio.timeout(_PATIENCE):
            while not happened():
                self._grown.clear()
                await self._grown.wait()

    async def more(self, requests: int) -> None:
        """Wait for that many more outcomes."""
        wanted = self.requests + requests
        await self.until(lambda: self.requests >= wanted)


@asynccontextmanager
async def under_load(url: str, users: int = 4) -> AsyncIterator[Record]:
    """GET `url` without pause, each user on a kept connection, while the block runs; afterwards the record is complete."""
    record, over = Record(), asyncio.Event()
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:

        async def user() -> None:
            while not over.is_set():
                await _ask(session, url, record)

        tasks = [spawn(user(), name=f"user {number}") for number in range(users)]
        try:
            yield record
        finally:
            over.set()
            await asyncio.gather(*tasks)


async def _ask(session: aiohttp.ClientSession, url: str, record: Record) -> None:
    try:
        async with session.get(url) as answer:
            if answer.status == 200:
                record.answered((await answer.json())["version"])
            else:
                record.failed(f"{answer.status} {await answer.text()}")
    except (aiohttp.ClientError, TimeoutError) as error:
        record.failed(f"{type(error).__name__}: {error}")
