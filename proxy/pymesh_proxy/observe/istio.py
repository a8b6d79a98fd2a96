"""Istio's standard metrics: what happens per request is one dict lookup on objects that exist already, and a few additions.

The lookup's key (cluster name, endpoint or peer, status, flags, ...) is a shortcut only: the numbers live in tables by label
values, and the shortcuts are forgotten at every scrape, so that nothing that was removed is kept alive.
"""

import time
from collections.abc import Hashable, Iterator

from ..http.exchange import Exchange
from ..tcp.session import Phase, Session
from . import labels
from .peers import Peer
from .series import SERIES_LIMIT, HttpSeries, Labels, LiveSession, Table, TcpSeries

CACHE_LIMIT = 20_000

INBOUND = "INBOUND"


class Source:
    """The client's view: outbound listeners and gateways."""

    name = "source"

    def __init__(self, own: Peer, *, principal: str, host_fallback: bool) -> None:
        self._own = own
        self._principal = principal
        self._host_fallback = host_fallback
        self._hostless: set[Hashable] = set()
        """Targets whose cluster names no service, so that the Host header becomes a label."""

    def key(self, exchange: Exchange) -> Hashable:
        target = exchange.cluster_name or ("route", labels.route_name(exchange))
        certificate = exchange.upstream_peer
        return (
            target, exchange.endpoint, exchange.destination_peer, None if certificate is None else certificate.uri_sans,
            exchange.status, exchange.flags, labels.grpc_code(exchange), exchange.head.authority if target in self._hostless else None,
        )  # fmt: skip

    def http(self, exchange: Exchange) -> Labels:
        if self._host_fallback and labels.declared_service(exchange) is None:
            self._hostless.add(exchange.cluster_name or ("route", labels.route_name(exchange)))
        service = labels.service_of(exchange, exchange.head.authority if self._host_fallback else None)
        return labels.http_labels(self.name, self._party(exchange), labels.destination_of(exchange), service, exchange, "unknown")

    def tcp(self, session: Session) -> Labels:
        service = labels.service_of(session, None)
        return labels.tcp_labels(self.name, self._party(session), labels.destination_of(session), service, session, "unknown")

    def forget(self) -> None:
        self._hostless.clear()

    def _party(self, subject: Exchange | Session) -> labels.Party:
        """Ourselves; our principal counts only where our certificate is shown."""
        return labels.party(self._own, self._principal if labels.shows_certificate(subject) else "")


class Destination:
    """The server's view: inbound listeners."""

    name = "destination"

    def __init__(self, own: Peer) -> None:
        self._own = own

    def key(self, exchange: Exchange) -> Hashable:
        certificate = exchange.downstream.peer
        return (
            exchange.cluster_name or ("route", labels.route_name(exchange)), exchange.source_peer, exchange.status, exchange.flags,
            labels.grpc_code(exchange), None if certificate is None else certificate.uri_sans,
        )  # fmt: skip

    def http(self, exchange: Exchange) -> Labels:
        policy, own = self._connection(exchange)
        return labels.http_labels(self.name, labels.source_of(exchange), own, labels.service_of(exchange, None), exchange, policy)

    def tcp(self, session: Session) -> Labels:
        policy, own = self._connection(session)
        return labels.tcp_labels(self.name, labels.source_of(session), own, labels.service_of(session, None), session, policy)

    def forget(self) -> None:
        """Nothing is remembered here."""

    def _connection(self, subject: Exchange | Session) -> tuple[str, labels.Party]:
        """A verified client certificate means mutual TLS; only then do we have a principal, too."""
        downstream = subject.downstream
        if downstream.peer is None:
            return "none", labels.party(self._own)
        return "mutual_tls", labels.party(self._own, downstream.local_uri_san)


class IstioStats:
    """The metrics that one reporter keeps; `http` and `tcp` are observers."""

    def __init__(
        self, own: Peer, direction: str, *, principal: str = "", host_fallback: bool = True, series_limit: int = SERIES_LIMIT
    ) -> None:
        """`principal` is our SPIFFE id as a client; `host_fallback` (sidecars, not gateways) lets the Host header name a service."""
        source = direction != INBOUND
        self._reporter = Source(own, principal=principal, host_fallback=host_fallback) if source else Destination(own)
        self._shortcuts: dict[Hashable, HttpSeries] = {}
        self._live: dict[int, LiveSession] = {}
        self.requests: Table[HttpSeries] = Table(HttpSeries, series_limit)
        self.connections: Table[TcpSeries] = Table(TcpSeries, series_limit)

    def __repr__(self) -> str:
        return f"<IstioStats {self._reporter.name} live={len(self._live)}>"

    @property
    def reporter(self) -> str:
        """`source` or `destination`."""
        return self._reporter.name

    def http(self, exchange: Exchange) -> None:
        """Count a request that has ended."""
        series = self._shortcuts.get(self._reporter.key(exchange)) or self._find(exchange)
        series.requests += 1
        series.duration.observe(int((time.monotonic() - exchange.started) * 1000))
        series.request_bytes.observe(exchange.request_wire_bytes)
        series.response_bytes.observe(exchange.response_wire_bytes)

    def tcp(self, session: Session) -> None:
        """Count a TCP connection: called when it opens, and when it has ended."""
        live = self._live.setdefault(id(session), LiveSession(session))
        if session.phase is Phase.CLOSED:
            self._settle(live)
            self.connections.of(self._reporter.tcp(session)).closed += 1
            del self._live[id(session)]

    def settle(self) -> None:
        """Before a scrape: count what open connections have moved, and forget the shortcuts."""
        for live in self._live.values():
            self._settle(live)
        self._shortcuts.clear()
        self._reporter.forget()

    def _settle(self, live: LiveSession) -> None:
        """Count what has moved. Like Istio, a connection counts as opened when its server is known, or when it ends without one."""
        session = live.session
        if session.phase is Phase.CLOSED:
            series = self.connections.of(self._reporter.tcp(session))
        elif session.endpoint is not None:
            series = live.series or self.connections.of(self._reporter.tcp(session))
        else:
            return
        series.opened += live.series is None
        live.series = series
        series.sent += session.bytes_sent - live.sent
        series.received += session.bytes_received - live.received
        live.sent, live.received = session.bytes_sent, session.bytes_received

    def _find(self, exchange: Exchange) -> HttpSeries:
        series = self.requests.of(self._reporter.http(exchange))
        if len(self._shortcuts) >= CACHE_LIMIT:
            self._shortcuts.clear()
        self._shortcuts[self._reporter.key(exchange)] = series
        return series


class IstioRegistry:
    """The reporters of a process, one per traffic direction, however many listeners ask."""

    def __init__(self, own: Peer, *, principal: str = "", host_fallback: bool = True) -> None:
        self._own = own
        self._principal = principal
        self._host_fallback = host_fallback
        self._stats: dict[str, IstioStats] = {}

    def __iter__(self) -> Iterator[IstioStats]:
        return iter(self._stats.values())

    def of(self, direction: str) -> IstioStats:
        """The reporter of a listener's traffic_direction: inbound reports as destination, everything else as source."""
        role = INBOUND if direction == INBOUND else "OUTBOUND"
        if (stats := self._stats.get(role)) is None:
            stats = self._stats[role] = IstioStats(self._own, role, principal=self._principal, host_fallback=self._host_fallback)
        return stats
