"""An HTTP/2 connection from a client: its times, its limits, and how it is left."""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from ..http.exchange import Downstream
from ..http.headers import RequestHead
from ..http.options import HttpOptions
from ..wheel import NEVER
from .connection import H2Connection
from .hpack import Fields
from .keepalive import Heartbeat
from .phase import CLOSED, DRAINING
from .server_stream import ServerStream
from .stream import H2Stream

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime

_log = logging.getLogger("pymesh.proxy.http2")


_SOUNDING: Final = b"draining"
"""The PING behind a first GOAWAY: when it is answered, the client has read that too."""


class ServerConnection(H2Connection):
    """One client's connection."""

    __slots__ = (
        "_abort_at", "_heartbeat", "_leave_at", "_served", "_started", "_unsent", "deadline", "facts", "failed", "idle_since", "known",
        "known_as", "manager", "runtime", "scope", "wake",
    )  # fmt: skip

    def __init__(self, runtime: "Runtime", manager: HttpOptions, scope: "Scope", facts: Downstream) -> None:
        super().__init__(
            runtime.loop, manager.http2, client=False, buffer_limit=scope.buffer_limit, max_header_bytes=manager.max_request_headers,
            max_header_count=manager.max_headers_count,
        )  # fmt: skip
        self.runtime = runtime
        self.manager = manager
        self.scope = scope
        self.facts = facts
        self.deadline = self.wake = NEVER
        self.idle_since = 0.0
        self.known: Fields = []
        """The list that the last request was made of. Lists are shared between equal sections, so identity tells a repetition."""
        self.known_as: RequestHead | None = None
        """What it was read as, untouched."""
        self.failed = False
        """The client has broken a rule."""
        self._served = 0
        self._started = 0.0
        self._leave_at = NEVER
        """When to send the final GOAWAY even if nobody has answered the first."""
        self._abort_at = NEVER
        """When a client whose connection is over loses it, whether or not it has taken all."""
        self._unsent = 0
        """What it had not taken when there was last a look at it."""
        self._heartbeat = Heartbeat(manager.http2.connection_keepalive, runtime.loop.time)

    # --- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stats = self.manager.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        self.scope.add(self)
        self._started = self.idle_since = self._loop.time()
        super().connection_made(transport)
        if self.scope.draining:
            self.drain()
        self._rearm(self._started)

    def data_received(self, data: bytes) -> None:
        self.manager.stats.downstream_cx_rx_bytes_total += len(data)
        self._heartbeat.heard()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.runtime.wheel.arm(self, NEVER)
        self.manager.stats.downstream_cx_active -= 1
        self.scope.discard(self)
        super().connection_lost(exc)

    # --- the connection's hooks ---------------------------------------------------------------------------------------

    def open_stream(self, stream_id: int) -> H2Stream:
        self._served += 1
        maximum = self.manager.max_requests_per_connection
        if maximum and self._served >= maximum:
            self.drain()
        return ServerStream(self, stream_id)

    def on_written(self, size: int) -> None:
        self.manager.stats.downstream_cx_tx_bytes_total += size

    def on_pong(self, opaque: bytes) -> None:
        if opaque == _SOUNDING:
            self.leave()
        else:
            self._heartbeat.answered()

    def on_failed(self, code: int, reason: str) -> None:
        self.failed = True
        self.manager.stats.downstream_cx_protocol_error += 1
        _log.info("%s: HTTP/2 connection of %s ended: %s", self.scope.name, self.facts.remote_address, reason)

    def forget(self, stream: H2Stream) -> None:
        super().forget(stream)
        if not self.streams:
            self.idle_since = self._loop.time()

    def drain(self) -> None:
        """Ask the client to leave: no stream is refused that it opened before it could know (RFC 9113 6.8)."""
        if self.phase >= DRAINING:
            return
        super().drain()
        self.ping(_SOUNDING)
        self.manager.stats.downstream_cx_drain_close += 1
        self._leave_at = self._loop.time() + self.manager.drain_timeout
        self.arm(self._leave_at)

    def hang_up(self) -> None:
        """Our FIN first, and a while for the client to read the GOAWAY before it finds the connection gone."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._wait_for_client()

    def part(self) -> None:
        super().part()
        if self.manager.delayed_close_timeout and self.transport.get_write_buffer_size():
            self._wait_for_client()

    def _wait_for_client(self) -> None:
        """Give it a while, and another as long as it takes something (delayed_close_timeout, as in Envoy)."""
        self._unsent = self.transport.get_write_buffer_size()
        self._abort_at = self._loop.time() + self.manager.delayed_close_timeout
        self.deadline = NEVER
        self.arm(self._abort_at)

    def _check_client(self) -> None:
        """One that takes nothing has no claim on the connection, nor on the memory that the rest occupies."""
        if 0 < self.transport.get_write_buffer_size() < self._unsent:
            self._wait_for_client()
        else:
            self.transport.abort()

    # --- time ---------------------------------------------------------------------------------------------------------

    def arm(self, deadline: float) -> None:
        """Look at everything that has a time at this one, if not before."""
        if deadline < self.deadline:
            self.deadline = deadline
            if deadline < self.wake:  # else the wheel looks in time by itself (see Wheel.arm)
                self.runtime.wheel.arm(self, deadline)

    def on_deadline(self, now: float) -> None:
        """A stream's time, or the connection's own: idle, old enough, not heard of since a PING, not left since it was asked to."""
        if self._abort_at <= now:
            self._check_client()
        for stream in list(self.streams.values()):
            if isinstance(stream, ServerStream):
                stream.look(now)
        if self.phase == CLOSED:
            return
        if self._heartbeat.lost(now):
            self.transport.abort()
            return
        if self._expires() <= now or self._idle_until() <= now:
            self.drain()
        if self._leave_at <= now:
            self.leave()
        if self.phase != CLOSED:
            self._heartbeat.beat(self, now)
            self._rearm(now)

    def _expires(self) -> float:
        lifetime = self.manager.max_connection_duration
        return self._started + lifetime if lifetime and self.phase < DRAINING else NEVER

    def _idle_until(self) -> float:
        idle = self.manager.idle_timeout
        return self.idle_since + idle if idle and not self.streams and self.phase < DRAINING else NEVER

    def _rearm(self, now: float) -> None:
        idle = self.manager.idle_timeout
        self.deadline = NEVER
        self.arm(min(self._expires(), self._idle_until(), self._heartbeat.next(now), now + idle if idle else NEVER))
        if self._leave_at > now:
            self.arm(self._leave_at)
        for stream in self.streams.values():
            if isinstance(stream, ServerStream):
                self.arm(stream.deadline)
