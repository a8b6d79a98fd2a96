"""A client's stream: to the router, the downstream side of one exchange."""

from time import monotonic
from time import time as wall_clock
from typing import TYPE_CHECKING, Final

from .. import rescue
from ..errors import Cause
from ..http.exchange import Downstream, Exchange
from ..http.h1_request import checked_names, refusal_of, rewrite
from ..http.headers import RequestHead, ResponseHead
from ..http.options import HttpOptions, Underscores
from ..http.request_target import TargetRejected
from ..http.router import Router
from ..http.stream import DownstreamStream, Framing, UpstreamRequest
from ..tcp.relay import Relay
from ..wheel import NEVER
from .errors import StreamBroken
from .frames import INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR
from .hpack import Fields
from .stream import CLOSED, REMOTE, H2Stream
from .translate import read_request, write_response
from .tunnel import StreamTransport

if TYPE_CHECKING:
    from .server import ServerConnection

_CONTINUE: Final[Fields] = [(b":status", b"100")]
_TUNNEL: Final = Framing.TUNNEL

CROWD: Final = 32
"""Streams of one connection, beyond which each answer is read from its upstream in small pieces: a client may open a thousand streams
and let none of them send, and then all of them hold what one read brought."""


class ServerStream(H2Stream, DownstreamStream):
    """One request of a client, and its answer.

    The answer's head and the last piece of its body wait for what comes next in the same turn, so that the end of the stream
    can be said with them rather than in a frame of its own.
    """

    __slots__ = (
        "_asks_to_tunnel", "_early", "_head", "_link", "_paused", "_piece", "_read_by", "_relay", "_router", "_trailers_out",
        "_tunnel", "_tunnelled", "_unread", "_unsent", "deadline",
    )  # fmt: skip

    def __init__(self, link: "ServerConnection", stream_id: int) -> None:
        super().__init__(link, stream_id)
        self._link = link
        self._router: Router | None = None
        self._asks_to_tunnel = False
        self._early: list[bytes] = []
        """What a client sent before its tunnel was agreed to."""
        self._tunnel: StreamTransport | None = None
        self._tunnelled: Router | None = None
        """Whose exchange the tunnel is."""
        self._relay: Relay | None = None
        self._read_by = NEVER
        """Loop time at which the request must be whole (request_timeout)."""
        self._head: ResponseHead | None = None
        self._piece = b""
        self._trailers_out: Fields | None = None
        self._paused = False
        self._unread = 0
        """Octets that came while the upstream was too slow: their window is given back when it has caught up."""
        self._unsent = 0
        """What was held back when there was last a look at it, behind the end of the exchange."""
        self.deadline = NEVER

    # --- the connection's side ----------------------------------------------------------------------------------------

    def on_headers(self, fields: Fields, end: bool) -> None:
        router = self._router
        if self._asks_to_tunnel:
            raise StreamBroken(PROTOCOL_ERROR, "trailers where a tunnel has only DATA (RFC 9113 8.5)")
        if router is not None:
            self._read_by = NEVER
            router.end(fields)
        elif not self.answered:
            self._begin(fields, end)

    def _begin(self, fields: Fields, end: bool) -> None:
        link = self._link
        stats = link.manager.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_active += 1
        refusal: TargetRejected | None = None
        upgrade = b""
        if fields is link.known and link.known_as is not None:
            head = link.known_as.copy()
        else:
            head, upgrade = read_request(fields)
            try:
                _police(link.manager, link.facts, head)
                if not upgrade:
                    link.known, link.known_as = fields, head.copy()
            except TargetRejected as rejected:
                refusal = rejected
        link.facts.crowded = len(link.streams) > CROWD or link.held > link.low_water
        exchange = Exchange(link.facts, head, monotonic(), wall_clock())
        exchange.protocol = "HTTP/2"
        chunked = not (end or upgrade) and b"content-length" not in head.index
        self._router = router = Router(link.runtime, link.manager, self, exchange, chunked, upgrade)
        self._asks_to_tunnel = bool(upgrade)
        if not end and link.manager.request_timeout:
            self._read_by = link.runtime.loop.time() + link.manager.request_timeout
        if refusal is not None:
            router.reply(refusal_of(refusal))
        else:
            if not (end or upgrade) and head.index.get(b"expect", b"").lower() == b"100-continue" and not link.manager.proxy_100_continue:
                self.send_headers(_CONTINUE, False)
            router.start(end or bool(upgrade))

    def on_data(self, data: bytes, end: bool) -> None:
        if self._tunnel is not None:
            self._tunnel.received(data, end)
            return
        if self._asks_to_tunnel:
            self._early.append(data)  # its window is given back when there is a tunnel
            return
        router = self._router
        if end:
            self._read_by = NEVER
        if self._paused:
            self._unread += len(data)
        else:
            self.consumed(len(data))
        if router is None:
            return  # the answer was complete before the request
        if data:
            router.body(data, end)
        elif end:
            router.end()

    def on_reset(self, code: int) -> None:
        self._left("http2.remote_reset", "DR")

    def on_violation(self, code: int) -> None:
        self._left("http2.violation.of.messaging.rule", "DPE")

    def on_lost(self, reason: str) -> None:
        if self._link.failed:
            self._left("http2.violation.of.messaging.rule", "DPE")
        else:
            self._left("downstream_remote_disconnect", "DC")

    def _left(self, details: str, flags: str) -> None:
        if self._tunnel is not None:
            self._tell_relay(details, flags)
            self._tunnel.lost()
        router, self._router = self._router, None
        self.deadline = NEVER
        if router is not None:
            stats = self._link.manager.stats
            stats.downstream_rq_active -= 1
            stats.downstream_rq_rx_reset += 1
            router.client_left(details, flags)

    def _tell_relay(self, details: str, flags: str) -> None:
        """It would take the client's reset for a lost connection."""
        relay, router = self._relay, self._tunnelled
        if relay is not None and router is not None and relay.flags is None:
            relay.flags = flags
            router.exchange.details = details

    def on_writable(self) -> None:
        if self._tunnel is not None:
            self._tunnel.writable()
        if self._router is not None:
            self._router.resume_answer()

    # --- the router's side --------------------------------------------------------------------------------------------

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        if framing is _TUNNEL:
            response.status = 200
        self._head = response

    def send_interim(self, response: ResponseHead) -> None:
        self.send_headers(write_response(response), False)

    def send_body(self, data: bytes) -> None:
        if self._head is not None:
            self._write_head(False)
        if self._piece:
            self._write_piece(False)
        self._piece = data

    def send_trailers(self, fields: Fields) -> None:
        self._trailers_out = fields

    def flush(self) -> None:
        if self._head is not None:
            self._write_head(False)
        if self._piece:
            self._write_piece(False)

    def _write_head(self, end: bool) -> None:
        response, self._head = self._head, None
        if response is None:
            return
        self.send_headers(write_response(response), end)
        if self._router is not None:
            self._router.exchange.response_wire_bytes = self._link.section_size

    def _write_piece(self, end: bool) -> None:
        data, self._piece = self._piece, b""
        if not self.send_data(data, end) and self._router is not None:
            self._router.pause_answer()

    def finish(self) -> None:
        router, self._router = self._router, None
        if router is None:
            return
        self.deadline = self._read_by = NEVER
        trailers = self._trailers_out
        last = not trailers
        self.parting = NO_ERROR  # the rest of the request is not wanted (RFC 9113 8.1)
        if self._head is not None:
            self._write_head(last and not self._piece)
        if self._piece:
            self._write_piece(last)
        elif last:
            self.send_data(b"", True)
        if trailers:
            self.send_headers(trailers, True)
        self._link.manager.stats.ended(router.exchange.status)
        if self.state != CLOSED:
            self.linger()

    def abort(self) -> None:
        router, self._router = self._router, None
        self.deadline = NEVER
        if router is not None:
            self._link.manager.stats.ended(router.exchange.status)
        self.flush()
        self.reset(INTERNAL_ERROR)

    def pause_request(self) -> None:
        self._paused = True

    def resume_request(self) -> None:
        self._paused = False
        unread, self._unread = self._unread, 0
        self.consumed(unread)

    def arm(self, deadline: float) -> None:
        if self._read_by < deadline:
            deadline = self._read_by
        self.deadline = deadline
        if deadline < self._link.deadline:
            self._link.arm(deadline)

    def look(self, now: float) -> None:
        """The stream's time may have come."""
        router = self._router
        if self.deadline > now:
            return
        self.deadline = NEVER
        if router is None:
            self._check_flush()
            return
        late = self._read_by <= now
        if late:
            self._read_by = NEVER  # once an answer has begun it counts no more, as in Envoy
        if late and not router.answering:
            self._link.manager.stats.downstream_rq_timeout += 1
            router.refuse(rescue.reply(Cause.REQUEST_TIMEOUT, body=b"request timeout", details="request_overall_timeout"))
        else:
            router.on_deadline(now)

    def linger(self) -> None:
        """What windows hold back of a complete answer may wait for as long as a stream may be idle."""
        idle = self._link.manager.stream_idle_timeout
        if idle:
            self._unsent = self.unsent
            self.arm(self._link.runtime.loop.time() + idle)

    def _check_flush(self) -> None:
        """A client that takes nothing has no claim on the memory that the rest occupies."""
        if self.unsent < self._unsent:
            self.linger()
        else:
            self.reset(INTERNAL_ERROR)  # Envoy's code for it

    def tunnel(self, connection: UpstreamRequest, early: bytes) -> None:
        """Let a relay join the stream and the upstream; the exchange ends when the relay does."""
        self.flush()
        self._tunnelled = router = self._router
        self._router = None
        self.deadline = self._read_by = NEVER
        assert router is not None
        self._link.manager.stats.downstream_rq_active -= 1
        self._tunnel = StreamTransport(self)
        self._relay = relay = Relay(
            self._link.runtime, idle_timeout=router.idle_timeout(), count=router, on_end=router.on_tunnel_end, ends=router.ends
        )
        held, self._early = b"".join(self._early), []
        self.consumed(len(held))
        relay.join(self._tunnel.as_transport, connection.leave(), to_client=early, to_upstream=held)
        if self.state & REMOTE:
            self._tunnel.received(b"", True)  # the client had ended its side already


def _police(options: HttpOptions, facts: Downstream, head: RequestHead) -> None:
    """What the manager's options ask of a head beyond HTTP/2's own rules; raises TargetRejected."""
    if b"#" in head.path:
        raise TargetRejected(400, "http2.invalid_path", b"a fragment does not belong in a request target")
    if options.underscores is not Underscores.ALLOW:
        head.fields = checked_names(options, head.fields)
        head.index = dict(head.fields)
    if options.rewrites_target:
        rewrite(options, facts, head)
