"""HTTP/2 connections: many exchanges at a time each. The first with room takes the next request, as in Envoy; another one is
opened when none has."""

from typing import TYPE_CHECKING

from ..http2.client import ClientConnection, ClientStream
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


class SharedPool(Pool[ClientConnection]):
    """`_open_ones` are the connections with room for another stream."""

    __slots__ = ("_capacity", "_open_ones", "_options")

    def __init__(
        self, runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", breaker: "Breaker",
        downstream: "Downstream | None" = None, override: "TlsOverride | None" = None,
    ) -> None:  # fmt: skip
        super().__init__(runtime, cluster, endpoint, breaker, downstream, override)
        self._options = cluster.config.http2
        self._open_ones: list[ClientConnection] = []
        self._capacity = self._options.max_concurrent_streams
        """Streams that the last connection of this endpoint had room for."""

    def acquire(self, attempts: "Attempts") -> None:
        if not self._open_ones:
            self._wait(attempts)
        elif self.breaker.admits_request():
            self._carry(self._open_ones[0], attempts)
        else:
            self._refuse(attempts)

    def _carry(self, connection: ClientConnection, attempts: "Attempts") -> None:
        connection.requests += 1
        attempts.on_connection(ClientStream(connection))
        maximum = 1 if self._downstream is not None else self.cluster.config.max_requests_per_connection
        if maximum and connection.requests >= maximum:
            self.leaving(connection)
            connection.leave()
        elif connection.available() <= 0:
            self.leaving(connection)

    def _promised(self) -> int:
        return self._connecting * self._capacity

    async def _open(self) -> ClientConnection:
        connection = ClientConnection(self._runtime.loop, self, self._options)
        await dial(self._runtime, self.cluster, self.endpoint, connection, self._downstream, override=self._override)
        return connection

    def _opened(self, connection: ClientConnection) -> None:
        if self._closing and not self._waiting:
            connection.leave()
            return
        now = self._runtime.loop.time()
        connection.idle_since = now
        connection.rearm(now)
        self.has_room(connection)
        if self._closing:  # those who waited are served, nobody else will come
            self.leaving(connection)
            connection.leave()

    def has_room(self, connection: ClientConnection) -> None:
        """A stream has ended, or the server has said how many it takes: those who wait get theirs."""
        if connection not in self._all:
            return
        if connection.available() <= 0:
            self.leaving(connection)
            return
        self._capacity = min(self._options.max_concurrent_streams, connection.peer.max_concurrent_streams) or 1
        if not connection.offered:
            connection.offered = True
            self._open_ones.append(connection)
        while connection.offered and (attempts := self._next_waiting()) is not None:
            self._carry(connection, attempts)
        self._serve_next()  # those for whom it had no room need another connection

    def leaving(self, connection: ClientConnection) -> None:
        """No more requests for this connection, or none for now."""
        if connection.offered:
            connection.offered = False
            self._open_ones.remove(connection)

    def _forget_connection(self, connection: ClientConnection) -> None:
        self.leaving(connection)

    def close(self) -> None:
        self._closing = True
        for connection in list(self._all):
            self.leaving(connection)
            connection.leave()
