"""Envoy's statistics: which object carries which of Envoy's counters, and the text and JSON of `/stats`.

A name is `<group>.<label>.<name>`, such as `cluster.outbound|80||shop.upstream_rq_total`; Prometheus gets the same numbers with
the label as a tag. An object shows the counters that it has: there is no zero that nobody counts.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..http.options import HttpStats
from ..listener.scope import BASIC
from ..upstream.config import ClusterConfig
from .views import DiscoveryView

if TYPE_CHECKING:
    from ..listener.manager import Listener
    from ..runtime import Runtime
    from ..upstream.cluster import Cluster
    from ..upstream.dns_cache import DnsCache

Value = int | str


@dataclass(frozen=True, slots=True)
class Group:
    """A family of statistics: its prefix, and the Prometheus tag that its label becomes."""

    prefix: str
    tag: str = ""


CLUSTER = Group("cluster", "envoy_cluster_name")
HTTP = Group("http", "envoy_http_conn_manager_prefix")
LISTENER = Group("listener", "envoy_listener_address")
PREFIXED = Group("")
"""Statistics whose label stands in front."""
DNS_CACHE = Group("dns_cache")
CLUSTER_MANAGER = Group("cluster_manager")
LISTENER_MANAGER = Group("listener_manager")
CONTROL_PLANE = Group("control_plane")
SERVER = Group("server")


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that is counted: a cluster, a stat prefix, a listener, the server."""

    group: Group
    label: str
    values: tuple[tuple[str, Value], ...]

    def name(self, stat: str) -> str:
        return ".".join(filter(None, (self.group.prefix, self.label, stat)))


_CLUSTER_NAMES = (
    "assignment_stale", "assignment_timeout_received", "bind_errors", "lb_healthy_panic", "max_host_weight", "membership_change",
    "original_dst_host_invalid", "retry_or_shadow_abandoned", "update_attempt", "update_empty", "update_failure",
    "update_no_rebuild", "update_success", "upstream_cx_active", "upstream_cx_close_notify", "upstream_cx_connect_attempts_exceeded",
    "upstream_cx_connect_fail", "upstream_cx_connect_timeout", "upstream_cx_destroy", "upstream_cx_destroy_local",
    "upstream_cx_destroy_local_with_active_rq", "upstream_cx_destroy_remote", "upstream_cx_destroy_remote_with_active_rq",
    "upstream_cx_destroy_with_active_rq", "upstream_cx_http1_total", "upstream_cx_http2_total", "upstream_cx_idle_timeout",
    "upstream_cx_max_duration_reached", "upstream_cx_max_requests", "upstream_cx_none_healthy", "upstream_cx_overflow",
    "upstream_cx_pool_overflow", "upstream_cx_protocol_error", "upstream_cx_rx_bytes_buffered", "upstream_cx_rx_bytes_total",
    "upstream_cx_total", "upstream_cx_tx_bytes_buffered", "upstream_cx_tx_bytes_total", "upstream_flow_control_backed_up_total",
    "upstream_flow_control_drained_total", "upstream_flow_control_paused_reading_total", "upstream_flow_control_resumed_reading_total",
    "upstream_internal_redirect_failed_total", "upstream_internal_redirect_succeeded_total", "upstream_rq_1xx", "upstream_rq_2xx",
    "upstream_rq_3xx", "upstream_rq_4xx", "upstream_rq_5xx", "upstream_rq_active", "upstream_rq_active_overflow",
    "upstream_rq_cancelled", "upstream_rq_completed", "upstream_rq_drop_overload", "upstream_rq_maintenance_mode",
    "upstream_rq_max_duration_reached", "upstream_rq_pending_active", "upstream_rq_pending_failure_eject",
    "upstream_rq_pending_overflow", "upstream_rq_pending_total", "upstream_rq_per_try_idle_timeout", "upstream_rq_per_try_timeout",
    "upstream_rq_retry", "upstream_rq_retry_backoff_exponential", "upstream_rq_retry_backoff_ratelimited",
    "upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow", "upstream_rq_retry_success", "upstream_rq_rx_reset",
    "upstream_rq_timeout", "upstream_rq_total", "upstream_rq_tx_reset",
)  # fmt: skip
_FAMILIES = {"cluster": CLUSTER, "http": HTTP}
_HTTP_NAMES = tuple(field.name for field in fields(HttpStats) if field.name != "prefix")
_OWNERS = {
    "cds": "cluster_manager",
    "eds": "cluster_manager",
    "lds": "listener_manager",
    "rds": "listener_manager",
    "sds": "listener_manager",
}
"""Of Envoy's types; name tables are Istio's, and of those Envoy has no statistics."""
_UPDATE_NAMES = (
    "init_fetch_timeout",
    "update_attempt",
    "update_failure",
    "update_rejected",
    "update_success",
    "version_text",
    "last_error",
)

