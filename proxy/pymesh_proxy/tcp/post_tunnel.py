"""A TCP connection that goes on as the body of a POST, and whose other direction is the body of the answer (`use_post`)."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..http.body_transport import BodyTransport
from ..http.exchange import Downstream
from ..http.headers import RequestHead, ResponseHead
from ..http.router import Router
from ..http.stream import Framing, Phase
from .tunnel import HttpTunnel, TunnelOptions

if TYPE_CHECKING:
    from ..runtime import Runtime


class PostTransport(BodyTransport):
    """The bodies of one exchange in the shape of a transport, so that the relay that joins connections joins these."""

    __slots__ = ("_router", "_runtime")

    def __init__(self, runtime: "Runtime", router: Router) -> None:
        super().__init__()
        self._runtime = runtime
        self._router = router

    def write(self, data: Any) -> None:
        if data:  # an empty chunk would be the last one
            self._router.body(bytes(data))

    def write_eof(self) -> None:
        if not self._router.complete:
            self._router.end()

    def close(self) -> None:
        """The request ends behind what was written, and nothing of the answer is wanted any more."""
        self.write_eof()
        self.abort()

    def abort(self) -> None:
        self._router.client_left()
        self._gone(None)

    def is_closing(self) -> bool:
        return self._router.phase is Phase.DONE

    def pause_reading(self) -> None:
        super().pause_reading()
        self._router.pause_answer()

    def resume_reading(self) -> None:
        super().resume_reading()
        if not self._paused:
            self._router.resume_answer()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def ended(self) -> None:
        """The answer is complete; with it the request is over, whatever the client still has to say, and however slowly it reads."""
        while self._held:
            self._deliver(self._held.pop(0))
        if self._protocol is not None:
            self._protocol.eof_received()
        self._gone(None)

    def lost(self) -> None:
        """The answer was cut."""
        self._gone(ConnectionResetError("the answer was cut"))

    def hold(self, *, paused: bool) -> None:
        """Whether the upstream is too slow for what is written."""
        if self._protocol is None:
            return
        if paused:
            self._protocol.pause_writing()
        else:
            self._protocol.resume_writing()

    def _gone(self, exc: Exception | None) -> None:
        protocol = self._part()
        if protocol is not None:
            self._runtime.loop.call_soon(protocol.connection_lost, exc)


class PostTunnel(HttpTunnel):
    """The POST of one TCP connection. Nothing of the client's goes up before a 2xx has come."""

    __slots__ = ("_bodies",)

    def __init__(
        self,
        runtime: "Runtime",
        options: TunnelOptions,
        facts: Downstream,
        *,
        opened: Callable[[asyncio.Transport, bytes], None],
        failed: Callable[[], None],
    ) -> None:
        super().__init__(runtime, options, facts, opened=opened, failed=failed)
        self._bodies: PostTransport | None = None

    def begin(self, options: TunnelOptions) -> tuple[RequestHead, bytes]:
        return RequestHead(b"POST", options.post_path, b"", []), b""

    def open(self) -> None:
        router = self._router
        router.chunked = True
        router.choose()
        cluster = router.exchange.cluster
        if cluster is not None and cluster.tls_default is not None:
            router.exchange.head.scheme = b"https"
        router.proceed()

    def ended(self, flags: str) -> None:
        if flags:
            self.exchange.flag(flags)
        self._router.client_left()

    def send_head(self, response: ResponseHead, framing: Framing) -> None:
        if 200 <= response.status < 300 and self.exchange.details == "via_upstream":
            self._bodies = bodies = PostTransport(self._runtime, self._router)
            self._on_opened(bodies, b"")

    def send_body(self, data: bytes) -> None:
        if self._bodies is not None:
            self._bodies.received(data)

    def finish(self) -> None:
        if self._bodies is None:
            super().finish()
        else:
            self._bodies.ended()

    def abort(self) -> None:
        if self._bodies is None:
            super().finish()
        else:
            self._bodies.lost()

    def pause_request(self) -> None:
        if self._bodies is not None:
            self._bodies.hold(paused=True)

    def resume_request(self) -> None:
        if self._bodies is not None:
            self._bodies.hold(paused=False)
