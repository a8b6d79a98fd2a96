"""The answer of an exchange on its way down: an upstream's, or one that is made here.

Everything is a callback from the upstream's connection, or the end of the exchange.
"""

from abc import abstractmethod
from time import monotonic
from typing import Final

from ..errors import Cause
from ..filters import LocalReply
from ..route.hashing import hand_out
from ..wheel import NEVER
from . import forwarding, wire
from .attempts import Attempts
from .exchange import Exchange
from .grpc import is_call
from .headers import Fields, ResponseHead
from .local_reply import complete
from .stream import Framing, Phase

_ANSWERING: Final = Phase.ANSWERING
_DONE: Final = Phase.DONE

_BROKEN_FLAGS: Final = {"protocol_error": "UPE", "remote_reset": "UR", "remote_refused_stream_reset": "UR"}


class Answer(Attempts):
    """An exchange, as its answer's bytes see it."""

    __slots__ = ()

    @abstractmethod
    def redirected(self, response: ResponseHead) -> bool:
        """Whether the answer is a redirect that is followed here; the request is on its way again then."""

    def on_interim(self, response: ResponseHead) -> None:
        self._downstream.send_interim(response)

    def on_head(self, response: ResponseHead, framing: Framing) -> None:
        exchange = self.exchange
        forward = self._forward
        assert forward is not None
        status = response.status
        if self._endpoint is not None and self._endpoint.watch is not None:
            self._endpoint.watch.answered(exchange.head, response)
        if (self._policy is not None or self._retrying) and self._retries_answer(response):
            return
        if forward.internal_redirects is not None and self.redirected(response):
            return
        self._count(status)
        options = self.options
        self._active = now = self._runtime.loop.time()
        self.phase = _ANSWERING
        if self._try_times is not None:
            self._try_times.answered()
        self._body = None
        exchange.response_started = monotonic()
        exchange.response = response
        exchange.details = "via_upstream"
        exchange.status = status
        forwarding.prepare_response(options, response, self._runtime.date, wire.number(int((now - self._sent_at) * 1000)))
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
        if forward is not None and forward.hashing is not None and exchange.details == "via_upstream":
            hand_out(exchange, response)
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
        exchange = self.exchange
        exchange.response_bytes += len(data)
        if exchange.response_messages is not None:
            exchange.response_messages.feed(data, False)
        self._active = self._runtime.loop.time()
        self._downstream.send_body(data)

    def on_trailers(self, fields: Fields) -> None:
        self.exchange.trailers = fields
        self._downstream.send_trailers(fields)

    def on_end(self) -> None:
        self._connection = None
        self._leave()
        self._done()
        self._downstream.finish()

    def on_tunnel(self, response: ResponseHead, early: bytes) -> None:
        """A protocol switch or a tunnel: the route's timeout ends here, the connections are joined."""
        connection = self._connection
        assert connection is not None
        exchange = self.exchange
        if self._endpoint is not None and self._endpoint.watch is not None:
            self._endpoint.watch.answered(exchange.head, response)
        exchange.response = response
        exchange.details = "via_upstream"
        exchange.status = response.status
        self.phase = _ANSWERING
        self._expires = NEVER
        self._try_times = None
        self._downstream.arm(NEVER)
        forwarding.prepare_response(self.options, response, self._runtime.date)
        self._finish_head(response)
        self._downstream.send_head(response, Framing.TUNNEL)
        self._downstream.tunnel(connection, early)

    def on_tunnel_end(self, flags: str) -> None:
        """The relay that replaced this exchange's connections has closed both."""
        self.exchange.flag(flags)
        connection = self.release()
        if connection is not None:
            connection.left()
        self._done()

    def on_relayed(self, *, received: int = 0, sent: int = 0) -> None:
        """The relay moved bytes."""
        self.exchange.request_bytes += received
        self.exchange.response_bytes += sent

    def on_broken(self, reason: str) -> None:
        """The upstream died in the middle of its answer: nothing can be repaired, and the client must not take it for whole."""
        connection = self.release()
        if connection is not None:
            connection.discard()
        exchange = self.exchange
        self.tell_failed(Cause.UPSTREAM_RESET)
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
        self.held = True
        self._downstream.pause_request()

    def resume_upload(self) -> None:
        """The upstream has caught up."""
        self.held = False
        self._downstream.resume_request()

    def flush(self) -> None:
        """The upstream's read is over; nothing more comes in this turn."""
        self._downstream.flush()

    def reply(self, answer: LocalReply) -> None:
        """Answer from here, through the same filters and header edits as an upstream's answer."""
        exchange = self.exchange
        exchange.flag(answer.flags)
        exchange.details = answer.details
        exchange.status = answer.status
        exchange.response = response = ResponseHead(answer.status, list(answer.headers))
        if answer.grpc_status >= 0 and is_call(exchange):
            response.add(b"grpc-status", b"%d" % answer.grpc_status)
        self._edits_answer &= answer.edited
        self._finish_head(response)
        body = complete(self.options.local_replies if answer.edited else None, exchange, response, answer.body)
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
        self.phase = _DONE
        self._body = None
        if self._retrying:
            self._end_retry()
        if self._waiting is not None:
            self._waiting.cancel()
        if self._copies is not None:
            self._leave_copies(self._copies)
        exchange.request_wire_bytes += exchange.request_bytes
        exchange.response_wire_bytes += exchange.response_bytes
        self.observe(exchange)

    def observe(self, exchange: Exchange) -> None:
        """Tell the filters, and whoever counts and logs, that an exchange has ended."""
        if exchange.notes is not None:
            for http_filter in self._filters:
                http_filter.on_end(exchange)
        for observe in self.options.observers:
            observe(exchange)
