"""The responses that wait for one client's wire, and the moment when none does."""

import asyncio
import enum
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any


class _Phase(enum.Enum):
    OPEN = "takes responses"
    ENDING = "writes what waits, then ends"
    CLOSED = "drops everything"


class Outbox:
    """A queue with one reader. Whoever waits in `drained`, or for `then`, is let go when all is written, or when the client is gone."""

    def __init__(self) -> None:
        self._phase = _Phase.OPEN
        self._waiting: deque[Any] = deque()
        self._more = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._afterwards: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, responses: Iterable[Any]) -> None:
        if self._phase is not _Phase.CLOSED:
            self._waiting.extend(responses)
        if self._waiting:
            self._drained.clear()
            self._more.set()

    async def drained(self) -> None:
        await self._drained.wait()

    def then(self, callback: Callable[[], None]) -> None:
        """Call once nothing waits any more: now, if nothing does."""
        self._afterwards.append(callback)
        if self._drained.is_set():
            self._empty()

    def _empty(self) -> None:
        self._drained.set()
        callbacks, self._afterwards = self._afterwards, []
        for callback in callbacks:
            callback()

    def end(self) -> None:
        """Nothing more will be put: the reader's loop ends after what waits."""
        if self._phase is _Phase.OPEN:
            self._phase = _Phase.ENDING
        self._more.set()

    def close(self) -> None:
        """Nothing more will be written."""
        self._phase = _Phase.CLOSED
        self._waiting.clear()
        self._more.set()
        self._empty()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """The responses in order; asking for the next says that the last is written."""
        while True:
            while self._waiting:
                yield self._waiting[0]
                self._waiting.popleft()
            self._empty()
            if self._phase is not _Phase.OPEN:
                return
            self._more.clear()
            await self._more.wait()
