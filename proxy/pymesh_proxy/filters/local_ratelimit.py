"""Rate limits kept in this process: token buckets of a manager, a route, a descriptor or a connection.

Envoy's `envoy.filters.http.local_ratelimit`.
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..route.table import Edit
from . import LocalReply
from .counts import LocalRateLimitCounts
from .descriptors import OVERRIDE, Descriptor, Entries, Rule, describe, of_route
from .fraction import NEVER, Fraction
from .token_bucket import TokenBucket

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from .services import Services

RESOURCE_EXHAUSTED = 8
"""gRPC's status."""


class Buckets:
    """One bucket for every request, and one for each of some descriptors."""

    __slots__ = ("_by_entries", "_default", "_takes_both")

    def __init__(self, default: TokenBucket | None, by_entries: Mapping[Entries, TokenBucket], *, takes_both: bool = True) -> None:
        """`takes_both`: requests that have a bucket of their own take a token of the default one, too."""
        self._default = default
        self._by_entries = by_entries
        self._takes_both = takes_both

    def take(self, descriptors: list[Descriptor], now: float, cost: int = 1) -> tuple[bool, TokenBucket | None]:
        """Whether a request passes, and the bucket that decided. `cost` is how many tokens one hit takes.

        Slow buckets are asked first, and what they gave is not given back.
        """
        found = [(self._by_entries[one.entries], one.hits or 1) for one in descriptors if one.entries in self._by_entries]
        found.sort(key=lambda pair: pair[0].rate)
        for bucket, hits in found:
            if not bucket.take(now, _scaled(bucket, hits, cost)):
                return False, bucket
        default = self._default
        if default is not None and (self._takes_both or not found) and not default.take(now, _scaled(default, 1, cost)):
            return False, default
        return True, found[0][0] if found else default

    def fresh(self) -> "Buckets":
        """The same, all full."""
        default = self._default.fresh() if self._default is not None else None
        by_entries = {entries: bucket.fresh() for entries, bucket in self._by_entries.items()}
        return Buckets(default, by_entries, takes_both=self._takes_both)


def _scaled(bucket: TokenBucket, hits: int, cost: int) -> int:
    """What hits take where each costs more than a token; no more than the bucket can ever hold, if the hits alone fit in."""
    return min(hits * cost, max(hits, bucket.capacity))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalLimit:
    """A LocalRateLimit; its buckets are shared by everything that runs with this very configuration."""

    stat_prefix: str
    buckets: Buckets
    status: int = 429
    enabled: Fraction = NEVER
    enforced: Fraction = NEVER
    rules: tuple[Rule, ...] = ()
    """The filter's own, in the place of the routes'."""
    counts_descriptors: bool = False
    """Whether there are buckets for descriptors."""
    stage: int = 0
    host_option: int = OVERRIDE
    per_connection: bool = False
    tells_state: bool = False
    """x-ratelimit-* on every answer."""
    grpc_status: int = -1
    edit_request: Edit | None = None
    """Of requests that would have been answered if the limit was enforced."""
    edit_response: Edit | None = None
    """Of our answers."""

    def buckets_for(self, exchange: "Exchange") -> Buckets:
        """The process's buckets, or the connection's own."""
        if not self.per_connection:
            return self.buckets
        downstream = exchange.downstream
        if downstream.notes is None:
            downstream.notes = {}
        own = downstream.notes.get(self)
        if not isinstance(own, Buckets):
            own = downstream.notes[self] = self.buckets.fresh()
        return own


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found of one request: the bucket that decided, and whether the request was answered for it."""

    bucket: TokenBucket | None = None
    refused: bool = field(default=False)


class LocalRateLimitFilter:
    """One limit."""

    __slots__ = ("_counts", "_limit", "_services")

    def __init__(self, limit: LocalLimit, services: "Services") -> None:
        self._limit = limit
        self._services = services
        self._counts = services.counts.of(LocalRateLimitCounts, limit.stat_prefix)

    def for_route(self, config: object) -> "LocalRateLimitFilter":
        return LocalRateLimitFilter(config, self._services) if isinstance(config, LocalLimit) else self

    def on_request(self, exchange: "Exchange") -> LocalReply | None:
        limit = self._limit
        counts = self._counts
        if not limit.enabled.takes(random.getrandbits(32)):
            return None
        counts.enabled += 1
        services = self._services
        descriptors: list[Descriptor] = []
        if limit.counts_descriptors:
            rules = limit.rules or of_route(exchange, limit.host_option)
            descriptors = describe(rules, limit.stage, exchange, services.own_cluster)
        passes, bucket = limit.buckets_for(exchange).take(descriptors, services.clock(), services.workers)
        if passes:
            counts.ok += 1
        else:
            counts.rate_limited += 1
        refused = not passes and limit.enforced.takes(random.getrandbits(32))
        if limit.tells_state or refused:
            exchange.note(self, _Judged(bucket, refused))
        if refused:
            counts.enforced += 1
            return LocalReply(
                status=limit.status, grpc_status=limit.grpc_status, body=b"local_rate_limited", flags="RL", details="local_rate_limited"
            )
        if not passes and limit.edit_request is not None:
            limit.edit_request(exchange)
        return None

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing more: headers of requests that are let pass nevertheless have been added."""

    def on_response(self, exchange: "Exchange") -> None:
        limit = self._limit
        judged = exchange.notes.get(self) if exchange.notes is not None else None
        if not isinstance(judged, _Judged):
            return
        if judged.refused and limit.edit_response is not None:
            limit.edit_response(exchange)
        if limit.tells_state and judged.bucket is not None and exchange.response is not None:
            now = self._services.clock()
            exchange.response.add(b"x-ratelimit-limit", b"%d" % judged.bucket.capacity)
            exchange.response.add(b"x-ratelimit-remaining", b"%d" % math.floor(judged.bucket.tokens(now)))
            exchange.response.add(b"x-ratelimit-reset", b"%d" % math.ceil(judged.bucket.wait(now)))

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing is held."""
