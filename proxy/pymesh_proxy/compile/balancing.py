"""A cluster's load balancing: the `lb_policy` enum with its messages, or the list of `load_balancing_policy`."""

import dataclasses
from collections.abc import Callable

from ..upstream.balancing.config import Balancing, BalancingConfig, RingFunction, SlowStart
from ..upstream.config import Discovery
from .fields import Reader
from .fractions import percent
from .policy_list import KNOWN, Chosen

_PROVIDING = (Discovery.ORIGINAL_DST, Discovery.DYNAMIC)
"""Where the request says which endpoint is meant."""

_RING_SIZE = 8 * 1024 * 1024


def balancing(reader: Reader, discovery: Discovery, policy: Chosen | None) -> BalancingConfig:
    """How a Cluster balances; `policy`, from its list, takes the place of `lb_policy` and what belongs to it."""
    if policy is not None:
        config = _POLICIES[policy.name](policy.settings)
    else:
        config = BalancingConfig() if reader.has("load_balancing_policy") else _policy_enum(reader)
    provided = config.policy is Balancing.CLUSTER_PROVIDED
    if provided and discovery not in _PROVIDING:
        reader.refuse("lb_policy", f"CLUSTER_PROVIDED needs a cluster of type ORIGINAL_DST or a dynamic one, not {discovery.name}")
    if discovery in _PROVIDING and not provided:
        reader.refuse("lb_policy", f"a cluster of type {discovery.name} needs CLUSTER_PROVIDED")
    return config


def _policy_enum(reader: Reader) -> BalancingConfig:
    name = reader.choice("lb_policy")
    if name not in Balancing.__members__:
        reader.refuse("lb_policy", f"{name} needs a load_balancing_policy")
        return BalancingConfig()
    config = _enum_settings(reader, Balancing[name])
    common = reader.child("common_lb_config")
    return config if common is None else _consistent(common, config)


def _enum_settings(reader: Reader, policy: Balancing) -> BalancingConfig:
    """The member of the oneof `lb_config`, which must be the policy's own."""
    name = reader.which("lb_config")
    settings = reader.child(name) if name else None
    if settings is None:
        return BalancingConfig(policy=policy)
    owner, build = _SETTINGS[name]
    if owner is not policy:
        reader.refuse(name, f"it is for lb_policy {owner.name}, not {policy.name}")
    return build(settings)


def _round_robin(config: Reader) -> BalancingConfig:
    config.only("slow_start_config", "locality_lb_config")
    return BalancingConfig(slow_start=_slow_start(config))


def _least_request(config: Reader) -> BalancingConfig:
    config.only("choice_count", "active_request_bias", "slow_start_config", "selection_method", "enable_full_scan", "locality_lb_config")
    return BalancingConfig(
        policy=Balancing.LEAST_REQUEST,
        choice_count=config.wrapped("choice_count", 2),
        full_scan=_full_scan(config),
        request_bias=_runtime_double(config, "active_request_bias"),
        slow_start=_slow_start(config),
    )


def _full_scan(config: Reader) -> bool:
    """Only the policy's own message can ask for it, in an older way and a newer."""
    if "selection_method" not in config.message.DESCRIPTOR.fields_by_name:
        return False
    return config.choice("selection_method") == "FULL_SCAN" or config.wrapped("enable_full_scan", False)


def _random(config: Reader) -> BalancingConfig:
    config.only("locality_lb_config")
    return BalancingConfig(policy=Balancing.RANDOM)


def _ring_hash(config: Reader) -> BalancingConfig:
    config.only("minimum_ring_size", "maximum_ring_size", "hash_function", *_HASHING)
    minimum, maximum = config.wrapped("minimum_ring_size", 1024), config.wrapped("maximum_ring_size", _RING_SIZE)
    if minimum > maximum:
        config.refuse("minimum_ring_size", f"{minimum} is more than the maximum, {maximum}")
    function = config.choice("hash_function")
    made = BalancingConfig(
        policy=Balancing.RING_HASH,
        minimum_ring_size=minimum,
        maximum_ring_size=maximum,
        ring_function=RingFunction[function] if function in RingFunction.__members__ else RingFunction.XX_HASH,
    )
    return _consistent(config, made)


def _maglev(config: Reader) -> BalancingConfig:
    config.only("table_size", *_HASHING)
    size = config.wrapped("table_size", 65537)
    if not _is_prime(size):
        config.refuse("table_size", f"{size} is no prime number")
    return _consistent(config, BalancingConfig(policy=Balancing.MAGLEV, table_size=size))


def _original_dst(config: Reader) -> BalancingConfig:
    """`connecting` reads it: it says where a request goes, not how endpoints share."""
    return BalancingConfig(policy=Balancing.CLUSTER_PROVIDED)


def _cluster_provided(config: Reader) -> BalancingConfig:
    config.only()
    return BalancingConfig(policy=Balancing.CLUSTER_PROVIDED)


_HASHING = ("consistent_hashing_lb_config", "locality_weighted_lb_config", "use_hostname_for_hashing", "hash_balance_factor")
"""The last two only in a RingHash, where the first replaces them. What is said of localities, `common_lb` reads."""


def _consistent(reader: Reader, config: BalancingConfig) -> BalancingConfig:
    """With what a policy's message, or common_lb_config, asks of consistent hashing."""
    names = reader.message.DESCRIPTOR.fields_by_name
    place = reader.child("consistent_hashing_lb_config") if "consistent_hashing_lb_config" in names else None
    if place is not None:
        place.only("use_hostname_for_hashing", "hash_balance_factor")
    elif "hash_balance_factor" in names:
        place = reader
    if place is None:
        return config
    by_name, factor = place.message.use_hostname_for_hashing, place.wrapped("hash_balance_factor", 0)
    return dataclasses.replace(config, hashes_hostname=by_name, balance_factor=factor)


def _slow_start(config: Reader) -> SlowStart | None:
    reader = config.child("slow_start_config")
    if reader is None:
        return None
    reader.only("slow_start_window", "aggression", "min_weight_percent")
    window = reader.seconds("slow_start_window", 0.0)
    aggression = _runtime_double(reader, "aggression")
    if not aggression:
        reader.refuse("aggression", "it must be more than 0")
    least = percent(reader.child("min_weight_percent"), 10.0) / 100
    return SlowStart(window=window, aggression=aggression or 1.0, min_weight=least) if window else None


def _runtime_double(reader: Reader, name: str) -> float:
    """A RuntimeDouble's value, 1 where it is not set."""
    child = reader.child(name)
    if child is None:
        return 1.0
    child.only("default_value", harmless={"runtime_key": "there is no runtime that could override it"})
    if not 0 <= child.message.default_value < float("inf"):
        child.refuse("default_value", f"{child.message.default_value:g} is not a number of 0 or more")
        return 1.0
    return float(child.message.default_value)


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


_Build = Callable[[Reader], BalancingConfig]
_SETTINGS: dict[str, tuple[Balancing, _Build]] = {
    "round_robin_lb_config": (Balancing.ROUND_ROBIN, _round_robin),
    "least_request_lb_config": (Balancing.LEAST_REQUEST, _least_request),
    "ring_hash_lb_config": (Balancing.RING_HASH, _ring_hash),
    "maglev_lb_config": (Balancing.MAGLEV, _maglev),
    "original_dst_lb_config": (Balancing.CLUSTER_PROVIDED, _original_dst),
}

_POLICIES: dict[str, _Build] = dict(
    zip(KNOWN, (_round_robin, _least_request, _random, _ring_hash, _maglev, _cluster_provided), strict=True)
)
