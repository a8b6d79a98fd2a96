"""One generation of a listener: the connections it accepted, and whether they are being asked to leave."""

from typing import Protocol


class Drainable(Protocol):
    """A connection that can be asked to end when it is polite."""

    def drain(self) -> None:
        """Close now if idle; otherwise the end of the exchange will see that the scope is draining."""


class Scope:
    """Connections of one listener configuration."""

    __slots__ = ("_connections", "buffer_limit", "direction", "draining", "name", "no_filter_chain_match", "ssl_errors", "total")

    def __init__(self, name: str, direction: str, buffer_limit: int) -> None:
        self.name = name
        self.direction = direction
        self.buffer_limit = buffer_limit
        self.draining = False
        self.total = 0
        self.no_filter_chain_match = 0
        self.ssl_errors: dict[str, int] = {}
        """Failed handshakes by reason."""
        self._connections: set[Drainable] = set()

    def __repr__(self) -> str:
        return f"<Scope {self.name} {len(self._connections)} connections{' draining' if self.draining else ''}>"

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: Drainable) -> None:
        self.total += 1
        self._connections.add(connection)

    def discard(self, connection: Drainable) -> None:
        self._connections.discard(connection)

    def ssl_failed(self, reason: str) -> None:
        """Count a failed handshake under OpenSSL's reason, without the peer's own words."""
        key = reason.partition(":")[0][:64]
        self.ssl_errors[key] = self.ssl_errors.get(key, 0) + 1

    def drain(self) -> None:
        """Ask every connection to end; those to come are told `Connection: close` with their first answer."""
        self.draining = True
        for connection in list(self._connections):
            connection.drain()
