"""The HTTP/1.1 connections of one endpoint: the last one used is the first one taken, waiting requests go first come first served.

All state is three collections (idle, waiting, connecting); a connection that becomes free goes to the longest waiting
request or idles, and a request that finds none waits and makes the pool grow.
"""

from collections import deque
from typing import TYPE_CHECKING

from pymesh.tasks import spawn

from ..errors import Cause
from ..http.h1_client import ClientConnection
from ..wheel import NEVER
from .dial import DialFailed, dial

if TYPE_CHECKING:
    from ..http.attempts import Attempts
    from ..http.exchange import Downstream
    from ..runtime import Runtime
    from .cluster import Cluster, Endpoint


class Pool:
    """Connections from one cluster to one of its endpoints."""

    __slots__ = ("_all", "_closing", "_connecting", "_downstream", "_idle", "_runtime", "_waiting", "cluster", "endpoint")

    def __init__(self, runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", downstream: "Downstream | None" = None) -> None:
        self._runtime = runtime
        self._downstream = downstream
        """The one client whose connections these are: the endpoint is told of it, so nobody else's request may follow."""
        self.cluster = cluster
        self.endpoint = endpoint
        self._idle: list[ClientConnection] = []
        self._waiting: deque[Attempts] = deque()
        self._all: set[ClientConnection] = set()
        self._connecting = 0
        self._closing = False

    def __repr__(self) -> str:
        return f"<Pool {self.endpoint.config.address} idle={len(self._idle)} waiting={len(self._waiting)} connecting={self._connecting}>"

    def acquire(self, attempts: "Attempts") -> None:
        """Give the exchange a connection, now (on_connection is called before this returns) or as soon as there is one."""
        if self._idle:  # then nobody waits
            connection = self._idle.pop()
            connection.deadline = NEVER
            attempts.on_connection(connection)
            return
        breaker = self.cluster.breaker
        if not breaker.admits_pending():
            self.cluster.upstream_rq_pending_overflow += 1
            attempts.on_failed(Cause.OVERFLOW, sent=False)
            return
        breaker.pending += 1
        self.endpoint.rq_pending_active += 1
        self._waiting.append(attempts)
        self._grow()

    def _grow(self) -> None:
        """One more connection when more requests wait than connections are on their way."""
        if self._connecting >= len(self._waiting):
            return
        if not self.cluster.breaker.admits_connection(self.endpoint.cx_active):
            self.cluster.upstream_cx_overflow += 1
            return
        self._connecting += 1
        self.cluster.breaker.connections += 1
        self.endpoint.cx_active += 1
        spawn(self._connect(), name=f"connect {self.endpoint.config.address}")

    async def _connect(self) -> None:
        connection = ClientConnection(self)
        self.cluster.upstream_cx_total += 1
        self.endpoint.cx_total += 1
        try:
            await dial(self._runtime, self.cluster, self.endpoint, connection, self._downstream)
        except DialFailed as failed:
            self._failed(failed)
            return
        self._connecting -= 1
        if connection.closed:
            self._uncount()
            return
        lifetime = self.cluster.config.max_connection_duration
        self._all.add(connection)
        connection.expires = self._runtime.loop.time() + lifetime if lifetime else NEVER
        self.release(connection)

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
        self.cluster.breaker.pending -= 1
        self.endpoint.rq_pending_active -= 1

    def _uncount(self) -> None:
        self.cluster.breaker.connections -= 1
        self.endpoint.cx_active -= 1
        self.cluster.upstream_cx_destroy += 1

    def release(self, connection: ClientConnection) -> None:
        """A connection is free: the longest waiting request gets it, else it idles."""
        config = self.cluster.config
        now = self._runtime.loop.time()
        limit = 1 if self._downstream is not None else config.max_requests_per_connection
        served_enough = limit and connection.requests >= limit
        if self._closing or served_enough or now >= connection.expires:
            connection.transport.close()
            self._serve_next()
            return
        if self._waiting:
            self._leave_queue()
            self._waiting.popleft().on_connection(connection)
            return
        self._idle.append(connection)
        deadline = now + config.idle_timeout if config.idle_timeout else NEVER
        if connection.expires < deadline:
            deadline = connection.expires
        connection.deadline = deadline
        if deadline < connection.wake:  # else the wheel looks in time by itself (see Wheel.arm)
            self._runtime.wheel.arm(connection, deadline)

    def _serve_next(self) -> None:
        if self._waiting:
            self._grow()

    def forget(self, attempts: "Attempts") -> None:
        """The exchange no longer waits."""
        if attempts in self._waiting:
            self._waiting.remove(attempts)
            self._leave_queue()

    def lost(self, connection: ClientConnection) -> None:
        """A connection has closed."""
        self._runtime.wheel.arm(connection, NEVER)
        if connection in self._all:
            self._all.remove(connection)
            self._uncount()
        if connection in self._idle:
            self._idle.remove(connection)
        self._serve_next()

    def close(self) -> None:
        """The endpoint is gone: idle connections close now, busy ones after their answer."""
        self._closing = True
        for connection in self._idle:
            connection.transport.close()
