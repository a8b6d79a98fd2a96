"""How many bytes may be on their way to all clients together: what a thousand are sent at once would not fit into memory.

Clients that take what they are sent wait for one another only as long as it takes. One that does not take it is moved aside, so that
the others go on, as long as there is room for that too; in any case it is given up after a while.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

LIMIT = 32 << 20
"""Bytes on their way, and again as many moved aside. gRPC copies each once more."""

PATIENCE = 1.0
"""Seconds after which a response that is not taken is moved aside."""

SEND_TIMEOUT = 30.0
"""Seconds for one response; a client that takes longer would keep what it was sent in memory for ever."""


class Window:
    """The room for responses that are being written, in order of arrival."""

    def __init__(self, limit: int = LIMIT, patience: float = PATIENCE, timeout: float = SEND_TIMEOUT) -> None:
        self._limit = limit
        self._patience = patience
        self._timeout = timeout
        self._flying = 0
        self._aside = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """How many responses have no room yet."""
        return len(self._waiting)

    @contextlib.asynccontextmanager
    async def room(self, size: int) -> AsyncIterator[None]:
        """Waits until there is room for so many bytes; they take it up until the context ends. Raises TimeoutError inside."""
        await self._enter(size)
        flight = _Flight(size)
        try:
            async with flight.limit:
                self._watch(flight, min(self._patience, self._timeout))
                yield
        finally:
            self._leave(flight)

    async def _enter(self, size: int) -> None:
        if self._waiting or not self._fits(size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((size, turn))
            try:
                await turn
            except asyncio.CancelledError:
                self._forsake(size, turn)
                raise
        else:
            self._flying += size

    def _fits(self, size: int) -> bool:
        """One response may always fly, however large it is."""
        return not self._flying or self._flying + size <= self._limit

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._flying += size
                turn.set_result(None)

    def _forsake(self, size: int, turn: "asyncio.Future[None]") -> None:
        """Someone who waits is cancelled; the room may have been given to it already."""
        if turn.done() and not turn.cancelled():
            self._flying -= size
        self._admit()

    def _watch(self, flight: "_Flight", after: float) -> None:
        flight.watch = asyncio.get_running_loop().call_later(after, self._overdue, flight)

    def _overdue(self, flight: "_Flight") -> None:
        """It is not taken as fast as others. Only now does it get a time limit: nearly all need none, and each would cost."""
        if flight.limit.when() is None:
            flight.limit.reschedule(flight.began + self._timeout)
        if self._aside and self._aside + flight.size > self._limit:
            self._watch(flight, self._patience)
            return
        flight.is_aside = True
        self._flying -= flight.size
        self._aside += flight.size
        self._admit()

    def _leave(self, flight: "_Flight") -> None:
        if flight.watch is not None:
            flight.watch.cancel()
        if flight.is_aside:
            self._aside -= flight.size
        else:
            self._flying -= flight.size
        self._admit()


class _Flight:
    """One response on its way."""

    __slots__ = ("began", "is_aside", "limit", "size", "watch")

    def __init__(self, size: int) -> None:
        self.size = size
        self.limit = asyncio.timeout(None)
        self.began = asyncio.get_running_loop().time()
        self.is_aside = False
        self.watch: asyncio.TimerHandle | None = None
