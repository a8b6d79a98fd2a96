"""Choosing one endpoint of a cluster: one small class an algorithm, pure decisions over counters.

Arithmetic is Envoy's: with equal weights an index rotates or two random candidates are compared; with unequal weights
earliest-deadline-first scheduling spreads picks by weight. A balancer is built for one list of endpoints and thrown away with it.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from .balancing.config import Balancing, BalancingConfig

if TYPE_CHECKING:
    from .endpoint import Endpoint


class Balancer(Protocol):
    """Picks from a non-empty list of usable endpoints."""

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        """One endpoint; never blocks, never fails. `key` and `attempt` mean something only where a hash decides."""


def build(config: BalancingConfig, endpoints: "Sequence[Endpoint]") -> Balancer:
    """The balancer of a cluster's configuration over one list of endpoints (at least one)."""
    equal = len({endpoint.config.weight for endpoint in endpoints}) == 1
    if len(endpoints) == 1:
        return Only(endpoints[0])
    if config.policy is Balancing.LEAST_REQUEST:
        return LeastRequest(endpoints, config.choice_count) if equal else Weighted(endpoints, _load_aware)
    if config.policy is Balancing.RANDOM:
        return Random(endpoints)
    return RoundRobin(endpoints) if equal else Weighted(endpoints, _static)


class Only:
    """The only endpoint there is."""

    __slots__ = ("_endpoint",)

    def __init__(self, endpoint: "Endpoint") -> None:
        self._endpoint = endpoint

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        return self._endpoint


class RoundRobin:
    """Strict rotation from a random start, so that many workers do not all begin with the same endpoint."""

    __slots__ = ("_endpoints", "_next")

    def __init__(self, endpoints: "Sequence[Endpoint]") -> None:
        self._endpoints = endpoints
        self._next = random.randrange(len(endpoints))

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        chosen = self._endpoints[self._next]
        self._next = (self._next + 1) % len(self._endpoints)
        return chosen


class Random:
    """Uniform choice; weights are ignored, as Envoy ignores them here."""

    __slots__ = ("_endpoints",)

    def __init__(self, endpoints: "Sequence[Endpoint]") -> None:
        self._endpoints = endpoints

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        return random.choice(self._endpoints)


class LeastRequest:
    """The least busy of `choice_count` random candidates, drawn with replacement; ties go to the first drawn."""

    __slots__ = ("_choices", "_endpoints")

    def __init__(self, endpoints: "Sequence[Endpoint]", choice_count: int) -> None:
        self._endpoints = endpoints
        self._choices = max(2, choice_count)

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        best = random.choice(self._endpoints)
        for _ in range(self._choices - 1):
            other = random.choice(self._endpoints)
            if other.rq_active < best.rq_active:
                best = other
        return best


def _static(endpoint: "Endpoint") -> float:
    return float(endpoint.config.weight)


def _load_aware(endpoint: "Endpoint") -> float:
    """Envoy's least-request weight with its default active_request_bias of 1."""
    return endpoint.config.weight / (endpoint.rq_active + 1)


class Weighted:
    """Earliest deadline first: each pick moves an endpoint's deadline on by the inverse of its weight at that moment."""

    __slots__ = ("_order", "_queue", "_weight")

    def __init__(self, endpoints: "Sequence[Endpoint]", weight: "Callable[[Endpoint], float]") -> None:
        self._weight = weight
        self._order = 0
        self._queue: list[tuple[float, int, Endpoint]] = []
        for endpoint in endpoints:
            self._push(0.0, endpoint)
        for _ in range(random.randrange(len(endpoints))):
            self.pick()

    def _push(self, now: float, endpoint: "Endpoint") -> None:
        self._order += 1  # ties by insertion order
        heapq.heappush(self._queue, (now + 1.0 / self._weight(endpoint), self._order, endpoint))

    def pick(self, key: int | None = None, attempt: int = 0) -> "Endpoint":
        deadline, _, endpoint = heapq.heappop(self._queue)
        self._push(deadline, endpoint)
        return endpoint
