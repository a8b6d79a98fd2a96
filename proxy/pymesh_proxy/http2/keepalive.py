"""connection_keepalive: when to send a PING, and when to take silence for the peer's death. Decisions only, no clock of its own."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..wheel import NEVER
from .settings import Keepalive

if TYPE_CHECKING:
    from .connection import H2Connection

_OPAQUE: Final = b"pymesh\x00\x01"


class Heartbeat:
    """The PINGs of one connection, in loop time."""

    __slots__ = ("_clock", "_due", "_expires", "_heard", "_idle", "_options", "_waiting")

    def __init__(self, options: Keepalive | None, clock: Callable[[], float]) -> None:
        """`clock` is the loop's."""
        self._options = options
        self._clock = clock
        self._idle = options.connection_idle_interval if options is not None else 0.0
        self._heard = clock() if self._idle else 0.0
        """Loop time of the last read, where it matters."""
        self._due = NEVER
        self._expires = NEVER
        self._waiting = False
        """A PING has not been answered, and nothing else has come since."""

    def __repr__(self) -> str:
        return f"<Heartbeat due={self._due} waiting={self._waiting}>"

    def heard(self) -> None:
        """The peer has sent something: as good as an answer (Envoy does likewise)."""
        self._waiting = False
        if self._idle:
            self._heard = self._clock()

    def answered(self) -> None:
        """The PING has come back."""
        self._waiting = False

    def lost(self, now: float) -> bool:
        """Whether the peer has been silent for the timeout."""
        return self._waiting and now >= self._expires

    def beat(self, connection: "H2Connection", now: float) -> None:
        """Send a PING if it is time."""
        if self._options is not None and now >= self._due:
            self._ask(connection, self._options, now)
            self._due = NEVER
            connection.flush()

    def wake(self, connection: "H2Connection") -> float:
        """A stream is about to begin. Where nothing was heard for long a PING goes before it; when its answer is due, else NEVER."""
        if not self._idle or self._options is None or self._waiting:
            return NEVER
        now = self._clock()
        if now - self._heard <= self._idle:
            return NEVER
        self._ask(connection, self._options, now)
        return self._expires

    def _ask(self, connection: "H2Connection", options: Keepalive, now: float) -> None:
        self._waiting = True
        self._expires = now + options.timeout
        connection.ping(_OPAQUE)

    def next(self, now: float) -> float:
        """When to ask again."""
        options = self._options
        if self._waiting:
            return self._expires
        if options is None or not options.interval:
            return NEVER
        if self._due == NEVER or self._due <= now:
            self._due = now + options.interval * (1 + random.random() * options.interval_jitter / 100)
        return self._due
