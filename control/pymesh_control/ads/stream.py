"""One client's open stream: requests and pushes go into its session, what the session answers goes out in order."""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from pymesh.identity import SpiffeId
from pymesh.tasks import spawn
from pymesh.xds import types

from ..errors import SlowClient
from ..metrics import Metrics
from .outbox import Outbox
from .response import Response
from .session import Session
from .subscription import Resources
from .window import Window

_log = logging.getLogger("pymesh.ads")

_UNWELL = "the proxy does not say why"


class Stream:
    """A connected client. Decisions are synchronous; one coroutine writes, so responses cannot overtake each other."""

    def __init__(
        self,
        node: Any,
        identity: SpiffeId | None,
        session: Session,
        present: Callable[[], Resources],
        felt: Callable[[str], None],
        metrics: Metrics,
        window: Window,
    ) -> None:
        """`window` is shared by all streams; `felt` is told why the client's workload is no longer well, or nothing when it is again."""
        self.node = node
        self.identity = identity
        self.session = session
        self.connected_at = time.time()
        self._reason = ""
        self._absent: frozenset[str] = frozenset()
        """Secrets that the client asked for and that there are not."""
        self._present = present
        self._felt = felt
        self._metrics = metrics
        self._window = window
        self._outbox = Outbox()

    @property
    def well(self) -> bool:
        """Whether the client has not said otherwise of its workload."""
        return not self._reason

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

    def push(self, since: float, done: Callable[[], None]) -> None:
        """Send what brings the client up to the present snapshot; `done` is called when that is on the wire, or the client is gone."""
        started = time.monotonic()
        self._metrics.queue_time.observe(started - since)
        responses = self.session.push(self._present())
        self._warn_of_absent()
        self._metrics.push_time.observe(time.monotonic() - started)
        self._outbox.put(responses)
        self._outbox.then(partial(self._pushed, since, started, done))

    def _pushed(self, since: float, started: float, done: Callable[[], None]) -> None:
        self._metrics.send_time.observe(time.monotonic() - started)
        self._metrics.convergence_time.observe(time.monotonic() - since)
        done()

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
            self._feel((request.error_detail.message or _UNWELL) if request.HasField("error_detail") else "")
            return
        kind = types.SHORT.get(request.type_url, request.type_url)
        if request.HasField("error_detail"):
            _log.warning("%s rejected by %s: %s", kind, self.node.id, request.error_detail.message)
        self._outbox.put(self.session.request(request))
        if request.type_url == types.SECRET:
            self._warn_of_absent()

    def _warn_of_absent(self) -> None:
        """Tell once of each secret that the client waits for: the server that names it is closed meanwhile, and nobody else knows why."""
        subscription = self.session.subscriptions.get(types.SECRET)
        absent = subscription.names - subscription.sent.keys() if subscription is not None else frozenset()
        reason = "which is not among the credentials of its namespace" if self.identity else "and has them on the secure port only"
        for name in sorted(absent - self._absent):
            _log.warning("%s waits for the secret %s, %s", self.node.id, name, reason)
        self._absent = absent

    def _feel(self, reason: str) -> None:
        changed = bool(reason) is self.well
        self._reason = reason
        if changed:
            self._felt(reason)

    async def _write(self, response: Response, write: Callable[[Any], Awaitable[None]]) -> None:
        try:
            async with self._window.room(response.size):
                await write(response)
        except TimeoutError:
            self._metrics.write_timeouts.inc()
            raise SlowClient(f"{self.node.id} did not take a response in time") from None
