"""Requests that name their upstream themselves: its host is looked up before the router wants it.

Envoy's `envoy.filters.http.dynamic_forward_proxy`.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymesh.address import of_authority

from ..route.rewrite import set_host
from ..upstream.dns_cache import DnsCache, Host, Refused
from . import LocalReply

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from ..http.exchange import Exchange
    from ..http.headers import RequestHead

_REFUSALS = {
    Refused.FULL: LocalReply(status=503, body=b"DNS cache overflow", details="dns_cache_overflow"),
    Refused.PENDING: LocalReply(
        status=503, body=b"Dynamic forward proxy pending request overflow", details="dynamic_forward_proxy_pending_request_overflow"
    ),
}
_NAMELESS = LocalReply(status=400, body=b"Empty host header", details="empty_host_header")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOverride:
    """A PerRouteConfig: the host in the place of the request's; a header that is there says it in the place of `literal`."""

    literal: bytes = b""
    header: bytes = b""

    def apply(self, head: "RequestHead") -> None:
        """Change the host of a request."""
        named = head.get_all(self.header) if self.header else ()
        host = named[0] if named else self.literal  # the header is a client's, of which Envoy takes the first, too
        if host or named:
            set_host(head, host)


class DynamicForwardProxy:
    """One cache in front of the clusters that use it."""

    __slots__ = ("_cache", "_override")

    def __init__(self, cache: DnsCache, override: HostOverride | None = None) -> None:
        self._cache = cache
        self._override = override

    def for_route(self, config: object) -> "DynamicForwardProxy":
        return DynamicForwardProxy(self._cache, config) if isinstance(config, HostOverride) else self

    def on_request(self, exchange: "Exchange") -> "LocalReply | Awaitable[LocalReply | None] | None":
        hosts = exchange.cluster.hosts if exchange.cluster is not None else None
        if hosts is None:
            return None
        if self._override is not None:
            self._override.apply(exchange.head)
        where = of_authority(exchange.head.authority.decode("latin-1"), hosts.port)
        if not where.host:
            return _NAMELESS
        verdict = self._cache.ask(where)
        if isinstance(verdict, Refused):
            return _REFUSALS[verdict]
        return _judged(verdict) if isinstance(verdict, Host) else _waited(verdict)

    def on_route(self, exchange: "Exchange") -> None:
        """What it does is done."""

    def on_response(self, exchange: "Exchange") -> None:
        """Answers are none of its business."""

    def on_end(self, exchange: "Exchange") -> None:
        """It remembers nothing."""


async def _waited(known: "asyncio.Future[Host]") -> LocalReply | None:
    return _judged(await known)


def _judged(host: Host) -> LocalReply | None:
    if host.addresses:
        return None
    return LocalReply(status=503, body=b"DNS resolution failure", flags="DF", details=host.details)
