"""A TCP connection that goes on through HTTP (`tunneling_config`): a CONNECT to its cluster, and the relay behind a 2xx.

To the exchange that carries the CONNECT this is the client's side; nothing of HTTP is shown to the client itself.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from time import time as wall_clock
from typing import TYPE_CHECKING

from ..http.exchange import Downstream, Exchange
from ..http.headers import Fields, RequestHead, ResponseHead
from ..http.options import HttpOptions
from ..http.router import Router
from ..http.stream import Framing, UpstreamRequest
from ..wheel import NEVER

if TYPE_CHECKING:
    from ..runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelOptions:
    """A TunnelingConfig: whom the request is for, and the manager by whose one route it goes to the clusters."""

    hostname: bytes | Callable[[Exchange], bytes]
    manager: HttpOptions
    post_path: bytes = b""
    """What is posted to, in the place of a CONNECT; empty for a CONNECT."""


class HttpTunnel:
    """The CONNECT of one TCP connection."""

    __slots__ = ("_on_failed", "_on_opened", "_router", "_runtime", "deadline", "wake")

    def __init__(
        self,
        runtime: "Runtime",
        options: TunnelOptions,
        facts: Downstream,
        *,
        opened: Callable[[asyncio.Transport, bytes], None],
        failed: Callable[[], None],
    ) -> None:
        """`opened` gets the upstream's transport and what came behind its answer; or `failed` is called, once."""
        self._runtime = runtime
        self._on_opened = opened
        self._on_failed = failed
        self.deadline = self.wake = NEVER
        head, upgrade = self.begin(options)
        exchange = Exchange(facts, head, monotonic(), wall_clock())
        hostname = options.hostname if isinstance(options.hostname, bytes) else options.hostname(exchange)
        head.authority = hostname
        head.add(b"host", hostname)
        self._router = Router(runtime, options.manager, self, exchange, False, upgrade)

    def begin(self, options: TunnelOptions) -> tuple[RequestHead, bytes]:
        """The request, but for whom it is for, and the protocol switch that it asks for."""
        return RequestHead(b"CONNECT", b"", b"", []), b"CONNECT"

    @property
    def exchange(self) -> Exchange:
        return self._router.exchange

    def open(self) -> None:
        """Send the CONNECT as soon as there is a connection for it."""
        self._router.complete = True
        self._router.choose()
        self._router.proceed()

    def ended(self, flags: str) -> None:
        """The relay has ended."""
        self._router.on_tunnel_end(flags)

    def client_left(self) -> None:
        """Before there was a tunnel."""
        self._runtime.wheel.arm(self, NEVER)
        self._router.client_left()

    # --- DownstreamStream ---------------------------------------------------------------------------------------------

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        """What is no tunnel is a failure, whatever it says."""

    def send_interim(self, response: ResponseHead) -> None:
        """Nobody listens."""

    def send_body(self, data: bytes) -> None:
        """Nobody listens."""

    def send_trailers(self, fields: Fields) -> None:
        """Nobody listens."""

    def flush(self) -> None:
        """Nothing is held back."""

    def finish(self) -> None:
        self._runtime.wheel.arm(self, NEVER)
        self._on_failed()

    def abort(self) -> None:
        self.finish()

    def pause_request(self) -> None:
        """A CONNECT has no body."""

    def resume_request(self) -> None:
        """A CONNECT has no body."""

    def arm(self, deadline: float) -> None:
        self._runtime.wheel.arm(self, deadline)

    def on_deadline(self, now: float) -> None:
        """For the wheel."""
        self._router.on_deadline(now)

    def tunnel(self, connection: UpstreamRequest, early: bytes) -> None:
        self._on_opened(connection.leave(), early)
