"""Protocol switches on a client's HTTP/1.1 connection: what comes behind a request for one, and the tunnel behind an agreement."""

from typing import TYPE_CHECKING

import httptools

from ..tcp.relay import Relay
from ..wheel import NEVER
from .exchange import Downstream
from .h1_answers import Reading
from .h1_turns import Turns
from .headers import Fields
from .options import HttpOptions
from .pipeline import Pipelined
from .stream import UpstreamRequest

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime
    from .router import Router


class Switching(Turns):
    """What `ServerConnection` is to an upgrade or a CONNECT."""

    __slots__ = ("_fields", "_held_bytes", "_parser")

    def __init__(self, runtime: "Runtime", options: HttpOptions, scope: "Scope", facts: Downstream) -> None:
        super().__init__(runtime, options, scope, facts)
        self._parser = httptools.HttpRequestParser(self)
        self._fields: Fields = []
        self._held_bytes = b""

    def _leave(self) -> None:
        """This object no longer stands for the connection."""
        raise NotImplementedError

    def _after_upgrade(self, rest: bytes) -> None:
        """The parser stopped behind a head that asks for another protocol."""
        asking = self._queue[-1] if self._queue else self._router
        if self._reading is Reading.LINGER:
            return
        if asking is not None and asking.upgrade:
            self._reading = Reading.UPGRADE
            self._read_by = NEVER
            self._held_bytes = rest
        elif self._close_after:
            self._reading = Reading.STOPPED
        elif asking is not None:
            self._resume_plain(asking, rest)

    def _resume_plain(self, asking: "Router | Pipelined", rest: bytes) -> None:
        """The upgrade is ignored (h2c): parse on as if it had not been asked for, with the body's framing that the head gave."""
        length = asking.head.index.get(b"content-length", b"0")
        framing = b"transfer-encoding: chunked" if asking.chunked else b"content-length: " + length
        self._parser = httptools.HttpRequestParser(self)
        self._reading = Reading.RESUMED
        self._parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n" + framing + b"\r\n\r\n")
        self._fields = []
        if self._reading is Reading.RESUMED:
            self._reading = Reading.BODY
        if rest:
            self.data_received(rest)

    def _hold(self, data: bytes) -> None:
        """Bytes sent before the 101 wait for it (envoy-behaviour 1.11)."""
        self._held_bytes += data
        if len(self._held_bytes) > self.scope.buffer_limit:
            self.pause_request()

    def tunnel(self, connection: UpstreamRequest, early: bytes) -> None:
        """Hand both transports to a relay; the exchange ends when the relay does, and the connection counts until then."""
        self.flush()
        router = self._router
        assert router is not None
        held, self._held_bytes, self._unread = self._held_bytes + self._unread, b"", b""
        self._router = None
        self.options.stats.downstream_rq_active -= 1
        idle = router.idle_timeout()
        self._runtime.wheel.arm(self, NEVER)

        def over(flags: str) -> None:
            self._leave()
            router.on_tunnel_end(flags)

        relay = Relay(self._runtime, idle_timeout=idle, ends=router.ends, count=router, on_end=over)
        ended = self._reading is Reading.STOPPED
        relay.join(self.transport, connection.leave(), to_client=early, to_upstream=held, client_ended=ended)
