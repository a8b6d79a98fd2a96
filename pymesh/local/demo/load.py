"""Requests through the gateway, as a user of the mesh sends them, and what became of each."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, pairwise

import aiohttp

from ...tasks import spawn
from ..apps.featurestore_s3 import MACHINES

USERS = 6  # concurrent clients: enough to have requests in flight when something is killed, few enough for a laptop
_TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request: which version answered, or why nothing good came back. Times are seconds."""

    started: float
    ended: float
    version: str | None
    failure: str | None


class Record:
    """What a run of the load has seen so far."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self._grown = asyncio.Event()

    def add(self, outcome: Outcome) -> None:
        """Note one more."""
        self.outcomes.append(outcome)
        self._grown.set()

    async def until(self, happened: Callable[["Record"], bool], within: float) -> bool:
        """Wait, while the load runs, until something can be seen in the record; False if it is not within that many seconds."""
        try:
            async with asyncio.timeout(within):
                while not happened(self):
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            return False
        return True

    async def more(self, requests: int, within: float) -> bool:
        """Wait for that many more outcomes; False if they do not come within that many seconds."""
        wanted = len(self.outcomes) + requests
        return await self.until(lambda record: len(record.outcomes) >= wanted, within)

    @property
    def versions(self) -> Counter[str]:
        """Good answers by version."""
        return Counter(outcome.version for outcome in self.outcomes if outcome.version is not None)

    @property
    def failures(self) -> Counter[str]:
        """Failures by sentence."""
        return Counter(outcome.failure for outcome in self.outcomes if outcome.failure is not None)

    def longest_silence(self) -> float:
        """The longest time between two good answers, in seconds."""
        ends = sorted(outcome.ended for outcome in self.outcomes if outcome.failure is None)
        return max((later - earlier for earlier, later in pairwise(ends)), default=0.0)


class Users:
    """Clients of the mesh's one public address."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address
        self._machines = cycle(MACHINES)
        self._last: Outcome | None = None

    async def ask(self) -> Outcome:
        """Send one request; never raises for what the mesh may do."""
        url = f"{self._address}/v1/machines/{next(self._machines)}/remaining-life"
        started = time.monotonic()
        try:
            async with self._session.get(url, timeout=_TIMEOUT) as response:
                body = await response.read()
                if response.status != 200:
                    return Outcome(started, time.monotonic(), None, f"{response.status} {_sentence(body)}")
                version = (await response.json())["model_version"]
                return Outcome(started, time.monotonic(), version, None)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Outcome(started, time.monotonic(), None, f"{type(error).__name__}: {error}")

    async def send(self, requests: int) -> Record:
        """Send that many requests, several at a time."""
        record, tickets = Record(), iter(range(requests))

        async def user() -> None:
            for _ in tickets:
                record.add(await self.ask())

        async with asyncio.TaskGroup() as group:
            for _ in range(USERS):
                group.create_task(user())
        return record

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[Record]:
        """Send requests without pause while the block runs; its record grows meanwhile and is complete afterwards."""
        record, over = Record(), asyncio.Event()

        async def user() -> None:
            while not over.is_set():
                record.add(await self.ask())

        users = [spawn(user(), name=f"user {number}") for number in range(USERS)]
        try:
            yield record
        finally:
            over.set()
            await asyncio.gather(*users)

    def last_words(self) -> str:
        """What became of the last request, for a sentence."""
        if self._last is None:
            return "no request was sent"
        return f"the last request {'failed: ' + self._last.failure if self._last.failure else f'was answered by {self._last.version}'}"

    async def until(self, version: str, in_a_row: int, within: float) -> float | None:
        """Send requests one by one until `version` answered that many in a row: the seconds it took, or None if it did not happen."""
        started, run = time.monotonic(), 0
        while run < in_a_row:
            if time.monotonic() - started > within:
                return None
            self._last = await self.ask()
            run = run + 1 if self._last.version == version else 0
        return time.monotonic() - started


def _sentence(body: bytes) -> str:
    return " ".join(body.decode(errors="replace").split())[:200] or "(empty body)"
