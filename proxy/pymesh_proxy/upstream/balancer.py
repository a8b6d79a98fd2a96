"""Choosing one endpoint of a cluster: which algorithm serves a list of endpoints.

Arithmetic is Envoy's, so that a fleet of both sends one key to one endpoint: with equal weights an index rotates or random candidates are
compared; with unequal weights earliest-deadline-first scheduling spreads picks by weight; consistent hashes have the same rings and tables.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .balancing.base import Balancer, Only
from .balancing.bounded import Bounded
from .balancing.config import Balancing, BalancingConfig
from .balancing.edf import Schedule
from .balancing.least_request import FullScan, LeastRequest
from .balancing.maglev import Maglev, table
from .balancing.random_choice import RandomChoice
from .balancing.ring_hash import RingHash, ring
from .balancing.round_robin import RoundRobin
from .balancing.shares import placed
from .balancing.weights import Weights, begin

if TYPE_CHECKING:
    from .endpoint import Endpoint


def build(
    config: BalancingConfig,
    endpoints: "Sequence[Endpoint]",
    shares: Sequence[float] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Balancer:
    """The balancer of a cluster's configuration over one list of endpoints (at least one).

    `shares` are for consistent hashes, which spread over all localities of a list at once: the parts of the load that the endpoints
    should have, with a sum of one, where their weights alone do not say it.
    """
    if len(endpoints) == 1:
        return Only(endpoints[0])
    if config.policy is Balancing.RANDOM:
        return RandomChoice(endpoints)
    if config.policy is Balancing.RING_HASH or config.policy is Balancing.MAGLEV:
        return _hashing(config, endpoints, shares)
    return _counting(config, endpoints, clock)


def _hashing(config: BalancingConfig, endpoints: "Sequence[Endpoint]", shares: Sequence[float] | None) -> Balancer:
    parts = placed(endpoints, shares, config.hashes_hostname)
    maglev = config.policy is Balancing.MAGLEV
    chooser: Balancer = Maglev(endpoints, table(config, parts)) if maglev else RingHash(endpoints, ring(config, parts))
    return Bounded(chooser, endpoints, parts, config.balance_factor) if config.balance_factor else chooser


def _counting(config: BalancingConfig, endpoints: "Sequence[Endpoint]", clock: Callable[[], float]) -> Balancer:
    least = config.policy is Balancing.LEAST_REQUEST
    growing = config.slow_start is not None and begin(config.slow_start, endpoints, clock())
    if growing or len({endpoint.config.weight for endpoint in endpoints}) > 1:
        return Schedule(endpoints, Weights(config.request_bias if least else 0.0, config.slow_start, clock))
    if not least:
        return RoundRobin(endpoints)
    return FullScan(endpoints) if config.full_scan else LeastRequest(endpoints, config.choice_count)
