"""common_lb_config: what all of a cluster's balancing shares, but for consistent_hashing_lb_config, which `balancing` reads."""

from typing import Any

from ..upstream.config import CommonLb
from .fields import Reader

_HARMLESS = {
    "update_merge_window": "updates are applied at once",
    "ignore_new_hosts_until_first_hc": "endpoints are not actively checked",
    "override_host_status": "no filter chooses a request's endpoint",
}


def common_lb(reader: Reader) -> CommonLb:
    """The common_lb_config of a cluster."""
    config = reader.child("common_lb_config")
    if config is None:
        return CommonLb()
    config.only(
        "healthy_panic_threshold",
        "zone_aware_lb_config",
        "locality_weighted_lb_config",
        "consistent_hashing_lb_config",
        "close_connections_on_host_set_change",
        harmless=_HARMLESS,
    )
    weighted = config.child("locality_weighted_lb_config")
    if weighted is not None:
        weighted.only()
    return CommonLb(
        panic_threshold=_percent(config.message.healthy_panic_threshold) if config.has("healthy_panic_threshold") else 50,
        fail_on_panic=_fail_on_panic(config.child("zone_aware_lb_config")),
        locality_weighted=weighted is not None,
        close_on_change=config.message.close_connections_on_host_set_change,
    )


def _percent(percent: Any) -> int:
    """Whole percents, halves upwards: what Envoy compares with."""
    return int(percent.value + 0.5)


def _fail_on_panic(zone_aware: Reader | None) -> bool:
    if zone_aware is None:
        return False
    nowhere = "the bootstrap names no local cluster, without which nobody knows how the callers are spread over zones"
    zone_aware.only("fail_traffic_on_panic", harmless={"routing_enabled": nowhere, "min_cluster_size": nowhere})
    return bool(zone_aware.message.fail_traffic_on_panic)
