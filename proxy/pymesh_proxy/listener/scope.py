"""The connections of one filter chain of a listener, whether they are being asked to leave, and what the listener counts."""

import re
from typing import Protocol

BASIC = ("downstream_cx_overflow", "downstream_cx_proxy_proto_error", "downstream_pre_cx_timeout", "no_filter_chain_match")
"""Envoy's names for what may become of a connection before it has a filter chain."""

TLS = (
    "ssl.connection_error", "ssl.fail_verify_cert_hash", "ssl.fail_verify_error", "ssl.fail_verify_no_cert", "ssl.fail_verify_san",
    "ssl.handshake", "ssl.session_reused",
)  # fmt: skip
"""Envoy's names for what becomes of handshakes."""

_VERIFICATION = {
    "CERTIFICATE_VERIFY_FAILED": "ssl.fail_verify_error",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "ssl.fail_verify_no_cert",
    "SAN_matcher": "ssl.fail_verify_san",
    "SPIFFE": "ssl.fail_verify_san",
    "certificate_hash": "ssl.fail_verify_cert_hash",
}
"""Reasons to which Envoy gives a counter of their own; all others are connection errors."""

_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


class Counts:
    """What a listener has counted since it was opened, whatever its configuration became meanwhile."""

    __slots__ = ("_values", "failures", "total")

    def __init__(self) -> None:
        self.total = 0
        """Connections that found a filter chain."""
        self._values: dict[str, int] = dict.fromkeys(BASIC + TLS, 0)
        self.failures: dict[str, int] = {}
        """Failed handshakes by reason: OpenSSL's, without the peer's own words."""

    def __repr__(self) -> str:
        return f"<Counts {self.total} connections>"

    def __getitem__(self, name: str) -> int:
        return self._values[name]

    def add(self, name: str) -> None:
        """One more."""
        self._values[name] += 1

    def handshake(self, *, resumed: bool) -> None:
        """A handshake is over and was good."""
        self.add("ssl.handshake")
        if resumed:
            self.add("ssl.session_reused")

    def handshake_failed(self, reason: str) -> None:
        """A handshake has failed; what stands before a colon names why."""
        cause = _NO_NAME.sub("_", reason.partition(":")[0])[:64]
        self.failures[cause] = self.failures.get(cause, 0) + 1
        self.add(_VERIFICATION.get(cause, "ssl.connection_error"))

    def reset(self) -> None:
        """Everything is zero again."""
        self.total = 0
        self._values = dict.fromkeys(self._values, 0)
        self.failures.clear()


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
        self._connections.add(connection)

    def discard(self, connection: Drainable) -> None:
        self._connections.discard(connection)

    def drain(self) -> None:
        """Ask every connection to end; those to come are told `Connection: close` with their first answer."""
        self.draining = True
        for connection in list(self._connections):
            connection.drain()
