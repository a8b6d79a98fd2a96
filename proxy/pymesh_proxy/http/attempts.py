"""The tries of one exchange at an upstream: where each goes, and whether there is another.

Everything is a callback from one of the two connections or from the wheel; no task exists.
"""

import asyncio
import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final

from pymesh.tasks import spawn

from ..errors import Cause
from ..route.rewrite import replace_host, set_host
from ..route.table import Forward, Target
from ..upstream.avoided import Avoided
from ..upstream.config import UpstreamProtocol
from ..upstream.previous_priorities import PreviousPriorities
from . import retry
from .connect import ends_here, open_tunnel
from .exchange import Exchange
from .headers import ResponseHead
from .options import HttpOptions
from .stream import DownstreamStream, Phase, UpstreamRequest
from .try_times import TryTimes
from .upload import Upload

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..upstream.breaker import Breaker
    from ..upstream.cluster import Cluster
    from ..upstream.dns_cache import Host
    from ..upstream.endpoint import Endpoint
    from ..upstream.pool import Pool

# Enum members as globals: the hot path looks them up some twenty times a request.
_CONNECTING: Final = Phase.CONNECTING
_WAITING: Final = Phase.WAITING
_DONE: Final = Phase.DONE
_HTTP1: Final = UpstreamProtocol.HTTP1
_AS_CLIENT: Final = UpstreamProtocol.DOWNSTREAM


