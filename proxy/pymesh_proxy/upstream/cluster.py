"""A cluster at run time: its endpoints, the counters that the balancer and the breakers read, and the pools behind them."""

import random
from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING

from .balancer import build
from .balancing.base import Balancer, Source
from .breaker import Breaker
from .config import Assignment, ClusterConfig, Discovery, EndpointConfig, Health
from .endpoint import Endpoint
from .host_set import HostSet, host_sets
from .priorities import Loads, Priorities
from .spread import compose
from .zones import Zones

if TYPE_CHECKING:
    from ..http.h1_known import KnownAnswer
    from ..tls.contexts import ClientTls
    from ..tls.counts import Handshakes
    from .dynamic_hosts import DynamicHosts
    from .watchman import Watchman

TlsMatches = tuple[tuple[frozenset[tuple[str, str]], "ClientTls | None"], ...]
"""transport_socket_matches: labels an endpoint must carry, and the TLS it then gets."""

_NONE: frozenset[int] = frozenset()


class Cluster:
    """One cluster. Counters carry Envoy's stat names."""

    __slots__ = (
        "_by_address",
        "_partial", "_source", "assignment", "assignment_stale", "assignment_timeout_received", "breaker", "config", "drop_percent",
        "endpoints", "high_breaker", "host_sets", "hosts", "latest_answer", "lb_healthy_panic", "membership_change", "on_rebalance",
        "original_dst_host_invalid", "overprovisioning_factor", "per_request", "priorities", "retry_or_shadow_abandoned", "tls_default",
        "tls_matches", "update_success", "upstream_cx_connect_attempts_exceeded", "upstream_cx_connect_fail",
        "upstream_cx_connect_timeout", "upstream_cx_destroy", "upstream_cx_overflow", "upstream_cx_rx_bytes_total", "upstream_cx_total",
        "upstream_cx_tx_bytes_total", "upstream_internal_redirect_failed_total", "upstream_internal_redirect_succeeded_total",
        "upstream_rq_1xx", "upstream_rq_2xx", "upstream_rq_3xx", "upstream_rq_4xx", "upstream_rq_5xx", "upstream_rq_active_overflow",
        "upstream_rq_cancelled", "upstream_rq_max_duration_reached", "upstream_rq_pending_overflow", "upstream_rq_per_try_idle_timeout",
        "upstream_rq_per_try_timeout", "upstream_rq_retry", "upstream_rq_retry_backoff_exponential",
        "upstream_rq_retry_backoff_ratelimited", "upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow",
        "upstream_rq_retry_success", "upstream_rq_timeout", "upstream_rq_total", "watchman", "zones",
    )  # fmt: skip

    def __init__(self, config: ClusterConfig, tls_default: "ClientTls | None", tls_matches: "TlsMatches") -> None:
        self.config = config
        self.per_request = config.discovery in (Discovery.ORIGINAL_DST, Discovery.DYNAMIC)
        """Whether the request itself says which endpoint is meant, rather than the balancer."""
        self.tls_default = tls_default
        self.tls_matches = tls_matches
        self.breaker = Breaker(config.limits)
        self.high_breaker = Breaker(config.high_limits)
        """For routes of the priority HIGH."""
        self.assignment: Assignment | None = None
        self.endpoints: list[Endpoint] = []
        self.host_sets: tuple[HostSet, ...] = ()
        """By priority, as of the last change."""
        self.priorities = Priorities((), 0)
        self._source: Source | None = None
        self._by_address: dict[str, Endpoint] | None = None
        """Its endpoints, once a session asks for one."""
        self._partial: dict[frozenset[int], Source | None] = {}
        """Sources for retries that leave out priorities."""
        self.overprovisioning_factor = 140
        self.watchman: Watchman | None = None
        """Who keeps an eye on the endpoints, where configuration asks for it."""
        self.zones: Zones | None = None
        """Where a local cluster tells how callers are spread over zones."""
        self.on_rebalance: Callable[[HostSet], None] | None = None
        """Of the local cluster itself: told of its first priority after each change."""
        self.hosts: DynamicHosts | None = None
        """Who makes endpoints of the hosts that requests name (dynamic forward proxy)."""
        self.drop_percent = 0.0
        """The share of requests that the assignment's drop_overload takes."""
        self.latest_answer: KnownAnswer | None = None
        """The head that its endpoints have answered with last over HTTP/1.1, for all of their connections."""
        self.update_success = self.lb_healthy_panic = self.membership_change = 0
        self.original_dst_host_invalid = self.assignment_stale = self.assignment_timeout_received = 0
        self.upstream_cx_total = self.upstream_cx_destroy = self.upstream_cx_overflow = 0
        self.upstream_cx_connect_fail = self.upstream_cx_connect_timeout = self.upstream_cx_connect_attempts_exceeded = 0
        self.upstream_cx_rx_bytes_total = self.upstream_cx_tx_bytes_total = 0
        self.upstream_rq_total = self.upstream_rq_cancelled = self.upstream_rq_timeout = self.upstream_rq_pending_overflow = 0
        self.upstream_rq_active_overflow = 0
        self.upstream_internal_redirect_succeeded_total = self.upstream_internal_redirect_failed_total = 0
        self.upstream_rq_retry = self.upstream_rq_retry_success = self.upstream_rq_retry_overflow = 0
        self.upstream_rq_retry_limit_exceeded = self.retry_or_shadow_abandoned = 0
        self.upstream_rq_retry_backoff_exponential = self.upstream_rq_retry_backoff_ratelimited = 0
        self.upstream_rq_per_try_timeout = self.upstream_rq_per_try_idle_timeout = self.upstream_rq_max_duration_reached = 0
        self.upstream_rq_1xx = self.upstream_rq_2xx = self.upstream_rq_3xx = self.upstream_rq_4xx = self.upstream_rq_5xx = 0

    def __repr__(self) -> str:
        return f"<Cluster {self.config.name} endpoints={len(self.endpoints)} {self.breaker!r}>"

    @property
    def handshakes(self) -> "Handshakes | None":
        """The TLS handshakes with all endpoints; None when none speaks TLS."""
        speaking = (self.tls_default, *(tls for _, tls in self.tls_matches))
        return next((tls.handshakes for tls in speaking if tls is not None), None)

    @property
    def upstream_cx_active(self) -> int:
        return self.breaker.connections + self.high_breaker.connections

    @property
    def upstream_rq_active(self) -> int:
        return self.breaker.requests + self.high_breaker.requests

    @property
    def upstream_rq_pending_active(self) -> int:
        return self.breaker.pending + self.high_breaker.pending

    def assign(self, assignment: Assignment) -> list[Endpoint]:
        """Take a new set of endpoints; those whose address stays keep counters and pools. Returns the removed ones.

        Of those that are removed, the ones that checks call well stay until these find them sick (ignore_health_on_host_removal).
        """
        self.update_success += 1
        self.assignment_timeout_received += bool(assignment.stale_after)
        self.assignment = assignment
        self.drop_percent = assignment.drop_percent
        self.overprovisioning_factor = assignment.overprovisioning_factor
        before = self.endpoints
        known = {endpoint.config.address: endpoint for endpoint in before}
        self._by_address = None
        self.endpoints = [self._adopt(known.pop(config.address, None), config) for config in assignment.endpoints]
        self.endpoints += [known.pop(address) for address, endpoint in list(known.items()) if self._stays(endpoint)]
        kept = set(self.endpoints)
        gone = [endpoint for endpoint in before if endpoint not in kept]  # an address that stays may mean another endpoint (TLS)
        if gone or len(kept) > len(before):
            self.membership_change += 1
        if self.watchman is not None:
            self.watchman.watch(self.endpoints)
        self.rebalance()
        return gone

    def _stays(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint that discovery has removed serves on: checks know better, for discovery is only eventually right."""
        checks = self.config.health_check
        if checks is None or not checks.outweighs_removal:
            return False
        unchecked = endpoint.config.check is not None and endpoint.config.check.disabled
        endpoint.leaving = not (unchecked or endpoint.failed_check or endpoint.config.health in (Health.UNHEALTHY, Health.TIMEOUT))
        return endpoint.leaving

    def let_go(self, endpoint: Endpoint) -> None:
        """One that discovery had removed has been found sick."""
        self.hold([one for one in self.endpoints if one is not endpoint])
        endpoint.leave_connections()

    def hold(self, endpoints: list[Endpoint]) -> None:
        """Take endpoints that somebody else makes and keeps: one has come or gone."""
        self.membership_change += 1
        self._by_address = None
        self.endpoints = endpoints
        if self.watchman is not None:
            self.watchman.watch(endpoints)
        self.rebalance()

    def _adopt(self, endpoint: Endpoint | None, config: EndpointConfig) -> Endpoint:
        tls = self.tls_for(config)
        if endpoint is None or endpoint.tls is not tls:
            return Endpoint(config, tls)
        endpoint.config = config
        endpoint.leaving = False
        return endpoint

    def tls_for(self, config: EndpointConfig) -> "ClientTls | None":
        """transport_socket_matches: the first entry whose labels the endpoint carries, else the cluster's own socket."""
        carried = set(config.transport_match)
        for labels, tls in self.tls_matches:
            if labels <= carried:
                return tls
        return self.tls_default

    def rebalance(self) -> None:
        """An endpoint has come, gone, or changed its standing: share the load anew."""
        by_weight = self.assignment is not None and self.assignment.weighted_priority_health
        self.host_sets = host_sets(self.endpoints)
        levels = [host_set.level(self.overprovisioning_factor, by_weight=by_weight) for host_set in self.host_sets]
        self.priorities = Priorities(levels, self.config.common_lb.panic_threshold)
        self.share()
        if self.on_rebalance is not None:
            self.on_rebalance(self.host_sets[0])
        if self.config.common_lb.close_on_change:
            for endpoint in self.endpoints:
                endpoint.leave_connections()

    def share(self) -> None:
        """What shares the load has changed; the endpoints have not."""
        self._source = self.source(self.priorities.loads())
        self._partial.clear()

    def source(self, loads: Loads) -> Source | None:
        """What picks endpoints when the load is shared so; None when there are none, or nothing to choose."""
        if self.per_request:
            return None
        return compose(self, self.host_sets, self.priorities, loads)

    def balance(self, endpoints: Sequence[Endpoint], shares: Sequence[float] | None = None) -> Balancer:
        """The cluster's balancer over some of its endpoints, at least one; `shares` are for consistent hashing (see `build`)."""
        return build(self.config.balancing, endpoints, shares)

    def pick(
        self, tried: Container[Endpoint] | None = None, attempts: int = 1, key: int | None = None, excluding: frozenset[int] = _NONE
    ) -> Endpoint | None:
        """An endpoint for one request, or None when there is none. `tried` are avoided for `attempts` more draws, then taken.

        `key` is the hash of what the request is told apart by, where the cluster's balancing has use for one; None means a random one.
        `excluding`: priorities that are left out.
        """
        source = self._without(excluding) if excluding else self._source
        if source is None:
            return None
        chosen = source.pick(key)
        if tried is not None:
            for attempt in range(1, attempts + 1):
                if chosen is None or chosen not in tried:
                    break
                chosen = source.pick(key, attempt)
        return chosen

    def of_session(self, address: str) -> Endpoint | None:
        """The endpoint to which a session belongs; None where it is gone, or in no state in which sessions are kept."""
        if self._by_address is None:
            self._by_address = {endpoint.address: endpoint for endpoint in self.endpoints}
        found = self._by_address.get(address)
        return found if found is not None and found.health in self.config.common_lb.sessions_in else None

    def _without(self, excluding: frozenset[int]) -> Source | None:
        """What picks when priorities are left out, kept until an endpoint changes: balancers are dear to make."""
        if excluding not in self._partial:
            self._partial[excluding] = self.source(self.priorities.loads(excluding))
        return self._partial[excluding]

    def drops(self) -> bool:
        """Whether this request falls to the assignment's drop_overload."""
        return random.random() * 100 < self.drop_percent

    def count_status(self, status: int) -> None:
        """One more answer of a status class; a status beyond 599 has none."""
        if 200 <= status < 300:
            self.upstream_rq_2xx += 1
        elif 500 <= status < 600:
            self.upstream_rq_5xx += 1
        elif 400 <= status < 500:
            self.upstream_rq_4xx += 1
        elif 300 <= status < 400:
            self.upstream_rq_3xx += 1
        elif status < 200:
            self.upstream_rq_1xx += 1
