"""A RouteConfiguration, compiled: virtual hosts by domain, routes in order, each with what to do when it matches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..filters.chain import Overrides
from ..filters.descriptors import RateLimits
from ..http.grpc import TimeoutRule
from ..http.headers import RequestHead
from .internal_redirect import InternalRedirects
from .retry_policy import RetryPolicy

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from ..http.local_reply import BodyFormat
    from ..http.mirror import Mirroring

Edit = Callable[["Exchange"], None]
"""Header mutations of one or several levels, composed in Envoy's order; reads the exchange for format strings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A cluster to go to, with the header edits of its weighted entry.

    Where a weighted entry brings edits of its own, the edits of all levels are composed here and the route has none, so that running
    the target's edit and then the route's is always Envoy's order.
    """

    cluster: str
    cluster_header: bytes = b""
    """Take the cluster's name from this header instead (lower case)."""
    edit_request: Edit | None = None
    edit_response: Edit | None = None
    overrides: Overrides | None = None
    """What a weighted entry says of filters, with what the levels around it say; None where the route's own hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Proxy the request. `targets` hold cumulative upper bounds; one entry when there is no weighting."""

    targets: tuple[tuple[int, Target], ...]
    total_weight: int
    cluster_missing_status: int = 503
    timeout: float = 15.0
    idle_timeout: float | None = None
    max_stream_duration: float | None = None
    """Overrides the manager's when not None; 0 means no limit."""
    grpc_timeout: TimeoutRule | None = None
    """How a gRPC request's own timeout takes the place of the route's."""
    grpc_duration: TimeoutRule | None = None
    """How it takes the place of the stream's longest duration."""
    retry: RetryPolicy | None = None
    rewrite: "Callable[[Exchange], None] | None" = None
    """Path and host rewriting, with x-envoy-original-path."""
    draws: "Callable[[Exchange], int | None] | None" = None
    """What takes the place of the random number where there are weights; None of a request leaves that."""
    auto_host: bool = False
    """Each attempt asks for the host by the name of its endpoint, if that has one."""
    forwarded_host: bool = False
    """The host that this replaces is added to x-forwarded-host."""
    hashing: "Callable[[Exchange], int | None] | None" = None
    """What tells requests apart where the cluster balances by a hash."""
    upgrades: Mapping[bytes, bool] = field(default_factory=dict)
    """Whether an upgrade (in lower case) is passed on; what is not named here is as the manager says."""
    terminates_post: bool = False
    """So does a POST, whose body and whose answer's are what the connection carries (allow_post)."""
    terminates_connect: bool = False
    """A CONNECT ends here, in a TCP connection to the cluster, instead of being passed on."""
    mirrors: "tuple[Mirroring, ...]" = ()
    """Where copies of the requests go."""
    attempt_count_in_request: bool = False
    """Tell the upstream the number of the attempt in x-envoy-attempt-count."""
    internal_redirects: InternalRedirects | None = None
    """Which redirects of the upstream are followed here."""
    high_priority: bool = False
    """Requests count against the cluster's limits for the priority HIGH, and have connections of their own."""
    asks: bool = False
    """The edits of the request may set headers that say how it is tried (x-envoy-retry-on and its like)."""
    body_limit: int | None = None
    """request_body_buffer_limit: bytes of a body that are kept for another attempt, in the place of the listener's limit."""
    body_cap: int | None = None
    """per_request_buffer_limit_bytes: the same, where the listener's limit is not smaller."""
    attempt_count_in_response: bool = False
    """Tell the client how many attempts were made, in the same header."""
    rate_limits: RateLimits | None = None
    """How requests are described to rate limits; None for not at all."""
    only: Target | None = field(init=False)
    """The target when there is nothing to choose."""
    expected_timeout: bytes = field(init=False)
    """x-envoy-expected-rq-timeout-ms: the route's or the try's timeout, whichever is shorter; empty when both are off."""

    def __post_init__(self) -> None:
        per_try = self.retry.per_try_timeout if self.retry is not None else 0.0
        shortest = min(filter(None, (self.timeout, per_try)), default=0.0)
        object.__setattr__(self, "only", self.targets[0][1] if len(self.targets) == 1 else None)
        object.__setattr__(self, "expected_timeout", b"%d" % (shortest * 1000) if shortest else b"")

    def choose(self, random: int) -> Target:
        """The target whose cumulative interval holds `random % total_weight` (Envoy walks them in order)."""
        value = random % self.total_weight
        for upper, target in self.targets:
            if value < upper:
                return target
        raise AssertionError("the last upper bound is the total weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """Answer with a Location; `location` builds it from the request."""

    status: int
    location: "Callable[[Exchange], bytes]"


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectReply:
    """Answer from configuration."""

    status: int
    body: bytes = b""
    format: "BodyFormat | None" = None
    """How the body is written, if not as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route: its test was compiled into the table; this is what follows a match."""

    name: str
    action: Forward | Redirect | DirectReply
    edit_request: Edit | None = None
    edit_response: Edit | None = None
    metadata: Any = None
    overrides: Overrides | None = None
    """What the route and the levels around it say of filters; None when that is nothing."""
    requires: "Callable[[Exchange], bool] | None" = None
    """What the route asks of the connection, besides what its test asks of the head."""


Match = Callable[[RequestHead, int], bool]


class RouteTable:
    """Finds a request's route. Immutable; RDS swaps whole tables."""

    __slots__ = ("_find_host", "host_header", "internal_only", "name", "source", "version")

    def __init__(
        self,
        name: str,
        find_host: Callable[[bytes], "tuple[tuple[Match, Route], ...] | None"],
        source: Any = None,
        *,
        host_header: bytes = b"",
        internal_only: tuple[bytes, ...] = (),
    ) -> None:
        self.name = name
        self._find_host = find_host
        self.source = source
        self.host_header = host_header
        """The header that names the virtual host, in the place of the authority."""
        self.internal_only = internal_only
        """Headers that are taken from nobody outside."""

    def match(self, head: RequestHead, random: int, exchange: "Exchange | None" = None) -> Route | None:
        """The first route of the request's virtual host that matches; None is Envoy's 404 NR. `random` serves runtime fractions.

        Without an exchange no route matches that asks for more than a head.
        """
        host = head.index.get(self.host_header, b"") if self.host_header else head.authority
        for matches, route in self._find_host(host) or ():
            if matches(head, random) and (route.requires is None or (exchange is not None and route.requires(exchange))):
                return route
        return None
