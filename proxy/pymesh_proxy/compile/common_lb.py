"""common_lb_config: what all of a cluster's balancing shares, but for consistent_hashing_lb_config, which `balancing` reads."""

import dataclasses
from typing import Any

from ..upstream.config import CommonLb, Health, ZoneAware
from .fields import Reader
from .policy_list import Chosen

_HARMLESS = {
    "update_merge_window": "updates are applied at once",
}
_OF_POLICIES = ("force_locality_direct_routing", "force_local_zone", "locality_basis")
"""What zone_aware_lb_config says in policies alone."""
_SAID_BY_POLICIES = ("zone_aware_lb_config", "locality_weighted_lb_config", "consistent_hashing_lb_config")


def common_lb(reader: Reader, policy: Chosen | None) -> CommonLb:
    """The common_lb_config of a cluster; a policy of its load_balancing_policy brings what it says of localities itself."""
    config = reader.child("common_lb_config")
    common = CommonLb() if config is None else _common(config)
    if policy is None:
        return common
    for name in _SAID_BY_POLICIES:
        if config is not None and config.has(name):
            config.refuse(name, "it cannot be combined with load_balancing_policy, whose policies have this of their own")
    return _of_policy(common, policy)


def _common(config: Reader) -> CommonLb:
    config.only(
        "healthy_panic_threshold",
        "zone_aware_lb_config",
        "locality_weighted_lb_config",
        "consistent_hashing_lb_config",
        "close_connections_on_host_set_change",
        "ignore_new_hosts_until_first_hc",
        "override_host_status",
        harmless=_HARMLESS,
    )
    fail_on_panic, zone_aware = _zone_aware(config.child("zone_aware_lb_config"))
    return CommonLb(
        panic_threshold=_percent(config.message.healthy_panic_threshold) if config.has("healthy_panic_threshold") else 50,
        fail_on_panic=fail_on_panic,
        locality_weighted=_weighted(config),
        zone_aware=zone_aware,
        ignore_new=config.message.ignore_new_hosts_until_first_hc,
        close_on_change=config.message.close_connections_on_host_set_change,
        sessions_in=_sessions_in(config),
    )


def _sessions_in(config: Reader) -> frozenset[Health]:
    statuses = config.child("override_host_status")
    if statuses is None:
        return CommonLb().sessions_in
    statuses.only("statuses")
    return frozenset(Health(number) for number in statuses.message.statuses)


def _of_policy(common: CommonLb, policy: Chosen) -> CommonLb:
    """Hashes say in their own message that localities are weighted, the others in one that they share."""
    place = policy.settings
    if _has(place, "locality_lb_config"):
        place = Reader(place.message.locality_lb_config, place.at("locality_lb_config"), place.problems)
        place.only("locality_weighted_lb_config", "zone_aware_lb_config")
    fail_on_panic, zone_aware = _zone_aware(place.child("zone_aware_lb_config") if _has(place, "zone_aware_lb_config") else None)
    weighted = _weighted(place) or policy.by_locality
    return dataclasses.replace(common, locality_weighted=weighted, fail_on_panic=fail_on_panic, zone_aware=zone_aware)


def _has(reader: Reader, name: str) -> bool:
    return name in reader.message.DESCRIPTOR.fields_by_name and reader.has(name)


def _weighted(reader: Reader) -> bool:
    config = reader.child("locality_weighted_lb_config") if _has(reader, "locality_weighted_lb_config") else None
    if config is not None:
        config.only()
    return config is not None


def _percent(percent: Any) -> int:
    """Whole percents, halves upwards: what Envoy compares with."""
    return int(percent.value + 0.5)


def _zone_aware(config: Reader | None) -> tuple[bool, ZoneAware]:
    """Whether requests fail in a panic, and what is said of zones."""
    if config is None:
        return False, ZoneAware()
    config.only("fail_traffic_on_panic", "routing_enabled", "min_cluster_size", *_OF_POLICIES)
    message = config.message
    found = ZoneAware(
        routing_enabled=_percent(message.routing_enabled) if config.has("routing_enabled") else 100,
        min_cluster_size=config.wrapped("min_cluster_size", 6),
        local_minimum=_local_minimum(config),
        by_weight=_has(config, "locality_basis") and config.choice("locality_basis") == "HEALTHY_HOSTS_WEIGHT",
    )
    return bool(message.fail_traffic_on_panic), found


def _local_minimum(config: Reader) -> int:
    """`force_local_zone`, or the older `force_locality_direct_routing`, which is the same for one endpoint."""
    forced = config.child("force_local_zone") if _has(config, "force_local_zone") else None
    if forced is None:
        return int(_has(config, "force_locality_direct_routing"))
    forced.only("min_size")
    return forced.wrapped("min_size", 1)
