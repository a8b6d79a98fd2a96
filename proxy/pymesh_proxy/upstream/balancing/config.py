"""How one cluster balances, compiled and immutable."""

import enum
from dataclasses import dataclass


class Balancing(enum.Enum):
    """The algorithm (Envoy's LbPolicy)."""

    ROUND_ROBIN = "round_robin"
    LEAST_REQUEST = "least_request"
    RANDOM = "random"
    CLUSTER_PROVIDED = "cluster_provided"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancingConfig:
    """An algorithm and its settings, with Envoy's defaults; those of other algorithms have no effect."""

    policy: Balancing = Balancing.ROUND_ROBIN
    choice_count: int = 2
    """Random candidates that LEAST_REQUEST compares."""
