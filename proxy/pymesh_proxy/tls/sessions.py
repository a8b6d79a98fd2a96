"""Sessions of a client, kept to shorten later handshakes with the same server (RFC 8446 2.2, RFC 5077)."""

import ssl
from collections import OrderedDict


class Sessions:
    """The latest session of each server name, so many of them at most. A ticket of TLS 1.3 serves once (RFC 8446 C.4)."""

    __slots__ = ("_kept", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[ssl.SSLSession, bool]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Sessions {len(self._kept)} of {self._limit}>"

    def take(self, server_name: str) -> ssl.SSLSession | None:
        """The session to begin a handshake with."""
        session, once = self._kept.get(server_name, (None, False))
        if once:
            del self._kept[server_name]
        return session

    def keep(self, server_name: str, session: ssl.SSLSession, *, once: bool) -> None:
        """A server gave a session."""
        if self._limit:
            self._kept[server_name] = session, once
            self._kept.move_to_end(server_name)
            if len(self._kept) > self._limit:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """The context that they belong to is gone."""
        self._kept.clear()
