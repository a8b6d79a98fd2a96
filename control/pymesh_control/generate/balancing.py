"""A DestinationRule's load balancer: the algorithm of a cluster, with its settings."""

from typing import Any

from pymesh.xds import proto

from ..model.destination import Policy

_CLUSTER = proto.cluster.Cluster
_RING = 1024
"""Istio's smallest ring; it asks for as many points as Envoy's own default."""

_SIMPLE = {
    "RANDOM": _CLUSTER.RANDOM,
    "ROUND_ROBIN": _CLUSTER.ROUND_ROBIN,
    "PASSTHROUGH": _CLUSTER.CLUSTER_PROVIDED,
}
"""LEAST_REQUEST, also under its names LEAST_CONN and UNSPECIFIED, is what all others are."""


def wants_passthrough(policy: Policy) -> bool:
    """Whether connections go where the client meant them to (`simple: PASSTHROUGH`)."""
    return _simple(policy) == "PASSTHROUGH"


def apply(message: Any, policy: Policy) -> None:
    """Set the cluster's algorithm."""
    settings = policy.load_balancer
    if settings is not None and settings.consistent_hash is not None:
        _hashed(message, settings.consistent_hash)
        return
    message.lb_policy = _SIMPLE.get(_simple(policy), _CLUSTER.LEAST_REQUEST)
    if settings is not None:
        _warm_up(message, settings)


def _simple(policy: Policy) -> str:
    settings = policy.load_balancer
    return settings.simple.value if settings and settings.simple else ""


def _hashed(message: Any, wanted: Any) -> None:
    if wanted.maglev is not None:
        message.lb_policy = _CLUSTER.MAGLEV
        if wanted.maglev.table_size:
            message.maglev_lb_config.table_size.value = wanted.maglev.table_size
        return
    message.lb_policy = _CLUSTER.RING_HASH
    size = wanted.ring_hash.minimum_ring_size if wanted.ring_hash is not None else wanted.minimum_ring_size
    message.ring_hash_lb_config.minimum_ring_size.value = size or _RING


def _warm_up(message: Any, settings: Any) -> None:
    """A slow start, which only these two algorithms know; elsewhere it has no effect, as in Istio."""
    configs = {_CLUSTER.ROUND_ROBIN: message.round_robin_lb_config, _CLUSTER.LEAST_REQUEST: message.least_request_lb_config}
    config = configs.get(message.lb_policy)
    window = settings.warmup.duration if settings.warmup else settings.warmup_duration_secs
    if config is None or not window:
        return
    slow = config.slow_start_config
    slow.slow_start_window.CopyFrom(proto.duration(window))
    if settings.warmup and settings.warmup.minimum_percent is not None:
        slow.min_weight_percent.value = settings.warmup.minimum_percent
    if settings.warmup and settings.warmup.aggression is not None:
        slow.aggression.default_value = settings.warmup.aggression
        slow.aggression.runtime_key = "slow_start.aggression"  # Envoy does not take a default without a key