_GAUGES = re.compile(
    r"(?:.*_active|.*\.active_.*|.*_open|.*\.remaining_.*|.*_buffered|membership_(?!change).*"
    r"|health_check\.(?:healthy|degraded)|max_host_weight|active_clusters|warming_clusters|total_listeners_.*"
    r"|.*\.num_hosts|.*\.rq_pending_remaining|connected_state|live|state|uptime|version|concurrency|hot_restart_epoch|memory_.*|total_connections|days_until_.*)$"
)
_CODE_CLASS = re.compile(r"(.*)_([1-5])xx$")


@lru_cache(maxsize=1024)
def is_gauge(stat: str) -> bool:
    """Whether a stat's last name is that of a gauge; everything else only grows."""
    return _GAUGES.match(stat) is not None


@lru_cache(maxsize=1024)
def metric_of(group: Group, stat: str) -> tuple[str, str]:
    """Prometheus' metric name and the tag text taken out of the stat's name (`upstream_rq_2xx` is `..._xx` of class 2)."""
    found = _CODE_CLASS.match(stat)
    name, tag = (f"{found[1]}_xx", f'envoy_response_code_class="{found[2]}"') if found else (stat, "")
    return "_".join(filter(None, ("envoy", group.prefix, name))).replace(".", "_").replace("-", "_"), tag


def subjects(runtime: "Runtime") -> Iterator[Subject]:
    """Everything that the runtime counts, one subject at a time so that a caller may let others run in between."""
    clusters, listeners = list(runtime.clusters), list(runtime.listeners)
    for cluster in clusters:
        yield _cluster(cluster)
    for stats in runtime.all_http_stats:
        yield Subject(HTTP, stats.prefix, _ints(stats, _HTTP_NAMES))
    for counts in runtime.filter_counts:
        yield Subject(_FAMILIES.get(counts.FAMILY, PREFIXED), counts.label.replace(":", "_"), counts.values())
    for cache in runtime.dns_caches:
        yield _dns_cache(cache)
    for listener in listeners:
        yield _listener(listener)
    yield Subject(CLUSTER_MANAGER, "", (("active_clusters", len(clusters)),))
    yield Subject(LISTENER_MANAGER, "", (("total_listeners_active", len(listeners)),))


def discovery_subjects(discovery: DiscoveryView) -> Iterator[Subject]:
    """The streams to the control plane; eds, rds and sds are counted over all their resources."""
    stream = discovery.control_plane
    yield Subject(CONTROL_PLANE, "", (("connected_state", stream.connected_state), ("identifier", stream.identifier)))
    yield Subject(CLUSTER_MANAGER, "", (("warming_clusters", discovery.warming_clusters),))
    yield Subject(LISTENER_MANAGER, "", (("total_listeners_warming", discovery.warming_listeners),))
    for short, status in discovery.types.items():
        if short in _OWNERS:
            yield Subject(Group(f"{_OWNERS[short]}.{short}"), "", _values(status, _UPDATE_NAMES))


def reset(runtime: "Runtime") -> None:
    """Set every counter of the runtime to zero; gauges keep their value."""
    counted: list[tuple[Any, tuple[str, ...]]] = [(cluster, _CLUSTER_NAMES) for cluster in runtime.clusters]
    counted += [(stats, _HTTP_NAMES) for stats in runtime.all_http_stats]
    for thing, names in counted:
        for name, _ in _ints(thing, names):
            if not is_gauge(name):
                setattr(thing, name, 0)
    for counts in runtime.filter_counts:
        counts.reset()
    for cache in runtime.dns_caches:
        cache.counts.reset()
    for listener in runtime.listeners:
        listener.counts.reset()
    for cluster in runtime.clusters:
        if (handshakes := cluster.handshakes) is not None:
            handshakes.reset()
        if cluster.watchman is not None:
            cluster.watchman.reset_counters()
        if cluster.zones is not None:
            cluster.zones.counts.reset()


def stat_label(config: ClusterConfig) -> str:
    """The name of a cluster in statistics."""
    return (config.alt_stat_name or config.name).replace(":", "_")


