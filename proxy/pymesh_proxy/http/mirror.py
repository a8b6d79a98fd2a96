"""Requests that are sent a second time, to a cluster whose answers nobody waits for (request_mirror_policies).

A copy is an exchange of its own. Its client is a `Mirror`, which takes any answer and drops it, so that timeouts, pools, circuit
breakers and counters of the copy's cluster are those of every request.
"""

import random
from dataclasses import dataclass
from time import monotonic, time
from typing import TYPE_CHECKING

from ..route.table import Forward, Route
from ..wheel import NEVER
from .exchange import Exchange
from .headers import Fields, RequestHead, ResponseHead
from .options import HttpOptions, HttpStats
from .route_slot import RouteSlot
from .router import Router
from .stream import Framing, Phase, UpstreamRequest

if TYPE_CHECKING:
    from ..runtime import Runtime

_CONNECTING = Phase.CONNECTING

_OPTIONS = HttpOptions(route=RouteSlot("mirror"), stats=HttpStats(prefix="mirror"), suppress_envoy_headers=True)
"""Copies pass no filters and no access log; our own headers are in their heads already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirroring:
    """One place to which a share of a route's requests is copied."""

    route: Route
    """Forwards to the copies' cluster; its rewrite makes a copy's head of the request's."""
    numerator: int = 100
    denominator: int = 100

    def start(self, runtime: "Runtime", live: Router, head: RequestHead, body: list[bytes]) -> "Mirror | None":
        """Send a copy of a request whose head, and body so far, these are; None where it falls to the share that is not copied."""
        if random.getrandbits(32) % self.denominator >= self.numerator:
            return None
        mirror = Mirror(runtime)
        mirror.begin(self.route, live, head, body)
        return mirror


class Shadow(Router):
    """Drives a copy."""

    __slots__ = ()

    def on_connection(self, connection: UpstreamRequest) -> None:
        """As Envoy does, the head names who sends the copy, behind those who sent the request."""
        if not self._retries:
            own = connection.local_address.rpartition(":")[0].strip("[]").encode()
            head = self.exchange.head
            head.set(b"x-forwarded-for", b",".join([*head.get_all(b"x-forwarded-for"), own]))
        super().on_connection(connection)

    def copy(self, route: Route, body: list[bytes], complete: bool) -> None:
        """Begin with what there is of the request."""
        assert isinstance(route.action, Forward)
        for data in body:
            self.body(data)
        self.complete = complete
        self.aim(route.action, 0)
        self._proxy(route, route.action)


class Mirror:
    """The client of one copy. It never holds the request up: a copy whose server is too slow for the buffer limit is given up."""

    __slots__ = ("_behind", "_limit", "_router", "_runtime", "_slow", "deadline", "wake")

    def __init__(self, runtime: "Runtime") -> None:
        self.deadline = NEVER
        self.wake = NEVER
        self._runtime = runtime
        self._router: Shadow | None = None
        """None when the copy is over."""
        self._slow = False
        """The copy's server does not take more at the moment."""
        self._behind = 0
        """Bytes of the body that it has been sent since."""
        self._limit = 0

    def __repr__(self) -> str:
        return f"<Mirror {self._router or 'over'!r}>"

    def begin(self, route: Route, live: Router, head: RequestHead, body: list[bytes]) -> None:
        """Send the copy."""
        exchange = Exchange(live.exchange.downstream, head, monotonic(), time())
        exchange.protocol = live.exchange.protocol
        exchange.remote_address = live.exchange.remote_address
        self._router = router = Shadow(self._runtime, _OPTIONS, self, exchange, live.chunked, b"")
        router.copy(route, body, live.complete)
        if exchange.cluster is not None:
            self._limit = exchange.cluster.config.buffer_limit

    # --- from the request ---------------------------------------------------------------------------------------------

    def body(self, data: bytes, end: bool) -> None:
        """A piece of the request's body."""
        router = self._router
        if router is None:
            return
        if self._slow:
            self._behind += len(data)
            if self._behind > self._limit:
                self._give_up(router)
                return
        router.body(data, end)

    def end(self, trailers: Fields | None) -> None:
        """The request is complete."""
        if self._router is not None:
            self._router.end(trailers)

    def leave(self) -> None:
        """The request is over before it was complete."""
        router = self._router
        if router is not None:
            self._over()
            router.client_left()

    def _give_up(self, router: Shadow) -> None:
        """The copy has fallen too far behind its request."""
        if router.exchange.cluster is not None:
            router.exchange.cluster.retry_or_shadow_abandoned += 1
        self.leave()

    # --- what the copy's exchange asks of its client ------------------------------------------------------------------

    def arm(self, deadline: float) -> None:
        if self._router is not None:
            self._runtime.wheel.arm(self, deadline)

    def on_deadline(self, now: float) -> None:
        """One of the copy's timeouts may be over."""
        if self._router is not None:
            self._router.on_deadline(now)

    def pause_request(self) -> None:
        self._slow = True
        if self._router is not None and self._router.phase is _CONNECTING:
            self._give_up(self._router)  # what is held for a connection is at its limit

    def resume_request(self) -> None:
        self._slow = False
        self._behind = 0

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        pass

    def send_interim(self, response: ResponseHead) -> None:
        pass

    def send_body(self, data: bytes) -> None:
        pass

    def flush(self) -> None:
        pass

    def send_trailers(self, fields: Fields) -> None:
        pass

    def finish(self) -> None:
        self._over()

    def abort(self) -> None:
        self._over()

    def tunnel(self, connection: UpstreamRequest, early: bytes) -> None:
        """Requests for tunnels are not copied."""
        raise AssertionError("a copy asks for no tunnel")

    def _over(self) -> None:
        self._router = None  # the two know each other, and a cycle would wait for the collector
        self._runtime.wheel.arm(self, NEVER)
