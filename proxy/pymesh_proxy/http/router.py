"""One exchange on its way: filters, route, cluster, and the answer back. Envoy's router filter.

Everything here is a callback from one of the two connections; no task exists unless a filter has to wait.
"""

from time import monotonic

from .. import rescue
from ..errors import Cause
from ..filters import LocalReply
from ..route.table import DirectReply, Edit, Forward, Redirect, Route
from ..wheel import NEVER
from . import forwarding, retry
from .filtering import Filtering
from .grpc import is_grpc, timeout_of
from .headers import Fields, RequestHead, ResponseHead
from .local_reply import complete
from .stream import Framing, Phase

_ROUTING, _CONNECTING, _ANSWERING, _DONE = Phase.ROUTING, Phase.CONNECTING, Phase.ANSWERING, Phase.DONE

_BROKEN_FLAGS = {"protocol_error": "UPE", "remote_reset": "UR", "remote_refused_stream_reset": "UR"}


class Router(Filtering):
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
            self.reply(LocalReply(status=action.status, body=action.body, details="direct_response"))

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
        self._prepare(route, forward, target.edit_request)
        breaker = cluster.breaker
        if breaker.requests >= breaker.limits.max_requests:
            cluster.upstream_rq_pending_overflow += 1
            self.reply(rescue.reply(Cause.OVERFLOW))
            return
        breaker.requests += 1
        self.phase = _CONNECTING
        self.attempt()

    def _may_upgrade(self, forward: Forward) -> bool:
        kind = self.upgrade.lower()
        return forward.upgrades.get(kind, kind in self.options.upgrades)

    def _prepare(self, route: Route, forward: Forward, target_edit: Edit | None) -> None:
        """The head as it goes up: our own headers, edits from the most specific level outward, rewrites; and the clock."""
        exchange = self.exchange
        options = self.options
        head = exchange.head
        if forward.expected_timeout and not options.suppress_envoy_headers:
            head.index[b"x-envoy-expected-rq-timeout-ms"] = forward.expected_timeout
            head.fields.append((b"x-envoy-expected-rq-timeout-ms", forward.expected_timeout))
        if forward.attempt_count_in_request:
            head.set(b"x-envoy-attempt-count", b"1")
        if target_edit is not None:
            target_edit(exchange)
        if route.edit_request is not None:
            route.edit_request(exchange)
        if forward.rewrite is not None:
            forward.rewrite(exchange)
        for http_filter in self._filters:
            http_filter.on_route(exchange)
        self._active = now = self._runtime.loop.time()
        longest = self.longest()
        self._timeout = forward.timeout
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
        if self._forward is not None and self._forward.attempt_count_in_request:
            self.exchange.head.set(b"x-envoy-attempt-count", b"%d" % self.exchange.attempt)

    def on_interim(self, response: ResponseHead) -> None:
        self._downstream.send_interim(response)

    def on_head(self, response: ResponseHead, framing: Framing) -> None:
        exchange = self.exchange
        forward = self._forward
        assert forward is not None
        status = response.status
        self._count(status)
        policy = forward.retry
        if policy is not None and self._retries < policy.num_retries and retry.on_response(policy, response) and self._replayable():
            connection = self.release()
            if connection is not None:
                connection.discard()
            self._again()
            return
        options = self.options
        self._active = now = self._runtime.loop.time()
        self.phase = _ANSWERING
        self._try_expires = NEVER
        self._body = None
        exchange.response_started = monotonic()
        exchange.response = response
        exchange.details = "via_upstream"
        exchange.status = status
        forwarding.prepare_response(options, response, self._runtime.date, b"%d" % ((now - self._sent_at) * 1000))
        if options.decorates or self._edits_answer:
            self._finish_head(response)
        self._downstream.send_head(response, framing)

    def _count(self, status: int) -> None:
        cluster = self.exchange.cluster
        endpoint = self._endpoint
        assert cluster is not None
        assert endpoint is not None
        if status < 300:
            cluster.upstream_rq_2xx += 1
            endpoint.rq_success += 1
        else:
            cluster.count_status(status)
            if status >= 500:
                endpoint.rq_error += 1
            else:
                endpoint.rq_success += 1
        if self._retries and status < 500:
            cluster.upstream_rq_retry_success += 1

    def _finish_head(self, response: ResponseHead) -> None:
        """What every answer gets, local ones too: the route's header edits, then the filters, the last one first."""
        exchange = self.exchange
        options = self.options
        if self._edits_answer:
            self._edit_answer(response)
        for http_filter in reversed(self._filters):
            http_filter.on_response(exchange)
        if options.always_set_request_id_in_response:
            request_id = exchange.head.index.get(b"x-request-id")
            if request_id is not None:
                response.set(b"x-request-id", request_id)

    def _edit_answer(self, response: ResponseHead) -> None:
        exchange = self.exchange
        forward = self._forward
        if forward is not None and forward.attempt_count_in_response:
            response.set(b"x-envoy-attempt-count", b"%d" % exchange.attempt)
        target = self._target
        if target is not None and target.edit_response is not None:
            target.edit_response(exchange)
        route = exchange.route
        if route is not None and route.edit_response is not None:
            route.edit_response(exchange)

    def on_body(self, data: bytes) -> None:
        """A piece of the answer's body."""
        self.exchange.response_bytes += len(data)
        self._active = self._runtime.loop.time()
        self._downstream.send_body(data)

    def on_trailers(self, fields: Fields) -> None:
        self.exchange.trailers = fields
        self._downstream.send_trailers(fields)

    def on_end(self) -> None:
        self._connection = None
        if self._endpoint is not None:
            self._endpoint.rq_active -= 1
        self._done()
        self._downstream.finish()

    def on_tunnel(self, response: ResponseHead, early: bytes) -> None:
        """A protocol switch or a tunnel: the route's timeout ends here, the connections are joined."""
        connection = self._connection
        assert connection is not None
        exchange = self.exchange
        exchange.response = response
        exchange.details = "via_upstream"
        exchange.status = response.status
        self.phase = _ANSWERING
        self._expires = NEVER
        self._downstream.arm(NEVER)
        forwarding.prepare_response(self.options, response, self._runtime.date)
        self._finish_head(response)
        self._connection = None
        self._downstream.send_head(response, Framing.TUNNEL)
        self._downstream.tunnel(connection, early)

    def on_tunnel_end(self, flags: str) -> None:
        """The relay that replaced this exchange's connections has closed both."""
        self.exchange.flag(flags)
        if self._endpoint is not None:
            self._endpoint.rq_active -= 1
        self._done()

    def on_relayed(self, *, received: int = 0, sent: int = 0) -> None:
        """The relay moved bytes."""
        self.exchange.request_bytes += received
        self.exchange.response_bytes += sent

    def refuse(self, refusal: LocalReply) -> None:
        """The request's body went wrong before an answer began."""
        self.cancel_wait()
        connection = self.release()
        if connection is not None:
            connection.discard()
        self.reply(refusal)

    def on_broken(self, reason: str) -> None:
        """The upstream died in the middle of its answer: nothing can be repaired, and the client must not take it for whole."""
        connection = self.release()
        if connection is not None:
            connection.discard()
        exchange = self.exchange
        exchange.flag(_BROKEN_FLAGS.get(reason, "UC"))
        exchange.details = f"upstream_reset_after_response_started{{{reason}}}"
        self._done()
        self._downstream.abort()

    def pause_answer(self) -> None:
        """The client reads slowly."""
        if self._connection is not None:
            self._connection.pause_reading()

    def resume_answer(self) -> None:
        """The client has caught up."""
        if self._connection is not None:
            self._connection.resume_reading()

    def pause_upload(self) -> None:
        """The upstream reads slowly."""
        self._downstream.pause_request()

    def resume_upload(self) -> None:
        """The upstream has caught up."""
        self._downstream.resume_request()

    def flush(self) -> None:
        """The upstream's read is over; nothing more comes in this turn."""
        self._downstream.flush()

    def give_up(self, cause: Cause, reason: str) -> None:
        policy = self._forward.retry if self._forward else None
        exhausted = policy is not None and 0 < policy.num_retries <= self._retries
        self.reply(rescue.reply(cause, reason=reason, retried=exhausted))

    # --- endings ------------------------------------------------------------------------------------------------------

    def on_deadline(self, now: float) -> None:
        """The earliest of the timeouts, or activity has moved it."""
        if self.phase is _DONE:
            return
        if self._expires <= now:
            self._timed_out(Cause.ROUTE_TIMEOUT)
        elif self.ends <= now:
            self._timed_out(Cause.STREAM_DURATION)
        elif self._try_expires <= now:
            self._try_expires = NEVER
            self._count_timeout()
            self.cancel_wait()
            self.on_failed(Cause.PER_TRY_TIMEOUT)
        elif (idle := self.idle_timeout()) and self._active + idle <= now:
            self._timed_out(Cause.STREAM_IDLE)
        else:
            self._arm(self._active)

    def _timed_out(self, cause: Cause) -> None:
        self._count_timeout()
        answering = self.phase is _ANSWERING
        self.cancel_wait()
        connection = self.release()
        if connection is not None:
            connection.discard()
        answer = rescue.reply(cause, status=0 if self.complete else 408)
        if not answering:
            self.reply(answer)
            return
        self.exchange.flag(answer.flags)
        self.exchange.details = answer.details
        self._done()
        self._downstream.abort()

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

    def reply(self, answer: LocalReply) -> None:
        """Answer from here, through the same filters and header edits as an upstream's answer."""
        exchange = self.exchange
        exchange.flag(answer.flags)
        exchange.details = answer.details
        exchange.status = answer.status
        exchange.response = response = ResponseHead(answer.status, list(answer.headers))
        if answer.grpc_status >= 0 and is_grpc(exchange.head):
            response.add(b"grpc-status", b"%d" % answer.grpc_status)
        self._edits_answer &= answer.edited
        self._finish_head(response)
        body = complete(self.options.local_replies, exchange, response, answer.body)
        forwarding.prepare_response(self.options, response, self._runtime.date)
        self._done_with(response, body)

    def _done_with(self, response: ResponseHead, body: bytes) -> None:
        downstream = self._downstream
        downstream.send_head(response, Framing.LENGTH)
        if body and self.exchange.head.method != b"HEAD":
            self.exchange.response_bytes = len(body)
            downstream.send_body(body)
        self._done()
        downstream.finish()

    def _done(self) -> None:
        """Observe the exchange, once."""
        if self.phase is _DONE:
            return
        exchange = self.exchange
        if self.phase is not _ROUTING and exchange.cluster is not None:
            exchange.cluster.breaker.requests -= 1  # taken where the phase left ROUTING
        self.phase = _DONE
        self._body = None
        if self._waiting is not None:
            self._waiting.cancel()
        exchange.request_wire_bytes += exchange.request_bytes
        exchange.response_wire_bytes += exchange.response_bytes
        for observe in self.options.observers:
            observe(exchange)
