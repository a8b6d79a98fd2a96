"""Cross-origin requests of browsers: preflights are answered here, answers say who may read them. Envoy's `envoy.filters.http.cors`.

The words are the Fetch standard's (section 3.2, the CORS protocol); the policy stands on routes and virtual hosts.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..http.headers import RequestHead
from ..route.table import Forward
from . import LocalReply
from .counts import CorsCounts
from .fraction import ALWAYS, NEVER, Fraction

if TYPE_CHECKING:
    from ..http.exchange import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class CorsPolicy:
    """What a route allows other origins. Empty and None leave it to the level around; in the end they mean nothing, or no."""

    origins: tuple[Callable[[bytes], bool], ...] = ()
    methods: bytes = b""
    headers: bytes = b""
    exposed: bytes = b""
    max_age: bytes = b""
    credentials: bool | None = None
    private_network: bool | None = None
    forward_unmatched: bool | None = None
    """Whether preflights of other origins go to the upstream; None in the end means yes."""
    enabled: Fraction = ALWAYS
    shadow: Fraction = NEVER
    """The share of requests that is only counted, where the filter is not enabled."""

    def over(self, outer: "CorsPolicy") -> "CorsPolicy":
        """This policy, with what it leaves open taken from one further out. Whether it is enabled, it alone says."""
        return CorsPolicy(
            origins=self.origins or outer.origins,
            methods=self.methods or outer.methods,
            headers=self.headers or outer.headers,
            exposed=self.exposed or outer.exposed,
            max_age=self.max_age or outer.max_age,
            credentials=outer.credentials if self.credentials is None else self.credentials,
            private_network=outer.private_network if self.private_network is None else self.private_network,
            forward_unmatched=outer.forward_unmatched if self.forward_unmatched is None else self.forward_unmatched,
            enabled=self.enabled,
            shadow=self.shadow,
        )

    def allows(self, origin: bytes) -> bool:
        """Whether an origin may read answers; a matcher that takes `*` takes all."""
        return any(test(b"*") or test(origin) for test in self.origins)

    def preflight(self, head: RequestHead) -> tuple[tuple[bytes, bytes], ...]:
        """What a preflight is told besides what every answer tells, be its origin allowed or not. A star is what was asked for."""
        index = head.index
        told: list[tuple[bytes, bytes]] = []
        if self.methods:
            methods = index.get(b"access-control-request-method", b"") if self.methods == b"*" else self.methods
            told.append((b"access-control-allow-methods", methods))
        if self.headers:
            headers = index.get(b"access-control-request-headers", b"") if self.headers == b"*" else self.headers
            told.append((b"access-control-allow-headers", headers))
        if self.max_age:
            told.append((b"access-control-max-age", self.max_age))
        if self.private_network and index.get(b"access-control-request-private-network") == b"true":
            told.append((b"access-control-allow-private-network", b"true"))
        return tuple(told)


class CorsFilter:
    """Without a policy of a route it does nothing."""

    __slots__ = ("_counts", "_policy")

    def __init__(self, counts: CorsCounts, policy: CorsPolicy | None = None) -> None:
        self._counts = counts
        self._policy = policy

    def for_route(self, config: object) -> "CorsFilter":
        return CorsFilter(self._counts, config) if isinstance(config, CorsPolicy) else self

    def on_request(self, exchange: "Exchange") -> LocalReply | None:
        policy = self._policy
        head = exchange.head
        if policy is None or b"origin" not in head.index:
            return None
        origin = b",".join(head.get_all(b"origin"))
        if not origin or exchange.route is None or not isinstance(exchange.route.action, Forward):
            return None
        enabled = policy.enabled.takes(random.getrandbits(32))
        if not enabled and not policy.shadow.takes(random.getrandbits(32)):
            return None
        allowed = policy.allows(origin)
        if allowed:
            self._counts.origin_valid += 1
        else:
            self._counts.origin_invalid += 1
        if not enabled:
            return None
        if allowed:
            exchange.note(self, origin)
        if head.method != b"OPTIONS" or not head.index.get(b"access-control-request-method"):
            return None
        if not allowed and policy.forward_unmatched is not False:
            return None
        return LocalReply(status=200, headers=policy.preflight(head), details="cors_response", edited=False)

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: the upstream sees the request as it came."""

    def on_response(self, exchange: "Exchange") -> None:
        policy = self._policy
        response = exchange.response
        origin = exchange.notes.get(self) if exchange.notes is not None else None
        if policy is None or origin is None or response is None:
            return
        response.set(b"access-control-allow-origin", origin)
        if policy.credentials:
            response.set(b"access-control-allow-credentials", b"true")
        if policy.exposed:
            response.set(b"access-control-expose-headers", policy.exposed)

    def on_end(self, exchange: "Exchange") -> None:
        """Nothing is held."""
