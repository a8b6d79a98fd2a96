"""One exchange on its way: filters, route, cluster, endpoint, attempts, and the answer back. Envoy's router filter.

Everything here is a callback from one of the two connections; no task exists unless a filter has to wait. The phases:

    ROUTING -> CONNECTING -> WAITING (request goes up, no answer yet) -> ANSWERING (answer goes down) -> DONE
                    ^------------ another attempt ----------'
"""

import enum
import random
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Protocol

from pymesh.tasks import spawn

from .. import rescue
from ..errors import Cause
from ..filters import LocalReply
from ..route.table import DirectReply, Edit, Forward, Redirect, Route
from ..upstream.config import Discovery
from ..wheel import NEVER
from . import forwarding, retry, wire
from .exchange import Exchange
from .headers import RequestHead, ResponseHead
from .options import HttpOptions

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..upstream.cluster import Cluster, Endpoint
    from .h1_client import ClientConnection


class Phase(enum.IntEnum):
    ROUTING = 0
    CONNECTING = 1
    WAITING = 2
    ANSWERING = 3
    DONE = 4


class Framing(enum.Enum):
    """How the end of a body is told."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class DownstreamStream(Protocol):
    """What a router needs of the client's side, whatever protocol it speaks."""

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        """The answer's head; framing says how the upstream's body ends."""

    def send_body(self, data: bytes) -> None:
        """A piece of the answer's body."""

    def flush(self) -> None:
        """Send what is held back."""

    def finish(self) -> None:
        """The answer is complete and the exchange has been observed."""

    def abort(self) -> None:
        """The answer cannot be completed; the client must notice."""

    def pause_request(self) -> None:
        """Stop reading the request's body."""

    def resume_request(self) -> None:
        """Go on reading it."""

    def arm(self, deadline: float) -> None:
        """Call on_deadline at this loop time, replacing the former one."""

    def tunnel(self, connection: "ClientConnection", early: bytes) -> None:
        """The answer was 101: from here on bytes go both ways unread."""


