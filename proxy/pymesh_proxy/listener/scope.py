"""The connections of one filter chain of a listener, whether they are being asked to leave, and what the listener counts."""

from typing import Protocol

from ..tls.counts import Handshakes

BASIC = ("downstream_cx_overflow", "downstream_cx_proxy_proto_error", "downstream_pre_cx_timeout", "no_filter_chain_match")
"""Envoy's names for what may become of a connection before it has a filter chain."""


class Counts:
    """What a listener has counted since it was opened, whatever its configuration became meanwhile."""

    __slots__ = ("_values", "active", "tls", "total")

    def __init__(self) -> None:
        self.total = 0
        """Connections that found a filter chain."""
        self.active = 0
        """Those of them that still stand, under former configurations too."""
        self._values: dict[str, int] = dict.fromkeys(BASIC, 0)
        self.tls = Handshakes()

    def __repr__(self) -> str:
        return f"<Counts {self.total} connections>"

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def add(self, name: str) -> None:
        """One more."""
        self._values[name] += 1

    def reset(self) -> None:
        """Everything is zero again."""
        self.total = 0
        self._values = dict.fromkeys(self._values, 0)
        self.tls.reset()


class Drainable(Protocol):
    """A connection that can be asked to end when it is polite."""

    def drain(self) -> None:
        """Close now if idle; otherwise the end of the exchange will see that the scope is draining."""


class Scope:
    """Connections that one filter chain took, under one configuration of it."""

    __slots__ = ("_connections", "buffer_limit", "counts", "direction", "draining", "name")

    def __init__(self, name: str, direction: str, buffer_limit: int, counts: Counts | None = None) -> None:
        self.name = name
        self.direction = direction
        self.buffer_limit = buffer_limit
        self.draining = False
        self.counts = counts or Counts()
        self._connections: set[Drainable] = set()

    def __repr__(self) -> str:
        return f"<Scope {self.name} {len(self._connections)} connections{' draining' if self.draining else ''}>"

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Drainable) -> None:
        self.counts.total += 1
        self.counts.active += 1
        self._connections.add(connection)

    def discard(self, connection: Drainable) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self.counts.active -= 1

    def drain(self) -> None:
        """Ask every connection to end; those to come are told `Connection: close` with their first answer."""
        self.draining = True
        for connection in list(self._connections):
            connection.drain()
