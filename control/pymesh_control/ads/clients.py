"""Every connected client: who is told of a new snapshot, and whom the debug pages list."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from pymesh.identity import SpiffeId

from ..errors import InvalidClient, TooManyClients
from ..metrics import Metrics
from ..push.pusher import PushTarget
from ..push.queue import PushQueue
from .session import Session
from .stream import Stream
from .subscription import Resources
from .window import Window

DEFAULT_LIMIT = 10_000
"""Clients; whoever can reach the plaintext port could otherwise take all memory."""

_log = logging.getLogger("pymesh.ads")


class Configuration(Protocol):
    """What clients are served from."""

    def view(self, node: Any, identity: SpiffeId | None) -> Any:
        """The client as the generators see it. Raises ValueError for a node that cannot be understood."""

    def resources(self, view: Any) -> Resources:
        """The present snapshot through a client's eyes."""


class Presence(Protocol):
    """Who wants to know that a client is there."""

    def arrived(self, node: Any, view: Any, identity: SpiffeId | None) -> None:
        """Raises RefusedClient for one that may not be who it says."""

    def felt(self, node: Any, view: Any, reason: str) -> None:
        """It said why its workload is no longer well, or, without a reason, that it is again."""

    def left(self, node: Any, view: Any, *, well: bool) -> None: ...


class Clients:
    """The streams, in the order of their arrival."""

    def __init__(
        self,
        configuration: Configuration,
        presence: Presence,
        queue: PushQueue[PushTarget],
        metrics: Metrics,
        stirred: Callable[[], None] = lambda: None,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        """`stirred` is told whenever a client is served anew; `limit`: how many may be connected at a time."""
        self._configuration = configuration
        self._presence = presence
        self._queue = queue
        self._metrics = metrics
        self._window = Window()
        self._stirred = stirred
        self._limit = limit
        self._streams: dict[Stream, None] = {}

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams)

    def push(self, since: float) -> None:
        """Queue everyone for the present snapshot, which answers changes since then (monotonic seconds)."""
        for stream in self._streams:
            self._queue.enqueue(stream, since)

    @contextlib.contextmanager
    def joined(self, form: type[Session], node: Any, identity: SpiffeId | None) -> Iterator[Stream]:
        """A stream for a new client, which counts as connected inside the context. Raises RefusedClient."""
        if len(self._streams) >= self._limit:
            raise TooManyClients(f"{self._limit} clients are connected, and --max-clients allows no more")
        try:
            view = self._configuration.view(node, identity)
        except ValueError as error:
            raise InvalidClient(str(error)) from None
        session = form(self._present(view), self._metrics)
        stream = Stream(
            node,
            identity,
            session,
            lambda: self._present(view),
            lambda reason: self._presence.felt(node, view, reason),
            self._metrics,
            self._window,
        )
        self._presence.arrived(node, view, identity)
        self._streams[stream] = None
        self._metrics.connected.inc()
        _log.info("%s connected (%s)", node.id, form.__name__)
        try:
            yield stream
        finally:
            del self._streams[stream]
            self._queue.forget(stream)
            self._metrics.connected.dec()
            self._presence.left(node, view, well=stream.well)
            _log.info("%s disconnected", node.id)

    def _present(self, view: Any) -> Resources:
        self._stirred()
        return self._configuration.resources(view)
