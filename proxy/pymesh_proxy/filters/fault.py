"""Fault injection: requests are delayed, or aborted with a status, or one after the other. Envoy's `envoy.filters.http.fault`."""

import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..http.headers import RequestHead
from . import LocalReply
from .counts import FaultCounts
from .fraction import Fraction

if TYPE_CHECKING:
    from ..http.exchange import Exchange
    from .services import Services

_NUMBER: Final = re.compile(rb"\s*\+?([0-9]{1,19})\s*")
_OK: Final = 200


class Delay:
    """How long a share of the requests waits: for a fixed time, or as the request's own headers ask."""

    __slots__ = ("_seconds", "_share")

    def __init__(self, share: Fraction, seconds: float | None = None) -> None:
        """`seconds`: None for what the request asks."""
        self._share = share
        self._seconds = seconds

    def of(self, head: RequestHead, draw: int) -> float:
        """Seconds for one request; 0 for none."""
        if self._seconds is not None:
            return self._seconds if self._share.takes(draw) else 0.0
        asked = _asked(head, b"x-envoy-fault-delay-request")
        if asked is None or not _lowered(self._share, head, b"x-envoy-fault-delay-request-percentage").takes(draw):
            return 0.0
        return asked / 1000


class Abort:
    """What a share of the requests is answered: with a fixed status, or as the request's own headers ask."""

    __slots__ = ("_fixed", "_share")

    def __init__(self, share: Fraction, fixed: tuple[int, int] | None = None) -> None:
        """`fixed`: HTTP status and gRPC status (-1 for what the former means); None for what the request asks."""
        self._share = share
        self._fixed = fixed

    def of(self, head: RequestHead, draw: int) -> tuple[int, int] | None:
        """HTTP and gRPC status for one request, as `fixed`; None for no abort."""
        if self._fixed is not None:
            return self._fixed if self._share.takes(draw) else None
        if not _lowered(self._share, head, b"x-envoy-fault-abort-request-percentage").takes(draw):
            return None
        status = _asked(head, b"x-envoy-fault-abort-request")
        if status is not None and 200 <= status < 600:
            return status, -1
        code = _asked(head, b"x-envoy-fault-abort-grpc-request")
        return None if code is None else (_OK, code)


def _asked(head: RequestHead, name: bytes) -> int | None:
    """A number that the request's first header of a name gives."""
    if name not in head.index:
        return None
    found = _NUMBER.fullmatch(head.get_all(name)[0])
    return None if found is None else int(found[1])


def _lowered(share: Fraction, head: RequestHead, name: bytes) -> Fraction:
    """A share that the request's headers can make smaller, but not larger."""
    numerator = _asked(head, name)
    return share if numerator is None else share.at_most(numerator)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPolicy:
    """Which faults, and for whom."""

    delay: Delay | None = None
    abort: Abort | None = None
    matches: tuple[Callable[[RequestHead, int], bool], ...] = ()
    """Tests of the head, all of which must pass."""
    upstream_cluster: str = ""
    nodes: frozenset[bytes] = field(default_factory=frozenset)
    """Values of x-envoy-downstream-service-node; empty for any."""
    max_active: int | None = None
    """Exchanges with a fault at the same time, by stat prefix."""

    def concerns(self, exchange: "Exchange") -> bool:
        """Whether a request may meet with these faults."""
        head = exchange.head
        if self.upstream_cluster and self.upstream_cluster != exchange.cluster_name:
            return False
        if self.nodes and head.index.get(b"x-envoy-downstream-service-node") not in self.nodes:
            return False
        return all(test(head, 0) for test in self.matches)


class FaultFilter:
    """Faults of one manager, or of the routes that have the same policy."""

    __slots__ = ("_counts", "_policy", "_services")

    def __init__(self, policy: FaultPolicy, counts: FaultCounts, services: "Services") -> None:
        self._policy = policy
        self._counts = counts
        self._services = services

    def for_route(self, config: object) -> "FaultFilter":
        return FaultFilter(config, self._counts, self._services) if isinstance(config, FaultPolicy) else self

    def on_request(self, exchange: "Exchange") -> "LocalReply | Awaitable[LocalReply | None] | None":
        policy = self._policy
        if (policy.delay is None and policy.abort is None) or not policy.concerns(exchange):
            return None
        seconds = policy.delay.of(exchange.head, random.getrandbits(32)) if policy.delay is not None else 0.0
        if seconds and self._admits(exchange):
            self._counts.delays_injected += 1
            exchange.flag("DI")
            return self._later(exchange, seconds)
        return self._abort(exchange)

    async def _later(self, exchange: "Exchange", seconds: float) -> LocalReply | None:
        await self._services.sleep(seconds)
        return self._abort(exchange)

    def _abort(self, exchange: "Exchange") -> LocalReply | None:
        abort = self._policy.abort
        statuses = abort.of(exchange.head, random.getrandbits(32)) if abort is not None else None
        if statuses is None or not self._admits(exchange):
            return None
        self._counts.aborts_injected += 1
        status, code = statuses
        return LocalReply(status=status, grpc_status=code, body=b"fault filter abort", flags="FI", details="fault_filter_abort")

    def _admits(self, exchange: "Exchange") -> bool:
        """Whether there may be one more exchange with a fault; one with two faults counts once, until it has ended."""
        if exchange.notes is not None and self in exchange.notes:
            return True
        counts = self._counts
        if self._policy.max_active is not None and counts.active_faults >= self._policy.max_active:
            counts.faults_overflow += 1
            return False
        counts.active_faults += 1
        exchange.note(self, True)
        return True

    def on_route(self, exchange: "Exchange") -> None:
        """Nothing: what is let pass goes up as it is."""

    def on_response(self, exchange: "Exchange") -> None:
        """Nothing: answers are not changed."""

    def on_end(self, exchange: "Exchange") -> None:
        if exchange.notes is not None and self in exchange.notes:
            self._counts.active_faults -= 1
