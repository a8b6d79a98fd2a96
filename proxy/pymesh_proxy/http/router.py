"""One exchange on its way: its route's action, cluster, and how it ends. Envoy's router filter.

Everything here is a callback from one of the two connections; no task exists unless a filter has to wait.
"""

from dataclasses import replace
from typing import Final

from .. import rescue
from ..errors import Cause
from ..filters import LocalReply
from ..route.table import DirectReply, Edit, Forward, Redirect, Route
from ..wheel import NEVER
from . import forwarding, request_policy
from .grpc import is_grpc, timeout_of
from .headers import RequestHead
from .redirecting import Redirecting
from .stream import Phase

_LATE: Final = frozenset((Cause.ROUTE_TIMEOUT, Cause.PER_TRY_TIMEOUT, Cause.PER_TRY_IDLE))
"""What x-envoy-upstream-rq-timeout-alt-response is about."""

_CONNECTING: Final = Phase.CONNECTING
_ANSWERING: Final = Phase.ANSWERING
_DONE: Final = Phase.DONE


class Router(Redirecting):
    """Drives one exchange; created when its head has been read, done when it has been observed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Router {self.phase.name} {self.exchange!r}>"

    # --- the request's side -------------------------------------------------------------------------------------------

    def start(self, complete: bool) -> None:
        """The head is here; `complete` says that no body follows."""
        self.complete = complete
        options = self.options
        forwarding.prepare_request(options, self.exchange)
        self.choose()
        if self._filters:
            self.filter_from(0)
        else:
            self.proceed()

    def proceed(self) -> None:
        route = self.exchange.route
        if route is None:
            self.options.stats.no_route += 1
            self.reply(rescue.reply(Cause.NO_ROUTE))
        elif self._forward is not None:
            self._proxy(route, self._forward)
        else:
            self._edits_answer = route.edit_response is not None
            self._answer(route.action)

    def _answer(self, action: Redirect | DirectReply | Forward) -> None:
        if isinstance(action, Redirect):
            headers = ((b"location", action.location(self.exchange)),)
            self.reply(LocalReply(status=action.status, headers=headers, details="direct_response"))
        elif isinstance(action, DirectReply):
            self.reply(self._from_configuration(action))

    def _from_configuration(self, action: DirectReply) -> LocalReply:
        written = action.format
        if written is None:
            return LocalReply(status=action.status, body=action.body, details="direct_response")
        headers = ((b"content-type", written.content_type),)
        return LocalReply(status=action.status, body=written.write(self.exchange, action.body), headers=headers, details="direct_response")

    def _proxy(self, route: Route, forward: Forward) -> None:
        exchange = self.exchange
        target = self._target
        cluster = exchange.cluster
        assert target is not None
        if self.upgrade and not self._may_upgrade(forward):
            self.reply(rescue.reply(Cause.UPGRADE_REFUSED))
            return
        if cluster is None:
            self.reply(rescue.reply(Cause.NO_CLUSTER, status=forward.cluster_missing_status))
            return
        if cluster.drop_percent and cluster.drops():
            self.reply(LocalReply(status=503, body=b"drop overload", flags="DO", details="drop_overload"))
            return
        self._policy = forward.retry
        self._prepare(route, forward, target.edit_request)
        if forward.hashing is not None and cluster.config.balancing.by_key:
            self._key = forward.hashing(exchange)
            self._edits_answer = True  # if it is given a cookie
        self._breaker = cluster.high_breaker if forward.high_priority else cluster.breaker
        self.phase = _CONNECTING
        if forward.mirrors and not self.upgrade:
            self._attempt_and_copy(forward)
        else:
            self.attempt()

    def _attempt_and_copy(self, forward: Forward) -> None:
        """Copies go out beside the first attempt; none where it has no endpoint to go to, as in Envoy."""
        head = self.exchange.head.copy()
        body = list(self._body or ())
        self.attempt()
        if self.phase is _DONE:
            return
        begun = [mirroring.start(self._runtime, self, head.copy(), body) for mirroring in forward.mirrors]
        self._copies = [copy for copy in begun if copy is not None]

    def _may_upgrade(self, forward: Forward) -> bool:
        kind = self.upgrade.lower()
        return forward.upgrades.get(kind, kind in self.options.upgrades)

    def _prepare(self, route: Route, forward: Forward, target_edit: Edit | None) -> None:
        """The head as it goes up: our own headers, edits from the most specific level outward, rewrites; and the clock."""
        exchange = self.exchange
        options = self.options
        head = exchange.head
        self._timeout = forward.timeout
        expected = forward.expected_timeout
        asks = forward.asks
        if options.internal is not None and b"x-envoy-internal" in head.index:
            asks = True
            self._late_status = request_policy.late_status(head)
            self._timeout, self._policy = request_policy.times(head, forward.timeout, self._policy)
            expected = b"%d" % (self._expected() * 1000)
        if expected and not options.suppress_envoy_headers:
            head.index[b"x-envoy-expected-rq-timeout-ms"] = expected
            head.fields.append((b"x-envoy-expected-rq-timeout-ms", expected))
        if forward.attempt_count_in_request:
            head.set(b"x-envoy-attempt-count", b"1")
        if target_edit is not None:
            target_edit(exchange)
        if route.edit_request is not None:
            route.edit_request(exchange)
        if asks or (self._policy is not None and self._policy.request_headers):
            self._policy = request_policy.retries(head, self._policy)
        if forward.rewrite is not None:
            forward.rewrite(exchange)
        for http_filter in self._filters:
            http_filter.on_route(exchange)
        self._active = now = self._runtime.loop.time()
        longest = self.longest()
        if b"content-type" in head.index and (forward.grpc_duration is not None or forward.grpc_timeout is not None) and is_grpc(head):
            longest = self._grpc_times(forward, head, longest)
        if longest and now + longest < self.ends:
            self.ends = now + longest
        if self.complete:
            self.start_clock(now)
        else:
            self._arm(now)  # a body that does not come is idleness too

    def _grpc_times(self, forward: Forward, head: RequestHead, longest: float) -> float:
        """The stream's longest duration; the client's own timeout counts for it, or for the route's, as the route says."""
        asked = timeout_of(head)
        if forward.grpc_timeout is not None:
            self._timeout = forward.grpc_timeout.apply(asked or 0.0)
        if forward.grpc_duration is None or asked is None:
            return longest
        longest = forward.grpc_duration.apply(asked)
        if longest:
            head.set(b"grpc-timeout", b"%dm" % (longest * 1000))
        return longest

    def before_retry(self) -> None:
        forward = self._forward
        head = self.exchange.head
        if forward is None:
            return
        if forward.attempt_count_in_request:
            head.set(b"x-envoy-attempt-count", b"%d" % self.exchange.attempt)
        if b"x-envoy-expected-rq-timeout-ms" in head.index and not self.options.suppress_envoy_headers:
            head.set(b"x-envoy-expected-rq-timeout-ms", b"%d" % (self._expected() * 1000))

    def _expected(self) -> float:
        """Seconds that the coming attempt has: its own timeout, or what is left of the route's."""
        per_try = self._policy.per_try_timeout if self._policy is not None else 0.0
        if not self._timeout:
            return per_try
        left = self._timeout if self._expires == NEVER else max(self._expires - self._runtime.loop.time(), 0.001)
        return min(per_try, left) if per_try else left

    def refuse(self, refusal: LocalReply) -> None:
        answering = self.phase is _ANSWERING
        self.cancel_wait()
        connection = self.release()
        if connection is not None:
            connection.discard()
        if answering:
            self._break_off(refusal)
        else:
            self.reply(refusal)

    def _break_off(self, instead: LocalReply) -> None:
        """An answer has begun already that nothing follows of, nor can another one."""
        self.exchange.flag(instead.flags)
        self.exchange.details = instead.details
        self._done()
        self._downstream.abort()

    def give_up(self, cause: Cause, reason: str) -> None:
        retried = self.exchange.attempt > 1 and self._policy is not None  # what was replaced silently is not spoken of
        answer = self._failure(cause, reason=reason, retried=retried)
        if self.exchange.cluster is not None:
            self.exchange.cluster.count_status(answer.status)
        self.reply(answer)

    # --- endings ------------------------------------------------------------------------------------------------------

    def on_timeout(self, cause: Cause) -> None:
        if cause is Cause.ROUTE_TIMEOUT and self._under_way():
            self._count_timeout()
            if self._connection is not None and not self.answering:
                self.tell_failed(cause)
        self._out_of_time(cause, status=0 if self.complete else 408)

    def on_try_over(self, cause: Cause) -> None:
        self._count_try(cause)
        if self.answering:
            self.tell_failed(cause)
            self._out_of_time(cause)
            return
        self.on_failed(cause)
        if self.phase is not _DONE:
            self._arm(self._active)

    def _out_of_time(self, cause: Cause, status: int = 0) -> None:
        answering = self.phase is _ANSWERING
        self.cancel_wait()
        connection = self.release()
        if connection is not None:
            connection.discard()
        answer = self._failure(cause, status=status)
        if answering:
            self._break_off(answer)
        else:
            self.reply(answer)

    def _failure(self, cause: Cause, *, reason: str = "", status: int = 0, retried: bool = False) -> LocalReply:
        answer = rescue.reply(cause, reason=reason, status=status, retried=retried)
        if self._late_status and cause in _LATE:
            return replace(answer, status=self._late_status, body=b"")
        return answer

    def _count_timeout(self) -> None:
        """The route's timeout has caught an attempt, perhaps one without a connection: its answer is the cluster's."""
        cluster = self.exchange.cluster
        if cluster is not None:
            cluster.upstream_rq_timeout += 1
            if not self.answering:
                cluster.count_status(self._late_status or 504)
        if self._endpoint is not None:
            self._endpoint.rq_timeout += 1

    def _count_try(self, cause: Cause) -> None:
        cluster = self.exchange.cluster
        assert cluster is not None
        if cause is Cause.UPSTREAM_DURATION:
            cluster.upstream_rq_max_duration_reached += 1
            return
        if cause is Cause.PER_TRY_TIMEOUT:
            cluster.upstream_rq_per_try_timeout += 1
        else:
            cluster.upstream_rq_per_try_idle_timeout += 1
        if self._endpoint is not None:
            self._endpoint.rq_timeout += 1

    def client_left(self, details: str = "downstream_remote_disconnect", flags: str = "DC") -> None:
        """The client's connection or stream is gone."""
        if self.phase is _DONE:
            return
        self.cancel_wait()
        connection = self.release()
        if connection is not None:
            connection.discard()
            if self.exchange.cluster is not None:
                self.exchange.cluster.upstream_rq_cancelled += 1
        self.exchange.flag(flags)
        self.exchange.details = details
        self._done()
