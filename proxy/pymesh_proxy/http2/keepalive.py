"""connection_keepalive: when to send a PING, and when to take silence for the peer's death. Decisions only, no clock of its own."""

import random
from typing import TYPE_CHECKING, Final

from ..wheel import NEVER
from .settings import Keepalive

if TYPE_CHECKING:
    from .connection import H2Connection

_OPAQUE: Final = b"pymesh\x00\x01"


class Heartbeat:
    """The PINGs of one connection, in loop time."""

    __slots__ = ("_due", "_expires", "_options", "_waiting")

    def __init__(self, options: Keepalive | None) -> None:
        self._options = options
        self._due = NEVER
        self._expires = NEVER
        self._waiting = False
        """A PING has not been answered, and nothing else has come since."""

    def __repr__(self) -> str:
        return f"<Heartbeat due={self._due} waiting={self._waiting}>"

    def heard(self) -> None:
        """The peer has sent something: as good as an answer (Envoy does likewise)."""
        self._waiting = False

    def answered(self) -> None:
        """The PING has come back."""
        self._waiting = False

    def lost(self, now: float) -> bool:
        """Whether the peer has been silent for the timeout."""
        return self._waiting and now >= self._expires

    def beat(self, connection: "H2Connection", now: float) -> None:
        """Send a PING if it is time."""
        options = self._options
        if options is not None and now >= self._due:
            self._waiting = True
            self._expires = now + options.timeout
            self._due = NEVER
            connection.ping(_OPAQUE)
            connection.flush()

    def next(self, now: float) -> float:
        """When to ask again."""
        options = self._options
        if options is None or not options.interval:
            return NEVER
        if self._waiting:
            return self._expires
        if self._due == NEVER or self._due <= now:
            self._due = now + options.interval * (1 + random.random() * options.interval_jitter / 100)
        return self._due
