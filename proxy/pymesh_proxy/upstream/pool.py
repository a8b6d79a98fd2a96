"""The connections of one endpoint: who waits for one, how many are on their way, what they count against.

Waiting requests are served first come first served. `exclusive` and `shared` say what a connection is good for.
"""

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pymesh.tasks import spawn

from ..errors import Cause
from ..wheel import NEVER, Wheel
from .dial import DialFailed

if TYPE_CHECKING:
    import asyncio

    from ..http.attempts import Attempts
    from ..http.exchange import Downstream
    from ..runtime import Runtime
    from ..tls.override import TlsOverride
    from .breaker import Breaker
    from .cluster import Cluster
    from .endpoint import Endpoint


class Pooled(Protocol):
    """What a pool needs of a connection, besides what its kind needs."""

    deadline: float
    wake: float
    expires: float
    transport: "asyncio.Transport"

    @property
    def closed(self) -> bool:
        """The transport is gone."""

    def on_deadline(self, now: float) -> None:
        """For the wheel."""


Connection = TypeVar("Connection", bound=Pooled)


class Pool(ABC, Generic[Connection]):
    """Connections from one cluster to one of its endpoints."""

    __slots__ = ("_all", "_closing", "_connecting", "_downstream", "_override", "_runtime", "_waiting", "breaker", "cluster", "endpoint")

    def __init__(
        self, runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", breaker: "Breaker",
        downstream: "Downstream | None" = None, override: "TlsOverride | None" = None,
    ) -> None:  # fmt: skip
        # What requests ask comes last, beside what a kind of pool adds: compiled, attributes lie in this order (see Endpoint).
        self.endpoint = endpoint
        self._all: set[Connection] = set()
        self._connecting = 0
        self._downstream = downstream
        """The one client whose connections these are: the endpoint is told of it, so nobody else's request may follow."""
        self._override = override
        """What these connections' TLS is, where it is not what the cluster says."""
        self._runtime = runtime
        self._closing = downstream is not None  # nobody else will come
        self._waiting: deque[Attempts] = deque()
        self.cluster = cluster
        self.breaker = breaker
        """The limits of the priority whose requests these connections carry."""

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"<{name} {self.endpoint.config.address} {len(self._all)} waiting={len(self._waiting)} connecting={self._connecting}>"

    @property
    def wheel(self) -> Wheel:
        return self._runtime.wheel

    @abstractmethod
    def acquire(self, attempts: "Attempts") -> None:
        """Give the exchange its request, now (on_connection is called before this returns) or as soon as there is room for one."""

    @abstractmethod
    def _promised(self) -> int:
        """Requests that the connections on their way will take."""

    @abstractmethod
    async def _open(self) -> Connection:
        """One more connection. Raises DialFailed."""

    @abstractmethod
    def _opened(self, connection: Connection) -> None:
        """It can be used."""

    @abstractmethod
    def _forget_connection(self, connection: Connection) -> None:
        """It cannot be used any more."""

    @abstractmethod
    def close(self) -> None:
        """The endpoint is gone: connections close as soon as they are idle."""

    def _wait(self, attempts: "Attempts") -> None:
        breaker = self.breaker
        if not breaker.admits_pending():
            self.cluster.upstream_rq_pending_overflow += 1
            attempts.on_failed(Cause.OVERFLOW, sent=False)
            return
        breaker.pending += 1
        self.endpoint.rq_pending_active += 1
        self._waiting.append(attempts)
        self._grow()

    def _next_waiting(self) -> "Attempts | None":
        """The longest waiting of those that may start now; the others fail."""
        while self._waiting:
            attempts = self._dequeue()
            if self.breaker.admits_request():
                return attempts
            self._refuse(attempts)
        return None

    def _dequeue(self) -> "Attempts":
        self._leave_queue()
        return self._waiting.popleft()

    def _refuse(self, attempts: "Attempts") -> None:
        """There are as many requests as there may be."""
        self.cluster.upstream_rq_active_overflow += 1
        attempts.on_failed(Cause.OVERFLOW, sent=False)

    def _grow(self) -> None:
        """One more connection when more requests wait than those on their way will take."""
        if self._promised() >= len(self._waiting):
            return
        if not self.breaker.admits_connection(self.endpoint.cx_active):
            self.cluster.upstream_cx_overflow += 1
            if self._all or self._connecting:  # else nothing would ever come for those who wait (as in Envoy)
                return
        self._connecting += 1
        self.breaker.connections += 1
        self.endpoint.cx_active += 1
        spawn(self._connect(), name=f"connect {self.endpoint.config.address}")

    async def _connect(self) -> None:
        self.cluster.upstream_cx_total += 1
        self.endpoint.cx_total += 1
        try:
            connection = await self._open()
        except DialFailed as failed:
            self._failed(failed)
            return
        self._connecting -= 1
        if connection.closed:
            self._uncount()
            self._serve_next()
            return
        lifetime = self.cluster.config.max_connection_duration
        self._all.add(connection)
        connection.expires = self._runtime.loop.time() + lifetime if lifetime else NEVER
        self._opened(connection)

    def _failed(self, failed: DialFailed) -> None:
        self._connecting -= 1
        self._uncount()
        self.endpoint.cx_connect_fail += 1
        self.cluster.upstream_cx_connect_fail += 1
        if failed.cause is Cause.CONNECT_TIMEOUT:
            self.cluster.upstream_cx_connect_timeout += 1
        # As in Envoy, one failed connection fails every request that waits for this endpoint: each may try another one.
        waiting, self._waiting = self._waiting, deque()
        for attempts in waiting:
            self._leave_queue()
            attempts.on_failed(failed.cause, failed.reason, sent=False)

    def _leave_queue(self) -> None:
        self.breaker.pending -= 1
        self.endpoint.rq_pending_active -= 1

    def _uncount(self) -> None:
        self.breaker.connections -= 1
        self.endpoint.cx_active -= 1
        self.cluster.upstream_cx_destroy += 1

    def _serve_next(self) -> None:
        if self._waiting:
            self._grow()

    def forget(self, attempts: "Attempts") -> None:
        """The exchange no longer waits."""
        if attempts in self._waiting:
            self._waiting.remove(attempts)
            self._leave_queue()

    def lost(self, connection: Connection) -> None:
        """A connection has closed."""
        self._runtime.wheel.arm(connection, NEVER)
        if connection in self._all:
            self._all.remove(connection)
            self._uncount()
        self._forget_connection(connection)
        self._serve_next()