def _cluster(cluster: "Cluster") -> Subject:
    sets = cluster.host_sets
    membership = (
        ("membership_total", sum(len(one.endpoints) for one in sets)),
        ("membership_healthy", sum(len(one.healthy) for one in sets)),
        ("membership_degraded", sum(len(one.degraded) for one in sets)),
        ("membership_excluded", sum(len(one.excluded) for one in sets)),
    )
    values = membership + _breakers(cluster) + _ints(cluster, _CLUSTER_NAMES)
    handshakes = getattr(cluster, "handshakes", None)
    values += tuple(handshakes.items() if handshakes else ())
    if cluster.watchman is not None:
        values += tuple(cluster.watchman.statistics())
    if cluster.zones is not None:
        values += tuple(cluster.zones.counts.items())
    return Subject(CLUSTER, stat_label(cluster.config), values)


def _dns_cache(cache: "DnsCache") -> Subject:
    """Its name is a part of each statistic's, in Prometheus' text, too."""
    limit = cache.config.max_pending
    counted = {one.name: getattr(cache.counts, one.name) for one in fields(cache.counts)}
    counted["circuit_breakers.rq_pending_open"] = int(0 < limit <= cache.pending)
    counted["circuit_breakers.rq_pending_remaining"] = max(limit - cache.pending, 0)
    return Subject(DNS_CACHE, "", tuple((f"{cache.config.name}.{name}", value) for name, value in counted.items()))


def _listener(listener: "Listener") -> Subject:
    config, counts = listener.config, listener.counts
    values: tuple[tuple[str, Value], ...] = (("downstream_cx_total", counts.total), ("downstream_cx_active", counts.active))
    values += tuple((name, counts[name]) for name in BASIC)
    if any(chain.tls is not None for chain in config.all_chains):
        values += tuple(counts.tls.items())
    return Subject(LISTENER, config.address.replace(":", "_"), values)


def _breakers(cluster: "Cluster") -> tuple[tuple[str, Value], ...]:
    """Whether each circuit breaker is open, its limit being reached; and where it is asked for, what is left of each limit."""
    found: list[tuple[str, Value]] = []
    for priority, breaker in (("default", cluster.breaker), ("high", cluster.high_breaker)):
        limits = breaker.limits
        watched = (
            ("cx", "cx", breaker.connections, limits.max_connections),
            ("rq_pending", "pending", breaker.pending, limits.max_pending_requests),
            ("rq", "rq", breaker.requests, limits.max_requests),
            ("rq_retry", "retries", breaker.retries, breaker.max_retries()),
        )
        prefix = f"circuit_breakers.{priority}."
        found += [(f"{prefix}{name}_open", int(current >= limit)) for name, _, current, limit in watched]
        if limits.track_remaining:
            found += [(f"{prefix}remaining_{name}", max(limit - current, 0)) for _, name, current, limit in watched]
    return tuple(found)


def _ints(thing: Any, names: tuple[str, ...]) -> tuple[tuple[str, Value], ...]:
    return tuple((name, value) for name in names if isinstance(value := getattr(thing, name, None), int))


def _values(thing: Any, names: tuple[str, ...]) -> tuple[tuple[str, Value], ...]:
    return tuple((name, value) for name in names if isinstance(value := getattr(thing, name, None), int | str))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which statistics a request asks for. `used_only` leaves out what is zero or empty."""

    matches: Callable[[str], Any] | None = None
    """A test of the full name; None takes all."""
    used_only: bool = False
    kind: str = "All"
    """`Counters`, `Gauges`, `TextReadouts` or `All`."""

    def takes(self, subject: Subject, stat: str, value: Value) -> bool:
        if self.used_only and not value:
            return False
        if self.kind not in ("All", _kind(stat, value)):
            return False
        return self.matches is None or bool(self.matches(subject.name(stat)))


def _kind(stat: str, value: Value) -> str:
    if isinstance(value, str):
        return "TextReadouts"
    return "Gauges" if is_gauge(stat) else "Counters"


def select(found: Iterable[Subject], selection: Selection) -> list[tuple[str, Value]]:
    """Names and values as `/stats` lists them: text first, then numbers, each sorted by name. Numbers of one name are added up."""
    chosen: dict[str, Value] = {}
    for subject in found:
        for stat, value in subject.values:
            if selection.takes(subject, stat, value):
                name = subject.name(stat)
                known = chosen.get(name, 0)
                chosen[name] = known + value if isinstance(known, int) and isinstance(value, int) else value
    return sorted(chosen.items(), key=lambda pair: (not isinstance(pair[1], str), pair[0]))


def to_text(chosen: Iterable[tuple[str, Value]]) -> str:
    """`name: value` lines; text is quoted."""
    return "".join(f'{name}: "{value}"\n' if isinstance(value, str) else f"{name}: {value}\n" for name, value in chosen)


def to_json(chosen: Iterable[tuple[str, Value]]) -> str:
    """Envoy's `{"stats": [{"name": ..., "value": ...}]}`."""
    return json.dumps({"stats": [{"name": name, "value": value} for name, value in chosen]})
