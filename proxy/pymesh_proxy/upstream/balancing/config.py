"""How one cluster balances, compiled and immutable."""

import enum
from dataclasses import dataclass


class Balancing(enum.Enum):
    """The algorithm (Envoy's LbPolicy)."""

    ROUND_ROBIN = "round_robin"
    LEAST_REQUEST = "least_request"
    RANDOM = "random"
    RING_HASH = "ring_hash"
    MAGLEV = "maglev"
    CLUSTER_PROVIDED = "cluster_provided"


class RingFunction(enum.Enum):
    """What hashes an endpoint's points on the ring. Keys of requests are xxHash64 with either."""

    XX_HASH = 0
    MURMUR_HASH_2 = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStart:
    """A new endpoint's weight grows from a share of it to the whole."""

    window: float
    """Seconds until it is whole."""
    aggression: float = 1.0
    """1 grows evenly; more grows faster in the beginning."""
    min_weight: float = 0.1
    """The smallest share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancingConfig:
    """An algorithm and its settings, with Envoy's defaults; those of other algorithms have no effect."""

    policy: Balancing = Balancing.ROUND_ROBIN
    choice_count: int = 2
    """Random candidates that LEAST_REQUEST compares."""
    full_scan: bool = False
    """LEAST_REQUEST compares all endpoints instead."""
    request_bias: float = 1.0
    """How much requests under way count against a weight of LEAST_REQUEST; 0 makes it a weighted round robin."""
    slow_start: SlowStart | None = None
    """Of ROUND_ROBIN and LEAST_REQUEST."""
    minimum_ring_size: int = 1024
    maximum_ring_size: int = 8 * 1024 * 1024
    ring_function: RingFunction = RingFunction.XX_HASH
    table_size: int = 65537
    """Entries of a MAGLEV table, a prime."""
    hashes_hostname: bool = False
    """RING_HASH and MAGLEV place an endpoint by its name rather than its address."""
    balance_factor: int = 0
    """Percent of the average load at which RING_HASH and MAGLEV take an endpoint for full; 0 for never."""

    @property
    def by_key(self) -> bool:
        """Whether a hash of the request decides."""
        return self.policy is Balancing.RING_HASH or self.policy is Balancing.MAGLEV
