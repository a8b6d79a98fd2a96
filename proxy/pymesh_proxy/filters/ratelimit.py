"""Rate limits that a service keeps for all proxies (`envoy.filters.http.ratelimit`): it is asked for each request that rules describe."""

import random
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymesh.xds import proto

from ..errors import RateLimitServiceError
from ..route.table import Edit
from . import LocalReply
from .counts import RateLimitCounts
from .descriptors import OVERRIDE, Descriptor, Rule, describe, of_route
from .fraction import ALWAYS, NEVER, Fraction
from .rls import Service

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from .services import Services

_UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400, "WEEK": 604_800, "MONTH": 2_592_000, "YEAR": 31_536_000}
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalLimit:
    """A RateLimit: which requests are asked about, and what becomes of the answers."""

    domain: str
    service: Service
    stage: int = 0
    internal: bool = True
    """Whether requests from inside (x-envoy-internal) are asked about."""
    external: bool = True
    timeout: float = 0.02
    """Seconds for the service's answer; 0 for no limit."""
    deny_failures: Fraction = NEVER
    """The share of requests that do not pass when the service fails."""
    enabled: Fraction = ALWAYS
    enforced: Fraction = ALWAYS
    status: int = 429
    error_status: int = 500
    grpc_status: int = -1
    tells_limited: bool = True
    """x-envoy-ratelimited on answers to limited requests."""
    tells_state: bool = False
    """x-ratelimit-* on every answer."""
    edit_response: Edit | None = None
    """Of answers to limited requests."""
    rules: tuple[Rule, ...] = ()
    """The filter's own, in the place of the routes'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteLimit:
    """A RateLimitPerRoute: what a route has otherwise."""

    host_option: int = OVERRIDE
    domain: str = ""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the answer to one request gets: headers, and the edit of answers to limited requests."""

    headers: tuple[tuple[bytes, bytes], ...]
    refused: bool


class RateLimitFilter:
    """One limit, on routes that have the same to say of it."""

    __slots__ = ("_limit", "_route", "_services")

    def __init__(self, limit: GlobalLimit, services: "Services", route: RouteLimit | None = None) -> None:
        self._limit = limit
        self._services = services
        self._route = route or RouteLimit()

    def for_route(self, config: object) -> "RateLimitFilter":
        return RateLimitFilter(self._limit, self._services, config) if isinstance(config, RouteLimit) else self

    def on_request(self, exchange: "Exchange") -> "Awaitable[LocalReply | None] | None":
        limit, route = self._limit, self._route
        if exchange.cluster is None or not limit.enabled.takes(random.getrandbits(32)):
            return None
        inside = exchange.head.index.get(b"x-envoy-internal") == b"true"
        if not (limit.internal if inside else limit.external):
            return None
        rules = route.rules or limit.rules or of_route(exchange, route.host_option)
        descriptors = describe(rules, limit.stage, exchange, self._services.own_cluster)
        return self._ask(exchange, descriptors) if descriptors else None

    async def _ask(self, exchange: "Exchange", descriptors: list[Descriptor]) -> LocalReply | None:
        limit = self._limit
        cluster = exchange.cluster
        label = cluster.config.alt_stat_name if cluster is not None else ""
        counts = self._services.counts.of(RateLimitCounts, label or exchange.cluster_name)
        request = to_request(self._route.domain or limit.domain, descriptors)
        try:
            response = await self._services.ask_rate_limit(limit.service, request, limit.timeout)
        except RateLimitServiceError:
            counts.error += 1
            return self._failed(counts)
        if response.overall_code == response.OVER_LIMIT:
            counts.over_limit += 1
            return self._over(exchange, response)
        counts.ok += 1  # UNKNOWN, too
        self._pass(exchange, response, self._headers(response))
        return None

    def _headers(self, response: Any) -> tuple[tuple[bytes, bytes], ...]:
        state = state_headers(response.statuses) if self._limit.tells_state else ()
        return (*_fields(response.response_headers_to_add), *state)

    def _over(self, exchange: "Exchange", response: Any) -> LocalReply | None:
        limit = self._limit
        headers = self._headers(response)
        if limit.tells_limited:
            headers = (*headers, (b"x-envoy-ratelimited", b"true"))
        if not limit.enforced.takes(random.getrandbits(32)):
            self._pass(exchange, response, headers)
            return None
        exchange.note(self, _Judged(headers, True))
        return LocalReply(
            status=limit.status, grpc_status=limit.grpc_status, body=response.raw_body, flags="RL", details="request_rate_limited"
        )

    def _pass(self, exchange: "Exchange", response: Any, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        for name, value in _fields(response.request_headers_to_add):
            exchange.head.add(name, value)
        if headers:
            exchange.note(self, _Judged(headers, False))

    def _failed(self, counts: RateLimitCounts) -> LocalReply | None:
        if self._limit.deny_failures.takes(random.getrandbits(32)):
            return LocalReply(status=self._limit.error_status, flags="RLSE", details="rate_limiter_error")
        counts.failure_mode_allowed += 1
        return None

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing more: what the service adds to a request has been added."""

    def on_response(self, exchange: "Exchange") -> None:
        judged = exchange.notes.get(self) if exchange.notes is not None else None
        if not isinstance(judged, _Judged) or exchange.response is None:
            return
        for name, value in judged.headers:
            if name == b"content-type":
                if judged.refused:
                    exchange.response.set(name, value)  # the service speaks of its own body
            else:
                exchange.response.add(name, value)
        if judged.refused and self._limit.edit_response is not None:
            self._limit.edit_response(exchange)

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing is held."""


def to_request(domain: str, descriptors: list[Descriptor]) -> Any:
    """A RateLimitRequest."""
    request = proto.rls.RateLimitRequest(domain=domain)
    for descriptor in descriptors:
        said = request.descriptors.add()
        for key, value in descriptor.entries:
            said.entries.add(key=key, value=value)
        if descriptor.hits:
            said.hits_addend.value = descriptor.hits
    return request


def _fields(options: Any) -> tuple[tuple[bytes, bytes], ...]:
    """Headers that a service adds (HeaderValue)."""
    return tuple((one.key.lower().encode(), one.raw_value or one.value.encode()) for one in options)


def state_headers(statuses: Any) -> tuple[tuple[bytes, bytes], ...]:
    """x-ratelimit-* of a service's DescriptorStatuses: the tightest limit, and all of them as its policy (draft 3 of RateLimit headers)."""
    known = [status for status in statuses if status.HasField("current_limit")]
    if not known:
        return ()
    tightest = min(known, key=lambda status: status.limit_remaining)
    policy = "".join(_policy(status.current_limit) for status in known)
    return (
        (b"x-ratelimit-limit", f"{tightest.current_limit.requests_per_unit}{policy}".encode()),
        (b"x-ratelimit-remaining", b"%d" % tightest.limit_remaining),
        (b"x-ratelimit-reset", b"%d" % tightest.duration_until_reset.seconds),
    )


def _policy(limit: Any) -> str:
    window = _UNITS.get(limit.Unit.Name(limit.unit), 0)
    if not window:
        return ""
    name = f';name="{limit.name}"' if limit.name else ""
    return f", {limit.requests_per_unit};w={window}{name}"