class Attempts(Upload):
    """The tries of one exchange. `Router` decides what is tried and what becomes of the answer."""

    __slots__ = (
        "_back_off", "_breaker", "_edits_answer", "_endpoint", "_filters", "_key", "_late_status", "_pool", "_previous", "_redirects",
        "_retries", "_retrying", "_sent_at", "_target", "_tried", "_waiting",
    )  # fmt: skip

    def __init__(
        self, runtime: "Runtime", options: HttpOptions, downstream: DownstreamStream, exchange: Exchange, chunked: bool, upgrade: bytes
    ) -> None:
        super().__init__(runtime, options, downstream, exchange, chunked, upgrade)
        self._endpoint: Endpoint | None = None
        self._breaker: Breaker | None = None
        """The cluster's, for the priority of the route."""
        self._pool: Pool[Any] | None = None
        self._target: Target | None = None
        self._edits_answer = False
        """Whether the route or its target changes the answer's head."""
        self._filters = options.chain.default
        """The filters that run on this exchange."""
        self._waiting: asyncio.Task[None] | None = None
        """A filter that the exchange waits for, or the look-up of its host."""
        self._key: int | None = None
        """What the cluster's balancing tells the request apart by."""
        self._tried: list[Endpoint] | None = None
        self._previous: PreviousPriorities | None = None
        self._retries = 0
        self._late_status = 0
        """What the client is answered instead of 504; 0 for nothing else."""
        self._redirects = 0
        """Redirects that were followed here."""
        self._retrying = False
        """Whether the exchange counts as a retry for the cluster's breaker: from its back-off to the end of that attempt."""
        self._back_off: asyncio.TimerHandle | None = None
        self._sent_at = 0.0

    @abstractmethod
    def give_up(self, cause: Cause, reason: str) -> None:
        """No further attempt: the exchange ends with what this cause means."""

    @abstractmethod
    def before_retry(self) -> None:
        """Another attempt is coming; its head may differ (x-envoy-attempt-count)."""

    def attempt(self) -> None:
        """Pick an endpoint and ask its pool for a connection."""
        exchange = self.exchange
        cluster = exchange.cluster
        forward = self._forward
        assert cluster is not None
        assert forward is not None
        plain = not cluster.per_request and self._tried is None and not exchange.preferred
        endpoint = cluster.pick(None, 1, self._key) if plain else self._pick(cluster)
        if endpoint is None:
            self._no_endpoint(cluster)
            return
        self._endpoint = exchange.endpoint = endpoint
        if forward.auto_host and endpoint.config.hostname:
            self._name_host(forward, endpoint.config.hostname.encode())
        if forward.terminates_connect and ends_here(forward, exchange.head):
            assert self._breaker is not None
            open_tunnel(self, self._runtime, cluster, endpoint, self._breaker)
            return
        high = forward.high_priority
        pools = self._runtime.pools
        pool: Pool[Any] | None
        override = exchange.override
        common = override is None and exchange.downstream.kept_source is None  # else not every connection will do
        if cluster.config.protocol is _HTTP1 or (cluster.config.protocol is _AS_CLIENT and exchange.protocol != "HTTP/2"):
            pool = (endpoint.high_pool if high else endpoint.pool) if common else None
            pool = pool or pools.of(cluster, endpoint, exchange.downstream, high, override)
        else:
            pool = (endpoint.high_streams if high else endpoint.streams) if common else None
            pool = pool or pools.multiplexed(cluster, endpoint, exchange.downstream, high, override)
        self._pool = pool
        pool.acquire(self)

    def _name_host(self, forward: Forward, host: bytes) -> None:
        """auto_host_rewrite; what the client asked for is kept once, however many attempts follow."""
        if self._tried is None:
            replace_host(self.exchange.head, host, forward.forwarded_host)
        else:
            set_host(self.exchange.head, host)

    def _pick(self, cluster: "Cluster") -> "Endpoint | None":
        if cluster.hosts is not None:
            return cluster.hosts.find(self.exchange.head.authority.decode("latin-1"))
        if cluster.per_request:
            downstream = self.exchange.downstream
            clusters, destination = self._runtime.clusters, downstream.restored_destination
            return clusters.original_destination(cluster, destination, self.exchange.head, downstream.kept_source)
        policy = self._policy
        exchange = self.exchange
        if exchange.preferred and self._tried is None:
            preferred = cluster.of_session(exchange.preferred)
            if preferred is not None or exchange.insists:
                return preferred
        if self._tried is None or policy is None:
            return cluster.pick(None, 1, self._key)
        avoided = Avoided(policy, self._tried) if policy.avoids else None
        if self._previous is None:
            return cluster.pick(avoided, policy.host_selection_attempts, self._key)
        return cluster.pick(avoided, policy.host_selection_attempts, self._key, self._previous.excluded(cluster.priorities))

    def _no_endpoint(self, cluster: "Cluster") -> None:
        """The end, unless the host that the request names has yet to be looked up: that is waited for, as in Envoy."""
        hosts = cluster.hosts
        found = "" if hosts is None else hosts.look_up(self.exchange.head.authority.decode("latin-1"))
        if isinstance(found, str):
            self.give_up(Cause.NO_HEALTHY_UPSTREAM, found)
        else:
            self._waiting = spawn(self._once_known(found), name="host of a request")

    async def _once_known(self, found: "asyncio.Future[Host]") -> None:
        await found
        self._waiting = None
        if self.phase is _CONNECTING:
            exchange = self.exchange
            exchange.cluster = self._runtime.clusters.by_name.get(exchange.cluster_name, exchange.cluster)  # it may have been replaced
            self.attempt()

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
        breaker = self._breaker
        assert breaker is not None
        breaker.requests += 1
        if breaker.window is not None:
            breaker.window.add()
        endpoint.rq_active += 1
        endpoint.rq_total += 1
        if endpoint.watch is not None:
            endpoint.watch.connected()
        cluster.upstream_rq_total += 1
        self._sent_at = self._runtime.loop.time()
        if cluster.config.max_stream_duration or (self._policy is not None and self._policy.timed):
            self._time_attempt(cluster.config.max_stream_duration)
        if self.held:  # first: this connection, too, may be too slow for what there is
            self.held = False
            self._downstream.resume_request()
        if self.complete and self._body is None:
            connection.start(self, None)
        else:
            connection.start(self, self._body_so_far())

    def _time_attempt(self, longest: float) -> None:
        policy = self._policy
        timeout = policy.per_try_timeout if policy is not None else 0.0
        idle = policy.per_try_idle_timeout if policy is not None else 0.0
        self._try_times = times = TryTimes(timeout=timeout, idle=idle, longest=longest, now=self._sent_at)
        if self.complete:
            times.complete(self._sent_at)
        self._arm(self._active)

    def on_failed(self, cause: Cause, reason: str = "", *, sent: bool = True, reused: bool = False) -> None:
        """The attempt came to nothing before an answer's head: no connection, or one that died."""
        connection = self.release()
        self.exchange.upstream_failure = reason
        if connection is not None:
            connection.discard()
        if self._endpoint is not None:
            self._endpoint.rq_error += 1
        self.tell_failed(cause)
        policy = self._policy
        if self._safe(cause, reused):
            self._again(0.0)
        elif policy is not None and policy.enabled and self._replayable() and self._may_retry(retry.on_failure(policy, cause, sent=sent)):
            self._again(retry.back_off(policy, self._retries + 1))
        else:
            self.give_up(cause, reason)

    def tell_failed(self, cause: Cause) -> None:
        """The endpoint did not answer, or not to the end."""
        if self._endpoint is not None and self._endpoint.watch is not None:
            self._endpoint.watch.failed(cause)

    def _safe(self, cause: Cause, reused: bool) -> bool:
        """Whether a failure is repaired without asking the policy: nobody has worked on the request, as far as anybody can tell."""
        if self._retries or not self._replayable() or self._breaker is None or not self._breaker.admits_retry():
            return False  # once: a request that kills whatever it comes to would go through all connections (RFC 9110 9.2.2)
        # A kept-alive connection that dies under an idempotent request says nothing of the server: the close was on its way
        # already (RFC 9110 9.2.2, RFC 9112 9.3.1). One silent replay spares users the commonest 503 UC of all meshes.
        if cause is Cause.UPSTREAM_CLOSED and reused and self.exchange.head.method in retry.IDEMPOTENT:
            return True
        # Above the last stream of a GOAWAY nothing has been looked at, whatever the method (RFC 9113 6.8).
        return cause is Cause.UPSTREAM_REFUSED and reused

    def _retries_answer(self, response: ResponseHead) -> bool:
        """Whether an answer is thrown away for another attempt, which is then on its way."""
        policy = self._policy
        if policy is None or not policy.enabled or not self._replayable():
            self._count_success()
            return False
        if not self._may_retry(retry.on_response(policy, response)):
            return False
        limited = policy.rate_limited
        delay = retry.asked_delay(limited, response, time.time()) if limited is not None else 0.0
        connection = self.release()
        if connection is not None:
            connection.discard()
        if self._endpoint is not None:
            self._endpoint.rq_error += 1
        self._again(delay or retry.back_off(policy, self._retries + 1), limited=bool(delay))
        return True

    def _may_retry(self, wanted: bool) -> bool:
        """Whether the policy's number of retries and the cluster's breaker allow what is wanted; a flag tells which of them did not."""
        cluster = self.exchange.cluster
        policy = self._policy
        assert cluster is not None
        assert policy is not None
        if not wanted:
            self._count_success()
            return False
        self._end_retry()
        if self._retries >= policy.num_retries:
            cluster.upstream_rq_retry_limit_exceeded += 1
            self.exchange.flag("URX")
            return False
        if self._breaker is None or not self._breaker.admits_retry():
            cluster.upstream_rq_retry_overflow += 1
            self.exchange.flag("UO")
            return False
        return True

    def _count_success(self) -> None:
        """What came was not wanted otherwise: if this was a retry, it has done its work."""
        if self._retrying:
            if self.exchange.cluster is not None:
                self.exchange.cluster.upstream_rq_retry_success += 1
            self._end_retry()

    def _again(self, delay: float, *, limited: bool = False) -> None:
        """Another attempt after a delay in seconds; `limited`: the upstream asked for it."""
        self._end_retry()
        self._retries += 1
        self._retrying = True
        if self._breaker is not None:
            self._breaker.retries += 1
        if self._endpoint is not None:
            self._remember(self._endpoint)
        self.phase = _CONNECTING
        self._pool = None
        self._back_off = self._runtime.loop.call_later(delay, self._retry_now, limited)

    def _remember(self, endpoint: "Endpoint") -> None:
        """Where the attempt went, for the choice of the next one's endpoint."""
        self._tried = [*(self._tried or ()), endpoint]
        policy = self._policy
        if policy is not None and policy.priority_update:
            if self._previous is None:
                self._previous = PreviousPriorities(policy.priority_update)
            self._previous.attempted(endpoint.config.priority)

    def _retry_now(self, limited: bool) -> None:
        self._back_off = None
        exchange = self.exchange
        cluster = exchange.cluster
        assert cluster is not None
        cluster.upstream_rq_retry += 1
        if limited:
            cluster.upstream_rq_retry_backoff_ratelimited += 1
        else:
            cluster.upstream_rq_retry_backoff_exponential += 1
        exchange.attempt += 1
        exchange.upstream_peer = None
        exchange.upstream_local_address = ""
        self.before_retry()
        current = self._runtime.clusters.by_name.get(exchange.cluster_name)
        if current is cluster:
            self.attempt()
        elif current is None:
            self.give_up(Cause.NO_HEALTHY_UPSTREAM, "")
        else:
            self._move_to(current)
            self.attempt()

    def _move_to(self, cluster: "Cluster") -> None:
        """The cluster has been replaced during the back-off: its former version may not know any more where its endpoints are."""
        self.exchange.cluster = cluster
        high = self._forward is not None and self._forward.high_priority
        if self._breaker is not None:
            self._breaker.retries -= 1
        self._breaker = cluster.high_breaker if high else cluster.breaker
        self._breaker.retries += 1

    def _end_retry(self) -> None:
        """The retry under way is over, or will not be made."""
        if not self._retrying:
            return
        self._retrying = False
        if self._breaker is not None:
            self._breaker.retries -= 1
        if self._back_off is not None:
            self._back_off.cancel()
            self._back_off = None

    def give_up_replay(self) -> None:
        """As in Envoy, quietly (retry_or_shadow_abandoned), unless it is a further attempt that would have needed the body."""
        self._policy = None if self._policy is None else self._policy.without_retries()
        if self.exchange.cluster is not None:
            self.exchange.cluster.retry_or_shadow_abandoned += 1
        if self._back_off is not None:
            self._end_retry()
            self.give_up(Cause.REPLAY_TOO_LARGE, "")
        elif self._connection is not None:
            self._body = None

    def _under_way(self) -> bool:
        """Whether an attempt is being made, rather than waited for."""
        return self._connection is not None or (self.phase is _CONNECTING and self._back_off is None)

    def release(self) -> UpstreamRequest | None:
        """Forget the attempt's connection; the caller decides its fate."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._leave()
        self._try_times = None
        return connection

    def _leave(self) -> None:
        """The attempt has no connection any more, or one that looks after itself."""
        if self._endpoint is not None:
            self._endpoint.rq_active -= 1
        if self._breaker is not None:
            self._breaker.requests -= 1

    def cancel_wait(self) -> None:
        if self.phase is _CONNECTING and self._pool is not None:
            self._pool.forget(self)
