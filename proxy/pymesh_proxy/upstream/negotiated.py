"""auto_config: which version of HTTP an endpoint speaks is found out by ALPN, anew with each connection.

Two pools stand for such an endpoint. Until something else is known a new connection is expected to speak HTTP/2, so that those who
wait share it; one that turns out to speak the other version goes to the other pool, and those who wait go with it.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from ..errors import Cause
from ..http.h1_client import ClientConnection as Http1Connection
from ..http2.client import ClientConnection as Http2Connection
from ..tls.layer import TlsLayer
from ..wheel import NEVER
from .dial import DialFailed, dial
from .exclusive import ExclusivePool
from .pool import Pool
from .shared import SharedPool

if TYPE_CHECKING:
    from ..http.attempts import Attempts
    from ..http.exchange import Downstream
    from ..runtime import Runtime
    from ..tls.override import TlsOverride
    from .breaker import Breaker
    from .cluster import Cluster
    from .endpoint import Endpoint

class Diverted(DialFailed):
    """The connection stands and speaks the other version: the other pool has it."""

    def __init__(self) -> None:
        super().__init__(Cause.CONNECT_FAILED, "another protocol")


class _Negotiation(asyncio.Protocol):
    """What TLS leads to: the connection of the version that was agreed on."""

    connection: Http1Connection | Http2Connection

    def __init__(self, shared: "NegotiatedPool") -> None:
        self._shared = shared

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        alpn = transport.alpn if isinstance(transport, TlsLayer) else ""
        self.connection = connection = self._shared.speaking(alpn)
        cast(asyncio.Transport, transport).set_protocol(connection)
        connection.connection_made(transport)


class NegotiatedPool(SharedPool):
    """HTTP/2 connections to an endpoint, and the way to those of HTTP/1.1 if that is what it speaks."""

    __slots__ = ("_exclusive", "_speaks_http1")

    def __init__(
        self, runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", breaker: "Breaker",
        downstream: "Downstream | None" = None, override: "TlsOverride | None" = None,
    ) -> None:  # fmt: skip
        super().__init__(runtime, cluster, endpoint, breaker, downstream, override)
        self._exclusive = NegotiatedExclusivePool(self, runtime, cluster, endpoint, breaker, downstream, override)
        self._speaks_http1 = False
        """What the last connection spoke."""

    def acquire(self, attempts: "Attempts") -> None:
        if self._speaks_http1:
            self._exclusive.acquire(attempts)
        else:
            super().acquire(attempts)

    def forget(self, attempts: "Attempts") -> None:
        super().forget(attempts)
        self._exclusive.forget(attempts)

    def close(self) -> None:
        super().close()
        self._exclusive.close()

    async def negotiate(self) -> Http1Connection | Http2Connection:
        """One more connection, of the version that its server wants. Raises DialFailed."""
        negotiation = _Negotiation(self)
        await dial(self._runtime, self.cluster, self.endpoint, negotiation, self._downstream, override=self._override)
        return negotiation.connection

    def speaking(self, alpn: str) -> Http1Connection | Http2Connection:
        """A connection that speaks what was agreed on; HTTP/1.1 where nothing was, as in Envoy."""
        if alpn == "h2":
            return Http2Connection(self._runtime.loop, self, self._options)
        return Http1Connection(self._exclusive)

    async def _open(self) -> Http2Connection:
        connection = await self.negotiate()
        if isinstance(connection, Http2Connection):
            return connection
        self._speaks_http1 = True
        self._exclusive.adopt(connection)
        raise Diverted

    def adopt(self, connection: Http2Connection) -> None:
        """A connection that the other pool opened, counted by it already."""
        self._speaks_http1 = False
        _adopt(self, connection)

    def _failed(self, failed: DialFailed) -> None:
        if isinstance(failed, Diverted):
            _divert(self, self._exclusive)
        else:
            super()._failed(failed)


class NegotiatedExclusivePool(ExclusivePool):
    """HTTP/1.1 connections to an endpoint that could speak HTTP/2 some day."""

    __slots__ = ("_shared",)

    def __init__(
        self, shared: NegotiatedPool, runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", breaker: "Breaker",
        downstream: "Downstream | None" = None, override: "TlsOverride | None" = None,
    ) -> None:  # fmt: skip
        super().__init__(runtime, cluster, endpoint, breaker, downstream, override)
        self._shared = shared

    async def _open(self) -> Http1Connection:
        connection = await self._shared.negotiate()
        if isinstance(connection, Http1Connection):
            return connection
        self._shared.adopt(connection)
        raise Diverted

    def adopt(self, connection: Http1Connection) -> None:
        """A connection that the other pool opened, counted by it already."""
        _adopt(self, connection)

    def _failed(self, failed: DialFailed) -> None:
        if isinstance(failed, Diverted):
            _divert(self, self._shared)
        else:
            super()._failed(failed)


def _adopt(pool: Pool[Any], connection: Any) -> None:
    if connection.closed:
        pool._uncount()
        return
    pool._all.add(connection)
    lifetime = pool.cluster.config.max_connection_duration
    connection.expires = pool._runtime.loop.time() + lifetime if lifetime else NEVER
    pool._opened(connection)


def _divert(pool: Pool[Any], other: Pool[Any]) -> None:
    """Nothing has failed: the connection speaks what the other pool is for, and so will those that are waited for."""
    pool._connecting -= 1
    while pool._waiting:
        other.acquire(pool._dequeue())
