"""What a request asks of the TLS of its upstream connection, in the place of what the cluster says."""

import dataclasses
import weakref
from dataclasses import dataclass

from .config import UpstreamTls


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True, eq=False)
class TlsOverride:
    """Made by `overriding`, which gives the same object for the same content: connections and contexts are kept by it."""

    alpn: tuple[str, ...]
    """The protocols that are offered; none leaves the cluster's."""
    sni: str
    """The server name; an empty one leaves the cluster's."""

    def over(self, config: UpstreamTls) -> UpstreamTls:
        """The settings with what is asked for."""
        if self.alpn:
            config = dataclasses.replace(config, alpn=self.alpn)
        if self.sni:
            config = dataclasses.replace(config, sni=self.sni, auto_sni=False, auto_host_sni=False)
        return config


_KNOWN: "weakref.WeakValueDictionary[tuple[tuple[str, ...], str], TlsOverride]" = weakref.WeakValueDictionary()
"""Those that anybody holds."""


def overriding(*, alpn: tuple[str, ...] = (), sni: str = "") -> TlsOverride:
    """What is asked for."""
    known = _KNOWN.get((alpn, sni))
    if known is None:
        known = _KNOWN[alpn, sni] = TlsOverride(alpn=alpn, sni=sni)
    return known