class Router:
    """Drives one exchange; created when its head has been read, done when it has been observed."""

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

    def __repr__(self) -> str:
        return f"<Router {self.phase.name} {self.exchange!r}>"

    # --- the request's side -------------------------------------------------------------------------------------------

    def start(self, complete: bool) -> None:
        """The head is here; `complete` says that no body follows."""
        self._complete = complete
        exchange = self.exchange
        try:
            forwarding.prepare_request(self._options, exchange)
        except forwarding.HeaderRejected as rejected:
            self.reply(rescue.reply(Cause.BAD_REQUEST, body=b"a header may not be named in Connection", details=str(rejected)))
            return
        for http_filter in self._options.filters:
            verdict = http_filter.on_request(exchange)
            if isinstance(verdict, Awaitable):
                spawn(self._wait_for(verdict), name="http filter")
                return
            if verdict is not None:
                self.reply(verdict)
                return
        self._route()

    async def _wait_for(self, verdict: "Awaitable[LocalReply | None]") -> None:
        answer = await verdict
        if self.phase is Phase.DONE:
            return
        if answer is None:
            self._route()
        else:
            self.reply(answer)

    def _route(self) -> None:
        exchange = self.exchange
        table = self._options.route.table
        draw = random.getrandbits(32)
        route = table.match(exchange.head, draw) if table is not None else None
        if route is None:
            self._options.stats.no_route += 1
            self.reply(rescue.reply(Cause.NO_ROUTE))
            return
        exchange.route = route
        action = route.action
        if isinstance(action, Forward):
            self._proxy(route, action, draw)
        else:
            self._answer(action)

    def _answer(self, action: Redirect | DirectReply) -> None:
        if isinstance(action, Redirect):
            headers = ((b"location", action.location(self.exchange)),)
            self.reply(LocalReply(status=action.status, headers=headers, details="direct_response"))
        else:
            self.reply(LocalReply(status=action.status, body=action.body, details="direct_response"))

    def _proxy(self, route: Route, forward: Forward, draw: int) -> None:
        exchange = self.exchange
        self._forward = forward
        if self._upgrade and not self._may_upgrade(forward):
            self.reply(rescue.reply(Cause.UPGRADE_REFUSED))
            return
        target = forward.choose(draw)
        name = target.cluster
        if forward.cluster_header:
            name = (exchange.head.index.get(forward.cluster_header) or b"").decode("latin-1")
        exchange.cluster_name = name
        cluster = self._runtime.clusters.get(name)
        if cluster is None:
            self.reply(rescue.reply(Cause.NO_CLUSTER, status=forward.cluster_missing_status))
            return
        exchange.cluster = cluster
        if cluster.drops():
            self.reply(LocalReply(status=503, body=b"drop overload", flags="DO", details="drop_overload"))
            return
        self._prepare(route, forward, target.edit_request)
        self._target_edit = target.edit_response
        if not cluster.breaker.admits_request():
            cluster.upstream_rq_pending_overflow += 1
            self.reply(rescue.reply(Cause.OVERFLOW))
            return
        cluster.breaker.requests += 1
        self.phase = Phase.CONNECTING
        self._attempt()

    def _may_upgrade(self, forward: Forward) -> bool:
        allowed = self._options.upgrades if forward.upgrades is None else forward.upgrades
        return self._upgrade in allowed

    def _prepare(self, route: Route, forward: Forward, target_edit: Edit | None) -> None:
        """The head as it goes up: rewrite, header edits from the most specific level outward, our own headers."""
        exchange = self.exchange
        head = exchange.head
        if not self._options.suppress_envoy_headers:
            timeout = forward.timeout
            if forward.retry is not None and 0 < forward.retry.per_try_timeout < (timeout or NEVER):
                timeout = forward.retry.per_try_timeout
            if timeout:
                head.set(b"x-envoy-expected-rq-timeout-ms", b"%d" % (timeout * 1000))
        if target_edit is not None:
            target_edit(exchange)
        if route.edit_request is not None:
            route.edit_request(exchange)
        if forward.rewrite is not None:
            forward.rewrite(exchange)
        for http_filter in self._options.filters:
            http_filter.on_route(exchange)
        fields = head.fields
        if self.chunked:
            fields = [*fields, (b"transfer-encoding", b"chunked")]
        elif self._complete and head.method in (b"POST", b"PUT", b"PATCH") and b"content-length" not in head.index:
            fields = [*fields, (b"content-length", b"0")]
        if self._upgrade:
            fields = [*fields, (b"connection", b"upgrade"), (b"upgrade", self._upgrade)]
        self._wire_head = wire.request_head(head.method, head.path, fields)
        now = self._runtime.loop.time()
        self._active = now
        if self._complete:
            self._start_clock(now)

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
        limit = self.exchange.cluster.config.buffer_limit if self.exchange.cluster else 1024 * 1024
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

    # --- attempts -----------------------------------------------------------------------------------------------------

    def _attempt(self) -> None:
        exchange = self.exchange
        cluster = exchange.cluster
        assert cluster is not None
        assert self._forward is not None
        policy = self._forward.retry
        endpoint = self._pick(cluster)
        if endpoint is None:
            self._give_up(Cause.NO_HEALTHY_UPSTREAM, "")
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

    def on_failed(self, cause: Cause, reason: str = "", *, sent: bool = True, reused: bool = False) -> None:
        """The attempt came to nothing before an answer's head: no connection, or one that died."""
        connection = self._release()
        self.exchange.upstream_failure = reason
        if connection is not None:
            connection.discard()
        if self._should_retry(cause, sent, reused):
            self._again()
        else:
            self._give_up(cause, reason)

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
            self._give_up(Cause.OVERFLOW, "")
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
            self._attempt()

    def _give_up(self, cause: Cause, reason: str) -> None:
        policy = self._forward.retry if self._forward else None
        exhausted = policy is not None and 0 < policy.num_retries <= self._retries
        self.reply(rescue.reply(cause, reason=reason, retried=exhausted))

    def _release(self) -> "ClientConnection | None":
        """Forget the attempt's connection; the caller decides its fate."""
        connection, self._connection = self._connection, None
        if connection is not None and self._endpoint is not None:
            self._endpoint.rq_active -= 1
        self._try_expires = NEVER
        return connection

    # --- the answer's side --------------------------------------------------------------------------------------------

    def on_head(self, response: ResponseHead, framing: Framing) -> None:
        """The upstream's answer begins."""
        exchange = self.exchange
        cluster = exchange.cluster
        endpoint = self._endpoint
        assert cluster is not None
        assert endpoint is not None
        policy = self._forward.retry if self._forward else None
        status = response.status
        cluster.count_status(status)
        if status >= 500:
            endpoint.rq_error += 1
        else:
            endpoint.rq_success += 1
        if policy is not None and self._retries < policy.num_retries and self._replayable() and retry.on_response(policy, response):
            connection = self._release()
            if connection is not None:
                connection.discard()
            self._again()
            return
        self._relay_head(response, framing)

    def _relay_head(self, response: ResponseHead, framing: Framing) -> None:
        exchange = self.exchange
        now = self._runtime.loop.time()
        self.phase = Phase.ANSWERING
        self._active = exchange.response_started = now
        self._try_expires = NEVER
        self._body = None
        exchange.response = response
        exchange.details = "via_upstream"
        if self._retries and exchange.cluster is not None and response.status < 500:
            exchange.cluster.upstream_rq_retry_success += 1
        options = self._options
        forwarding.prepare_response(options, response, self._runtime.date())
        if not options.suppress_envoy_headers:
            response.set(b"x-envoy-upstream-service-time", b"%d" % ((now - self._sent_at) * 1000))
        self._finish_head(response)
        exchange.status = response.status
        self._downstream.send_head(response, framing)

    def _finish_head(self, response: ResponseHead) -> None:
        """What every answer gets, local ones too: filters, and the route's header edits."""
        exchange = self.exchange
        for http_filter in self._options.filters:
            http_filter.on_response(exchange)
        if self._target_edit is not None:
            self._target_edit(exchange)
        route = exchange.route
        if route is not None and route.edit_response is not None:
            route.edit_response(exchange)
        if self._options.always_set_request_id_in_response:
            request_id = exchange.head.index.get(b"x-request-id")
            if request_id is not None:
                response.set(b"x-request-id", request_id)

    def on_body(self, data: bytes) -> None:
        """A piece of the answer's body."""
        self.exchange.response_bytes += len(data)
        self._active = self._runtime.loop.time()
        self._downstream.send_body(data)

    def on_end(self) -> None:
        """The answer is complete; the connection looks after itself."""
        self._release()
        self._done()
        self._downstream.finish()

    def on_tunnel(self, response: ResponseHead, early: bytes) -> None:
        """101 Switching Protocols: the route's timeout ends here, the connections are joined."""
        connection = self._connection
        assert connection is not None
        exchange = self.exchange
        exchange.response = response
        exchange.details = "via_upstream"
        exchange.status = response.status
        self.phase = Phase.ANSWERING
        self._expires = NEVER
        self._downstream.arm(NEVER)
        self._finish_head(response)
        self._connection = None
        self._downstream.send_head(response, Framing.NONE)
        self._downstream.tunnel(connection, early)

    def on_tunnel_end(self, flags: str) -> None:
        """The relay that replaced this exchange's connections has closed both."""
        self.exchange.flags = flags
        if self._endpoint is not None:
            self._endpoint.rq_active -= 1
        self._done()

    def on_relayed(self, *, received: int = 0, sent: int = 0) -> None:
        """The relay moved bytes."""
        self.exchange.request_bytes += received
        self.exchange.response_bytes += sent

    def refuse(self, refusal: LocalReply) -> None:
        """The request's body went wrong before an answer began."""
        self._cancel_wait()
        connection = self._release()
        if connection is not None:
            connection.discard()
        self.reply(refusal)

    def on_broken(self, reason: str) -> None:
        """The upstream died in the middle of its answer: nothing can be repaired, and the client must not take it for whole."""
        connection = self._release()
        if connection is not None:
            connection.discard()
        exchange = self.exchange
        exchange.flags = "UPE" if reason == "protocol_error" else "UC"
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

    # --- endings ------------------------------------------------------------------------------------------------------

    def on_deadline(self, now: float) -> None:
        """The earliest of the timeouts, or activity has moved it."""
        if self.phase is Phase.DONE:
            return
        if self._expires <= now:
            self._timed_out(Cause.ROUTE_TIMEOUT)
        elif self._try_expires <= now:
            self._try_expires = NEVER
            self._count_timeout()
            self._cancel_wait()
            self.on_failed(Cause.PER_TRY_TIMEOUT)
        elif (idle := self._idle_timeout()) and self._active + idle <= now:
            self._timed_out(Cause.STREAM_IDLE)
        else:
            self._arm(self._active)

    def _count_timeout(self) -> None:
        if self.exchange.cluster is not None:
            self.exchange.cluster.upstream_rq_timeout += 1
        if self._endpoint is not None:
            self._endpoint.rq_timeout += 1

    def _timed_out(self, cause: Cause) -> None:
        self._count_timeout()
        answering = self.phase is Phase.ANSWERING
        self._cancel_wait()
        connection = self._release()
        if connection is not None:
            connection.discard()
        answer = rescue.reply(cause, status=0 if self._complete else 408)
        if not answering:
            self.reply(answer)
            return
        self.exchange.flags = answer.flags
        self.exchange.details = answer.details
        self._done()
        self._downstream.abort()

    def _cancel_wait(self) -> None:
        if self.phase is Phase.CONNECTING and self._endpoint is not None and self._endpoint.pool is not None:
            self._endpoint.pool.forget(self)

    def client_left(self, details: str = "downstream_remote_disconnect") -> None:
        """The client's connection is gone."""
        if self.phase is Phase.DONE:
            return
        self._cancel_wait()
        connection = self._release()
        if connection is not None:
            connection.discard()
            if self.exchange.cluster is not None:
                self.exchange.cluster.upstream_rq_cancelled += 1
        self.exchange.flags = "DC"
        self.exchange.details = details
        self._done()

    def reply(self, answer: LocalReply) -> None:
        """Answer from here, through the same filters and header edits as an upstream's answer."""
        exchange = self.exchange
        if exchange.head.index.get(b"content-type", b"").startswith(b"application/grpc"):
            answer = rescue.grpc_form(answer)
        fields = list(answer.headers)
        if answer.body:
            fields += [(b"content-length", b"%d" % len(answer.body)), (b"content-type", b"text/plain")]
        elif answer.status not in wire.BODILESS:
            fields.append((b"content-length", b"0"))
        fields += [(b"date", self._runtime.date()), (b"server", self._options.server_name)]
        response = ResponseHead(answer.status, fields)
        exchange.response = response
        exchange.flags = answer.flags
        exchange.details = answer.details
        exchange.status = answer.status
        self._finish_head(response)
        self._done_with(response, answer.body)

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
        if self.phase is Phase.DONE:
            return
        if self.phase is not Phase.ROUTING and self.exchange.cluster is not None:
            self.exchange.cluster.breaker.requests -= 1  # taken where the phase left ROUTING
        self.phase = Phase.DONE
        self._body = None
        for observe in self._options.observers:
            observe(self.exchange)
