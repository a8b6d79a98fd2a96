"""Serves the push queue: one client after another is brought up to date, and none waits until another has taken what it was sent."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from pymesh.tasks import spawn

from .queue import PushQueue

_log = logging.getLogger("pymesh.push")


class PushTarget(Protocol):
    """A connected client."""

    def push(self, since: float, done: Callable[[], None]) -> None:
        """Send what brings the client up to the present snapshot; `done` is called when that is written, or the client is gone."""


class Pusher:
    """Gives queued clients their turns. What waits to be written is bounded elsewhere (`ads.window`)."""

    def __init__(self) -> None:
        self.queue: PushQueue[PushTarget] = PushQueue()
        self._working: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._working = spawn(self._work(), name="push")

    async def stop(self) -> None:
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            client, since = await self.queue.next()
            try:
                client.push(since, partial(self.queue.done, client))
            except Exception:  # noqa: BLE001  one client's push ends here; there are others to serve
                _log.exception("push to %s failed", client)
                self.queue.done(client)
            await asyncio.sleep(0)  # a thousand pushes are a second in which others want to be heard
