"""The tries of one exchange at an upstream: what is sent, what is kept for another try, when it has taken too long.

Everything is a callback from one of the two connections or from the wheel; no task exists.
"""

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from ..errors import Cause
from ..route.table import Forward, Target
from ..upstream.config import Discovery, UpstreamProtocol
from ..wheel import NEVER
from . import retry
from .connect import open_tunnel
from .exchange import Exchange
from .headers import Fields, RequestHead
from .options import HttpOptions
from .stream import DownstreamStream, Phase, UpstreamRequest, UpstreamStream

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..upstream.cluster import Cluster
    from ..upstream.endpoint import Endpoint
    from ..upstream.pool import Pool

# Enum members as globals: the hot path looks them up some twenty times a request.
_ROUTING, _CONNECTING, _WAITING = Phase.ROUTING, Phase.CONNECTING, Phase.WAITING
_ANSWERING, _DONE = Phase.ANSWERING, Phase.DONE
_ORIGINAL_DST = Discovery.ORIGINAL_DST
_HTTP1, _AS_CLIENT = UpstreamProtocol.HTTP1, UpstreamProtocol.DOWNSTREAM

_UNROUTED_BUFFER = 1024 * 1024
"""Bytes of a body held while no cluster is known whose limit would apply (Envoy's per_connection_buffer_limit_bytes)."""


