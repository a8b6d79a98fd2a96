"""The workers that serve the push queue; their number bounds how many pushes are in memory at once."""

import asyncio
import logging
import os
from typing import Protocol

from pymesh.tasks import spawn

from .queue import PushQueue

_log = logging.getLogger("pymesh.push")


def default_concurrency() -> int:
    """Istio's PILOT_PUSH_THROTTLE: 15 pushes, and 5 more for each core, but not over 100."""
    return min(15 + 5 * (os.cpu_count() or 1), 100)


class PushTarget(Protocol):
    """A connected client."""

    async def push(self, since: float) -> None:
        """Bring the client up to the present snapshot, and return when that is written or the client is gone."""


class Pusher:
    """Gives queued clients their turns, `concurrency` at a time."""

    def __init__(self, concurrency: int) -> None:
        self.queue: PushQueue[PushTarget] = PushQueue()
        self._concurrency = concurrency
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._workers = [spawn(self._work(), name=f"push worker {number}") for number in range(self._concurrency)]

    async def stop(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            client, since = await self.queue.next()
            try:
                await client.push(since)
            except Exception:  # noqa: BLE001  one client's push ends here; the worker has others to serve
                _log.exception("push to %s failed", client)
            finally:
                self.queue.done(client)
