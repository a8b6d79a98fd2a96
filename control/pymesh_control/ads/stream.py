"""One client's open stream: requests and pushes go into its session, what the session answers goes out in order."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pymesh.identity import SpiffeId
from pymesh.tasks import spawn
from pymesh.xds import types

from ..errors import SlowClient
from ..metrics import Metrics
from .outbox import Outbox
from .session import Session
from .subscription import Resources

SEND_TIMEOUT = 30.0
"""Seconds for one response; a client that takes longer would hold one of the few push turns for ever."""

_log = logging.getLogger("pymesh.ads")


class Stream:
    """A connected client. Decisions are synchronous; one coroutine writes, so responses cannot overtake each other."""

    def __init__(
        self,
        node: Any,
        identity: SpiffeId | None,
        session: Session,
        present: Callable[[], Resources],
        felt: Callable[[bool], None],
        metrics: Metrics,
    ) -> None:
        """`felt` is told when the client says that its workload is well again, or no longer."""
        self.node = node
        self.identity = identity
        self.session = session
        self.connected_at = time.time()
        self.well = True
        self._present = present
        self._felt = felt
        self._metrics = metrics
        self._outbox = Outbox()

    def __repr__(self) -> str:
        return f"<Stream {self.node.id} {len(self._outbox)} to send>"

    async def serve(self, first: Any, requests: AsyncIterator[Any], write: Callable[[Any], Awaitable[None]]) -> None:
        """Run until the client ends the stream. Raises SlowClient."""
        reader = spawn(self._read(first, requests), name=f"requests of {self.node.id}")
        try:
            async for response in self._outbox:
                await self._write(response, write)
            await reader
        finally:
            self._outbox.close()
            reader.cancel()

    async def push(self, since: float) -> None:
        """Bring the client up to the present snapshot; returns when that is on the wire, or the client is gone."""
        started = time.monotonic()
        self._metrics.queue_time.observe(started - since)
        responses = self.session.push(self._present())
        self._metrics.push_time.observe(time.monotonic() - started)
        self._outbox.put(responses)
        await self._outbox.drained()
        self._metrics.send_time.observe(time.monotonic() - started)
        self._metrics.convergence_time.observe(time.monotonic() - since)

    async def _read(self, first: Any, requests: AsyncIterator[Any]) -> None:
        try:
            self._hear(first)
            async for request in requests:
                # A client that asks faster than it takes answers is read no faster: what waits for it stays bounded.
                await self._outbox.drained()
                self._hear(request)
        finally:
            self._outbox.end()

    def _hear(self, request: Any) -> None:
        if request.type_url == types.HEALTH:
            self._feel(not request.HasField("error_detail"))
            return
        kind = types.SHORT.get(request.type_url, request.type_url)
        if request.HasField("error_detail"):
            _log.warning("%s rejected by %s: %s", kind, self.node.id, request.error_detail.message)
        self._outbox.put(self.session.request(request))

    def _feel(self, well: bool) -> None:
        if well is not self.well:
            self.well = well
            self._felt(well)

    async def _write(self, response: Any, write: Callable[[Any], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await write(response)
        except TimeoutError:
            self._metrics.write_timeouts.inc()
            raise SlowClient(f"{self.node.id} did not take a response in {SEND_TIMEOUT:g} s") from None
