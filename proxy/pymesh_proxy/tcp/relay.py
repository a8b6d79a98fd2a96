"""Two transports joined: bytes both ways with backpressure and half-close, nothing looked at.

Each side is a protocol whose only knowledge is the other side. A FIN is passed on and the other direction stays open; the
relay ends when both connections are gone.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from ..wheel import NEVER
from .reset import reset

if TYPE_CHECKING:
    from ..runtime import Runtime


class Counter(Protocol):
    """Keeps the bytes that went through."""

    def on_relayed(self, *, received: int = 0, sent: int = 0) -> None:
        """`received` from the client, or `sent` to it."""


class _Side(asyncio.Protocol):
    """One of the two connections."""

    __slots__ = ("closed", "ended", "is_client", "other", "relay", "transport")

    def __init__(self, relay: "Relay", transport: asyncio.Transport, is_client: bool) -> None:
        self.relay = relay
        self.transport = transport
        self.is_client = is_client
        self.other: _Side
        self.ended = False
        """This peer has sent its FIN."""
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        relay = self.relay
        relay.active = relay.loop.time()
        if self.is_client:
            relay.counter.on_relayed(received=len(data))
        else:
            relay.counter.on_relayed(sent=len(data))
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        other = self.other
        if other.ended:
            return False
        if other.transport.can_write_eof():
            other.transport.write_eof()
            return True
        return False

    def pause_writing(self) -> None:
        self.relay.look(self.relay.active)
        if not self.other.closed:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.other.closed:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.relay.on_lost(self, exc)


class Relay:
    """A pair of joined connections."""

    __slots__ = (
        "_ends", "_idle_timeout", "_on_end", "_seen", "_sides", "_unsent", "active", "counter", "deadline", "flags", "loop", "wake",
        "wheel",
    )  # fmt: skip

    def __init__(
        self, runtime: "Runtime", *, idle_timeout: float, count: Counter, on_end: Callable[[str], None], ends: float = NEVER
    ) -> None:
        """`ends` is the loop time at which the relay closes whatever it is doing."""
        self.loop = runtime.loop
        self.wheel = runtime.wheel
        self.counter = count
        self.active = 0.0
        self.flags: str | None = None
        """Why it ended, by the first that knew: response flags, empty for an end in order."""
        self.deadline = self.wake = NEVER
        self._idle_timeout = idle_timeout
        self._ends = ends
        self._on_end = on_end
        self._sides: tuple[_Side, _Side] | None = None
        self._seen = 0.0
        self._unsent = 0
        """`active`, and the bytes that waited to go out, when there was last a look at them."""

    def __repr__(self) -> str:
        return f"<Relay {'unjoined' if self._sides is None else [side.closed for side in self._sides]}>"

    def join(
        self,
        client: asyncio.Transport,
        upstream: asyncio.Transport,
        *,
        to_client: bytes = b"",
        to_upstream: bytes = b"",
        client_ended: bool = False,
        upstream_ended: bool = False,
    ) -> None:
        """Take over both transports and begin; the bytes and the ends given were read before the relay existed."""
        down, up = _Side(self, client, True), _Side(self, upstream, False)
        down.other, up.other = up, down
        self._sides = (down, up)
        client.set_protocol(down)
        upstream.set_protocol(up)
        for side, early, ended in ((down, to_upstream, client_ended), (up, to_client, upstream_ended)):
            if not ended:
                side.transport.resume_reading()  # first: what came early may fill the other side, which stops it again
            if early:
                side.data_received(early)
            if ended and not side.eof_received():
                side.transport.close()
        self.active = self.loop.time()
        self._rearm(self.active, self._due())

    def _due(self) -> float:
        idle = self.active + self._idle_timeout if self._idle_timeout else NEVER
        return min(idle, self._ends)

    def on_deadline(self, now: float) -> None:
        """Idle for too long, unless bytes have moved meanwhile; or at its end."""
        self.look(now)
        due = self._due()
        if due > now:
            self._rearm(now, due)
        else:
            self.close()

    def _rearm(self, now: float, due: float) -> None:
        """There is a look in between, for what goes out of a full buffer tells nobody."""
        self.wheel.arm(self, min(due, now + self._idle_timeout / 2) if self._idle_timeout else due)

    def look(self, now: float) -> None:
        """Bytes that a slow peer has taken are signs of life, too, as in Envoy, although none were read since."""
        unsent = sum(side.transport.get_write_buffer_size() for side in self._sides or () if not side.closed)
        if self.active == self._seen and unsent < self._unsent:
            self.active = now
        self._seen, self._unsent = self.active, unsent

    def close(self, flags: str = "") -> None:
        """End both connections; the response flags say why."""
        if self.flags is None:
            self.flags = flags
        for side in self._sides or ():
            if side.closed:
                continue
            if side.transport.get_write_buffer_size():
                side.transport.abort()  # a peer that takes nothing would keep the connection (Envoy's NoFlush)
            else:
                side.transport.close()

    def on_lost(self, side: _Side, exc: Exception | None) -> None:
        """One connection is gone: the other may finish writing, then it goes too. A reset is passed on as one."""
        other = side.other
        if other.closed:
            self.wheel.arm(self, NEVER)
            self._on_end(self.flags or "")
            return
        if self.flags is None and (exc is not None or not side.ended):
            self.flags = "DC" if side.is_client else "UC"
        if exc is not None:
            reset(other.transport)
        else:
            other.transport.close()