class Attempts(UpstreamStream):
    """The tries of one exchange. `Router` decides what is tried and what becomes of the answer."""

    __slots__ = (
        "_active", "_body", "_body_size", "_connection", "_downstream", "_edits_answer", "_endpoint", "_expires", "_filters", "_forward",
        "_held", "_pool", "_retries", "_runtime", "_sent_at", "_target", "_timeout", "_tried", "_try_expires", "_waiting", "chunked",
        "complete", "ends", "exchange", "options", "phase", "trailers", "upgrade",
    )  # fmt: skip

    def __init__(
        self, runtime: "Runtime", options: HttpOptions, downstream: DownstreamStream, exchange: Exchange, chunked: bool, upgrade: bytes
    ) -> None:
        self._runtime = runtime
        self.options = options
        self._downstream = downstream
        self.exchange = exchange
        self.phase = _ROUTING
        self.chunked = chunked
        """The request has a body that does not tell its length."""
        self.upgrade = upgrade
        """The protocol switch that the request asks for, in its own case; empty for none."""
        self.complete = False
        """Whether the request has been received to its end."""
        self.trailers: Fields | None = None
        """The request's trailers, from its end on."""
        self._body: list[bytes] | None = None
        """The request's body so far, kept while another attempt may need it or no connection has it yet."""
        self._body_size = 0
        self._held = False
        """Whether the client has been told to stop sending until there is a connection."""
        self._connection: UpstreamRequest | None = None
        self._endpoint: Endpoint | None = None
        self._pool: Pool[Any] | None = None
        self._forward: Forward | None = None
        self._target: Target | None = None
        self._edits_answer = False
        """Whether the route or its target changes the answer's head."""
        self._filters = options.chain.default
        """The filters that run on this exchange."""
        self._waiting: asyncio.Task[None] | None = None
        """A filter that the exchange waits for."""
        self._tried: list[Endpoint] | None = None
        self._retries = 0
        self._sent_at = 0.0
        self._timeout = 0.0
        """Seconds from the end of the request to the end of the answer; 0 for no limit."""
        self._expires = NEVER
        self._try_expires = NEVER
        self.ends = NEVER
        """Loop time at which the stream has lasted too long, whatever it is doing (max_stream_duration)."""
        self._active = 0.0
        """Loop time of the last sign of life."""

    @abstractmethod
    def give_up(self, cause: Cause, reason: str) -> None:
        """No further attempt: the exchange ends with what this cause means."""

    @abstractmethod
    def before_retry(self) -> None:
        """Another attempt is coming; its head may differ (x-envoy-attempt-count)."""

    @property
    def head(self) -> RequestHead:
        return self.exchange.head

    @property
    def answering(self) -> bool:
        """Whether an answer has begun to go down."""
        return self.phase >= _ANSWERING

    def body(self, data: bytes, end: bool = False) -> None:
        """A piece of the request's body; `end`: it is the last, and no trailers follow."""
        exchange = self.exchange
        exchange.request_bytes += len(data)
        self._active = now = self._runtime.loop.time()
        self.complete = end
        if self.phase is _DONE:
            return
        if self._body is not None or self._connection is None:
            self._keep(data)
        if self._connection is not None:
            self._connection.send_body(data, end)
        if end and self._forward is not None:
            self.start_clock(now)

    def _keep(self, data: bytes) -> None:
        """Hold a piece back for a connection that is not there yet, or for a retry, within the buffer limit."""
        if self._body is None:
            self._body = []
        self._body.append(data)
        self._body_size += len(data)
        limit = self.exchange.cluster.config.buffer_limit if self.exchange.cluster else _UNROUTED_BUFFER
        if self._body_size <= limit:
            return
        if self._connection is None:
            if not self._held:
                self._held = True
                self._downstream.pause_request()
        else:
            self._body = None  # too large to replay: Envoy gives up the retry silently (retry_or_shadow_abandoned)

    def end(self, trailers: Fields | None = None) -> None:
        """The request is complete."""
        self.complete = True
        if self.phase is _DONE:
            return
        self.trailers = trailers
        if self._connection is not None:
            self._connection.send_end()
        if self._forward is not None:
            self.start_clock(self._runtime.loop.time())

    def attempt(self) -> None:
        """Pick an endpoint and ask its pool for a connection."""
        exchange = self.exchange
        cluster = exchange.cluster
        forward = self._forward
        assert cluster is not None
        assert forward is not None
        plain = cluster.config.discovery is not _ORIGINAL_DST and self._tried is None
        endpoint = cluster.pick() if plain else self._pick(cluster)
        if endpoint is None:
            self.give_up(Cause.NO_HEALTHY_UPSTREAM, "")
            return
        self._endpoint = exchange.endpoint = endpoint
        policy = forward.retry
        if policy is not None and policy.per_try_timeout and self.complete:
            self._try_expires = self._runtime.loop.time() + policy.per_try_timeout
            self._arm(self._runtime.loop.time())
        if forward.terminates_connect and exchange.head.method == b"CONNECT":
            open_tunnel(self, self._runtime, cluster, endpoint)
            return
        if cluster.config.protocol is _HTTP1 or (cluster.config.protocol is _AS_CLIENT and exchange.protocol != "HTTP/2"):
            pool: Pool[Any] = endpoint.pool or self._runtime.pools.of(cluster, endpoint, exchange.downstream)
        else:
            pool = endpoint.streams or self._runtime.pools.multiplexed(cluster, endpoint, exchange.downstream)
        self._pool = pool
        pool.acquire(self)

    def _pick(self, cluster: "Cluster") -> "Endpoint | None":
        if cluster.config.discovery is _ORIGINAL_DST:
            return self._runtime.clusters.original_destination(cluster, self.exchange.downstream.original_destination)
        policy = self._forward.retry if self._forward else None
        if self._tried and policy is not None and policy.avoid_previous_hosts:
            return cluster.pick(self._tried, policy.host_selection_attempts)
        return cluster.pick()

    def on_connection(self, connection: UpstreamRequest) -> None:
        """The pool gave a connection: send what there is of the request."""
        exchange = self.exchange
        endpoint = self._endpoint
        cluster = exchange.cluster
        assert endpoint is not None
        assert cluster is not None
        self._connection = connection
        self.phase = _WAITING
        exchange.upstream_local_address = connection.local_address
        exchange.upstream_peer = connection.peer
        endpoint.rq_active += 1
        endpoint.rq_total += 1
        cluster.upstream_rq_total += 1
        self._sent_at = self._runtime.loop.time()
        if self.complete and self._body is None:
            connection.start(self, None)
        else:
            connection.start(self, self._body_so_far())
        if self._held:
            self._held = False
            self._downstream.resume_request()

    def _body_so_far(self) -> list[bytes] | None:
        """What has come of the body; and whether it is kept from here on depends on whether a retry may need it."""
        body = self._body
        may_retry = self._forward is not None and self._forward.retry is not None
        if not may_retry:
            self._body = None
        elif body is None and not self.complete:
            self._body = []
        return body

    def on_failed(self, cause: Cause, reason: str = "", *, sent: bool = True, reused: bool = False) -> None:
        """The attempt came to nothing before an answer's head: no connection, or one that died."""
        connection = self.release()
        self.exchange.upstream_failure = reason
        if connection is not None:
            connection.discard()
        if self._endpoint is not None:
            self._endpoint.rq_error += 1
        if self._should_retry(cause, sent, reused):
            self._again()
        else:
            self.give_up(cause, reason)

    def _should_retry(self, cause: Cause, sent: bool, reused: bool) -> bool:
        if not self._replayable():
            return False
        policy = self._forward.retry if self._forward else None
        # A kept-alive connection that dies under an idempotent request says nothing of the server: the close was on its way
        # already (RFC 9110 9.2.2, RFC 9112 9.3.1). One silent replay spares users the commonest 503 UC of all meshes.
        if cause is Cause.UPSTREAM_CLOSED and reused and self.exchange.head.method in retry.IDEMPOTENT:
            return True
        # Above the last stream of a GOAWAY nothing has been looked at, whatever the method (RFC 9113 6.8); once, or two servers
        # that both leave would send it back and forth.
        if cause is Cause.UPSTREAM_REFUSED and reused and not self._retries:
            return True
        return policy is not None and self._retries < policy.num_retries and retry.on_failure(policy, cause, sent=sent)

    def _replayable(self) -> bool:
        """Whether everything received of the request's body is still here."""
        return self.exchange.request_bytes == 0 or self._body is not None

    def _again(self) -> None:
        exchange = self.exchange
        cluster = exchange.cluster
        assert cluster is not None
        if not cluster.breaker.admits_retry():
            cluster.upstream_rq_retry_overflow += 1
            self.give_up(Cause.OVERFLOW, "")
            return
        self._retries += 1
        exchange.attempt += 1
        exchange.upstream_peer = None
        exchange.upstream_local_address = ""
        self.before_retry()
        cluster.upstream_rq_retry += 1
        cluster.breaker.retries += 1
        if self._endpoint is not None:
            self._tried = [*(self._tried or ()), self._endpoint]
        self.phase = _CONNECTING
        policy = self._forward.retry if self._forward else None
        delay = retry.back_off(policy, self._retries) if policy is not None else 0.0
        self._runtime.loop.call_later(delay, self._retry_now, cluster)

    def _retry_now(self, cluster: "Cluster") -> None:
        cluster.breaker.retries -= 1
        if self.phase is _CONNECTING and self._connection is None:
            self.attempt()

    def release(self) -> UpstreamRequest | None:
        """Forget the attempt's connection; the caller decides its fate."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            if self._endpoint is not None:
                self._endpoint.rq_active -= 1
        self._try_expires = NEVER
        return connection

    def cancel_wait(self) -> None:
        if self.phase is _CONNECTING and self._pool is not None:
            self._pool.forget(self)

    def start_clock(self, now: float) -> None:
        """The route's timeout runs from the end of the request to the end of the answer."""
        if self._timeout:
            self._expires = now + self._timeout
        self._arm(now)

    def _arm(self, now: float) -> None:
        """The earliest of the timeouts; `now` is when there was the last sign of life."""
        idle = self.idle_timeout()
        deadline = now + idle if idle else NEVER
        if self._expires < deadline:
            deadline = self._expires
        if self._try_expires < deadline:
            deadline = self._try_expires
        if self.ends < deadline:
            deadline = self.ends
        self._downstream.arm(deadline)

    def idle_timeout(self) -> float:
        """Seconds without a sign of life that end the stream; 0 for none."""
        forward = self._forward
        if forward is not None and forward.idle_timeout is not None:
            return forward.idle_timeout
        return self.options.stream_idle_timeout

    def _count_timeout(self) -> None:
        if self.exchange.cluster is not None and self.phase is not _ROUTING:
            self.exchange.cluster.upstream_rq_timeout += 1
        if self._endpoint is not None:
            self._endpoint.rq_timeout += 1
