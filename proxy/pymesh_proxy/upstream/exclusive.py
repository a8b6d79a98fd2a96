"""HTTP/1.1 connections: one exchange at a time each; the one used last is taken first."""

from typing import TYPE_CHECKING

from ..http.h1_client import ClientConnection
from ..wheel import NEVER
from .dial import dial
from .pool import Pool

if TYPE_CHECKING:
    from ..http.attempts import Attempts
    from ..http.exchange import Downstream
    from ..runtime import Runtime
    from ..tls.override import TlsOverride
    from .breaker import Breaker
    from .cluster import Cluster
    from .endpoint import Endpoint


class ExclusivePool(Pool[ClientConnection]):
    """A connection that becomes free goes to the longest waiting request or idles."""

    __slots__ = ("_idle",)

    def __init__(
        self, runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", breaker: "Breaker",
        downstream: "Downstream | None" = None, override: "TlsOverride | None" = None,
    ) -> None:  # fmt: skip
        super().__init__(runtime, cluster, endpoint, breaker, downstream, override)
        self._idle: ClientConnection | None = None
        """The connection that became idle last; the others hang below one another. A list would be two more places in memory for each
        endpoint, which among many of them are in no cache when a request comes (docs/BENCHMARKS.md)."""

    def acquire(self, attempts: "Attempts") -> None:
        connection = self._idle
        if connection is None:
            self._wait(attempts)
        elif self.breaker.admits_request():  # and nobody waits
            self._idle = connection.below
            connection.below = None
            connection.deadline = NEVER
            attempts.on_connection(connection)
        else:
            self._refuse(attempts)

    def _promised(self) -> int:
        return self._connecting

    async def _open(self) -> ClientConnection:
        connection = ClientConnection(self)
        await dial(self._runtime, self.cluster, self.endpoint, connection, self._downstream, override=self._override)
        return connection

    def _opened(self, connection: ClientConnection) -> None:
        self.release(connection)

    def release(self, connection: ClientConnection) -> None:
        """A connection is free: the longest waiting request gets it, else it idles."""
        config = self.cluster.config
        now = self._runtime.loop.time()
        limit = 1 if self._downstream is not None else config.max_requests_per_connection
        served_enough = limit and connection.requests >= limit
        if served_enough or now >= connection.expires or (self._closing and not self._waiting):
            connection.transport.close()
            self._serve_next()
            return
        if self._waiting and (attempts := self._next_waiting()) is not None:
            attempts.on_connection(connection)
            self._serve_next()  # there may be room for another connection by now
            return
        connection.below = self._idle
        self._idle = connection
        deadline = now + config.idle_timeout if config.idle_timeout else NEVER
        if connection.expires < deadline:
            deadline = connection.expires
        connection.deadline = deadline
        if deadline < connection.wake:  # else the wheel looks in time by itself (see Wheel.arm)
            self._runtime.wheel.arm(connection, deadline)

    def _forget_connection(self, connection: ClientConnection) -> None:
        self.leaving(connection)

    def leaving(self, connection: ClientConnection) -> None:
        """It idles no more: nobody is to get it."""
        above: ClientConnection | None = None
        each = self._idle
        while each is not None and each is not connection:
            above, each = each, each.below
        if each is None:
            return
        if above is None:
            self._idle = each.below
        else:
            above.below = each.below
        each.below = None

    def close(self) -> None:
        self._closing = True  # and those who wait for a connection still get theirs
        each, self._idle = self._idle, None
        while each is not None:
            below, each.below = each.below, None
            each.transport.close()
            each = below
