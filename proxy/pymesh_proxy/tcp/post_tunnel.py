"""A TCP connection that goes on as the body of a POST, and whose other direction is the body of the answer (`use_post`)."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..http.exchange import Downstream
from ..http.headers import RequestHead, ResponseHead
from ..http.stream import Framing
from .post_transport import PostTransport
from .tunnel import HttpTunnel, TunnelOptions

if TYPE_CHECKING:
    from ..runtime import Runtime


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
            self._on_opened(bodies.as_transport, b"")

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
