"""The tries of one exchange at an upstream: what is sent, what is kept for another try, when it has taken too long.

Everything is a callback from one of the two connections or from the wheel; no task exists.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING

from ..errors import Cause
from ..route.table import Edit, Forward
from ..upstream.config import Discovery
from ..wheel import NEVER
from . import retry, wire
from .exchange import Exchange
from .headers import RequestHead
from .options import HttpOptions
from .stream import DownstreamStream, Phase, UpstreamStream

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..upstream.cluster import Cluster, Endpoint
    from .h1_client import ClientConnection

_UNROUTED_BUFFER = 1024 * 1024
"""Bytes of a body held while no cluster is known whose limit would apply (Envoy's per_connection_buffer_limit_bytes)."""


class Attempts(UpstreamStream):
    """The tries of one exchange. `Router` decides what is tried and what becomes of the answer."""

    __slots__ = (
        "_active", "_body", "_body_size", "_complete", "_connection", "_downstream", "_endpoint", "_expires", "_forward",
        "_held", "_options", "_retries", "_runtime", "_sent_at", "_target_edit", "_tried", "_try_expires", "_upgrade", "_wire_head",
        "chunked", "exchange", "phase",
    )  # fmt: skip

    def __init__(
        self, runtime: "Runtime", options: HttpOptions, downstream: DownstreamStream, exchange: Exchange, *, chunked: bool, upgrade: bytes
    ) -> None:
        self._runtime = runtime
        self._options = options
        self._downstream = downstream
        self.exchange = exchange
        self.phase = Phase.ROUTING
        self.chunked = chunked
        """The request's body came in chunks and goes on in chunks."""
        self._upgrade = upgrade
        """The upgrade token to pass on, empty for an ordinary request."""
        self._complete = False
        self._body: list[bytes] | None = None
        """The request's body so far, kept while another attempt may need it or no connection has it yet."""
        self._body_size = 0
        self._held = False
        self._connection: ClientConnection | None = None
        self._endpoint: Endpoint | None = None
        self._forward: Forward | None = None
        self._target_edit: Edit | None = None
        self._tried: list[Endpoint] | None = None
        self._retries = 0
        self._wire_head = b""
        self._sent_at = 0.0
        self._expires = NEVER
        self._try_expires = NEVER
        self._active = 0.0

    @abstractmethod
    def give_up(self, cause: Cause, reason: str) -> None:
        """No further attempt: the exchange ends with what this cause means."""

    @property
    def request_complete(self) -> bool:
        return self._complete

    @property
    def expects_body(self) -> bool:
        """Whether the answer may carry one."""
        return self.exchange.head.method != b"HEAD"

    @property
    def head(self) -> RequestHead:
        return self.exchange.head

    @property
    def upgrade(self) -> bytes:
        """The protocol switch that the request asks for and that may be passed on; empty for none."""
        return self._upgrade

    @property
    def answering(self) -> bool:
        """Whether an answer has begun to go down."""
        return self.phase >= Phase.ANSWERING

    def body(self, data: bytes) -> None:
        """A piece of the request's body."""
        exchange = self.exchange
        exchange.request_bytes += len(data)
        self._active = self._runtime.loop.time()
        if self.phase is Phase.DONE:
            return
        if self._body is not None or self._connection is None:
            self._keep(data)
        if self._connection is not None:
            self._connection.write(wire.chunk(data) if self.chunked else data)

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

    def end(self) -> None:
        """The request is complete."""
        self._complete = True
        if self.phase is Phase.DONE:
            return
        if self._connection is not None and self.chunked:
            self._connection.write(wire.LAST_CHUNK)
        if self._forward is not None:
            self._start_clock(self._runtime.loop.time())

    def attempt(self) -> None:
        exchange = self.exchange
        cluster = exchange.cluster
        assert cluster is not None
        assert self._forward is not None
        policy = self._forward.retry
        endpoint = self._pick(cluster)
        if endpoint is None:
            self.give_up(Cause.NO_HEALTHY_UPSTREAM, "")
            return
        self._endpoint = exchange.endpoint = endpoint
        if policy is not None and policy.per_try_timeout and self._complete:
            self._try_expires = self._runtime.loop.time() + policy.per_try_timeout
            self._arm(self._runtime.loop.time())
        self._runtime.pools.of(cluster, endpoint).acquire(self)

    def _pick(self, cluster: "Cluster") -> "Endpoint | None":
        if cluster.config.discovery is Discovery.ORIGINAL_DST:
            return self._runtime.clusters.original_destination(cluster, self.exchange.downstream.original_destination)
        policy = self._forward.retry if self._forward else None
        if self._tried and policy is not None and policy.avoid_previous_hosts:
            return cluster.pick(self._tried, policy.host_selection_attempts)
        return cluster.pick()

    def on_connection(self, connection: "ClientConnection") -> None:
        """The pool gave a connection: send what there is of the request."""
        exchange = self.exchange
        endpoint = self._endpoint
        assert endpoint is not None
        self._connection = connection
        self.phase = Phase.WAITING
        exchange.upstream_local_address = connection.local_address
        endpoint.rq_active += 1
        endpoint.rq_total += 1
        cluster = exchange.cluster
        assert cluster is not None
        cluster.upstream_rq_total += 1
        self._sent_at = self._runtime.loop.time()
        connection.start(self, self._request_bytes())
        if self._held:
            self._held = False
            self._downstream.resume_request()

    def _request_bytes(self) -> bytes:
        body = b"".join(map(wire.chunk, self._body) if self.chunked else self._body) if self._body else b""
        if self._complete and self.chunked:
            body += wire.LAST_CHUNK
        if self._body is not None and self._forward is not None and self._forward.retry is None:
            self._body = None
        elif self._body is None and not self._complete and self._forward is not None and self._forward.retry is not None:
            self._body = []
        return self._wire_head + body

    def on_failed(self, cause: Cause, reason: str = "", *, sent: bool = True, reused: bool = False) -> None:
        """The attempt came to nothing before an answer's head: no connection, or one that died."""
        connection = self.release()
        self.exchange.upstream_failure = reason
        if connection is not None:
            connection.discard()
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
        cluster.upstream_rq_retry += 1
        cluster.breaker.retries += 1
        if self._endpoint is not None:
            self._tried = [*(self._tried or ()), self._endpoint]
        self.phase = Phase.CONNECTING
        policy = self._forward.retry if self._forward else None
        delay = retry.back_off(policy, self._retries) if policy is not None else 0.0
        self._runtime.loop.call_later(delay, self._retry_now, cluster)

    def _retry_now(self, cluster: "Cluster") -> None:
        cluster.breaker.retries -= 1
        if self.phase is Phase.CONNECTING and self._connection is None:
            self.attempt()

    def release(self) -> "ClientConnection | None":
        """Forget the attempt's connection; the caller decides its fate."""
        connection, self._connection = self._connection, None
        if connection is not None and self._endpoint is not None:
            self._endpoint.rq_active -= 1
        self._try_expires = NEVER
        return connection

    def cancel_wait(self) -> None:
        if self.phase is Phase.CONNECTING and self._endpoint is not None and self._endpoint.pool is not None:
            self._endpoint.pool.forget(self)

    def _start_clock(self, now: float) -> None:
        """The route's timeout runs from the end of the request to the end of the answer."""
        forward = self._forward
        if forward is not None and forward.timeout:
            self._expires = now + forward.timeout
        self._arm(now)

    def _arm(self, now: float) -> None:
        idle = self._idle_timeout()
        deadline = min(self._expires, self._try_expires, now + idle if idle else NEVER)
        self._downstream.arm(deadline)

    def _idle_timeout(self) -> float:
        forward = self._forward
        if forward is not None and forward.idle_timeout is not None:
            return forward.idle_timeout
        return self._options.stream_idle_timeout

    def _count_timeout(self) -> None:
        if self.exchange.cluster is not None:
            self.exchange.cluster.upstream_rq_timeout += 1
        if self._endpoint is not None:
            self._endpoint.rq_timeout += 1
