"""When a request is sent again, and after how long: a RetryPolicy, compiled to sets in which an answer or a failure is looked up.

The conditions are Envoy's retry_on tokens (envoy-behaviour 2.7); what each of them means is written here and nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ..errors import Cause
from ..http.headers import RequestHead, ResponseHead

AnswerTest = Callable[[ResponseHead], bool]
RequestTest = Callable[[RequestHead], bool]

_CONNECT = frozenset((Cause.CONNECT_FAILED, Cause.CONNECT_TIMEOUT))
_REFUSED = frozenset((Cause.UPSTREAM_REFUSED,))
RESETS = (
    _CONNECT
    | _REFUSED
    | {
        Cause.UPSTREAM_CLOSED,
        Cause.UPSTREAM_RESET,
        Cause.UPSTREAM_PROTOCOL,
        Cause.PER_TRY_TIMEOUT,
        Cause.PER_TRY_IDLE,
        Cause.UPSTREAM_DURATION,
    }
)
"""Every way in which an attempt ends without an answer, but for those that another attempt could only make worse."""

_CAUSES = {"5xx": RESETS, "gateway-error": RESETS, "reset": RESETS, "connect-failure": _CONNECT, "refused-stream": _REFUSED}
_STATUSES = {"5xx": frozenset(range(500, 600)), "gateway-error": frozenset((502, 503, 504)), "retriable-4xx": frozenset((409,))}
_GRPC = {"cancelled": b"1", "deadline-exceeded": b"4", "resource-exhausted": b"8", "internal": b"13", "unavailable": b"14"}

CONDITIONS = frozenset(
    (*_CAUSES, *_STATUSES, *_GRPC, "reset-before-request", "envoy-ratelimited", "retriable-status-codes", "retriable-headers")
)
"""The tokens that mean something here. Others are left out one by one, as in Envoy."""
GRPC_CONDITIONS = frozenset(_GRPC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitedBackOff:
    """How long an upstream asks to be left alone (rate_limited_retry_back_off)."""

    headers: tuple[tuple[bytes, bool], ...]
    """Names of headers, in order; true: the value is a Unix time rather than seconds from now."""
    max_interval: float = 300.0
    """Longer waits are not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """What is tried again, how often and when, and how long one try may take. Times are seconds, 0 means off."""

    conditions: frozenset[str] = frozenset()
    """Envoy's retry_on tokens; without any the policy only says how long a try may take."""
    num_retries: int = 1
    per_try_timeout: float = 0.0
    per_try_idle_timeout: float = 0.0
    status_codes: frozenset[int] = frozenset()
    headers: tuple[AnswerTest, ...] = ()
    """retriable_headers: an answer that passes one of these is thrown away."""
    request_headers: tuple[RequestTest, ...] = ()
    """retriable_request_headers: where there are any, only a request that passes one of them is retried."""
    base_interval: float = 0.025
    max_interval: float = 0.25
    rate_limited: RateLimitedBackOff | None = None
    host_selection_attempts: int = 1
    avoid_previous_hosts: bool = False
    avoid_canaries: bool = False
    avoid_labels: tuple[tuple[str, str], ...] = ()
    """Endpoints whose `envoy.lb` metadata has all of these."""
    priority_update: int = 0
    """After so many attempts each, retries leave out the priorities that those went to; 0 for never."""
    enabled: bool = field(init=False)
    """Whether anything is ever retried."""
    timed: bool = field(init=False)
    """Whether a single try has a time limit."""
    avoids: bool = field(init=False)
    """Whether a retry looks for another endpoint."""
    causes: frozenset[Cause] = field(init=False)
    unsent: bool = field(init=False)
    """Whether every failure counts that came before the first byte of the request went up."""
    statuses: frozenset[int] = field(init=False)
    grpc: frozenset[bytes] = field(init=False)
    limited: bool = field(init=False)
    """Whether an answer with x-envoy-ratelimited is retried."""

    def __post_init__(self) -> None:
        conditions = self.conditions
        empty: frozenset[Cause] = frozenset()
        statuses: frozenset[int] = self.status_codes if "retriable-status-codes" in conditions else frozenset()
        object.__setattr__(self, "enabled", bool(conditions))
        object.__setattr__(self, "timed", bool(self.per_try_timeout or self.per_try_idle_timeout))
        object.__setattr__(self, "avoids", bool(self.avoid_previous_hosts or self.avoid_canaries or self.avoid_labels))
        object.__setattr__(self, "causes", empty.union(*(_CAUSES[token] for token in conditions if token in _CAUSES)))
        object.__setattr__(self, "unsent", "reset-before-request" in conditions)
        object.__setattr__(self, "statuses", statuses.union(*(_STATUSES[token] for token in conditions if token in _STATUSES)))
        object.__setattr__(self, "grpc", frozenset(_GRPC[token] for token in conditions if token in _GRPC))
        object.__setattr__(self, "limited", "envoy-ratelimited" in conditions)

    def without_retries(self) -> "RetryPolicy":
        """Only the time limits."""
        return replace(self, conditions=frozenset())
