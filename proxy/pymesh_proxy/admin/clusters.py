"""/clusters: every cluster with its endpoints, counters and health, as text or as Envoy's Clusters message."""

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from pymesh.xds import proto

from ..upstream.config import Health
from ..upstream.success_rate import UNKNOWN
from .facts import JSON, Answer, Command, Facts, Query, choice, pattern

if TYPE_CHECKING:
    from ..upstream.cluster import Cluster
    from ..upstream.endpoint import Endpoint

_COUNTERS = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
_GAUGES = ("cx_active", "rq_active", "rq_pending_active")
_TEXT_COUNTERS = (
    "cx_active", "cx_connect_fail", "cx_total", "rq_active", "rq_error", "rq_pending_active", "rq_success", "rq_timeout", "rq_total",
)  # fmt: skip
_LIMITS = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
_COUNTER, _GAUGE = 0, 1
"""Values of SimpleMetric.Type."""

_ASSIGNED_FLAGS = {
    Health.UNHEALTHY: "/failed_eds_health",
    Health.DRAINING: "/eds_status_draining",
    Health.TIMEOUT: "/failed_eds_health",
    Health.DEGRADED: "/degraded_eds_health",
}


def clusters(facts: Facts, query: Query) -> Answer:
    """`filter` (RE2) chooses clusters by name, `format` is text or json."""
    shape, wanted = choice(query, "format", ("text", "json")), pattern(query, "filter")
    chosen = [cluster for cluster in facts.runtime.clusters if wanted is None or wanted.search(cluster.config.name)]
    if shape == "text":
        return Answer(body="".join(map(_text, chosen)))
    message = proto.admin_clusters.Clusters(cluster_statuses=[_status(cluster) for cluster in chosen])
    return Answer(body=json_format.MessageToJson(message, preserving_proto_field_name=True, indent=1) + "\n", content_type=JSON)


def _text(cluster: "Cluster") -> str:
    config = cluster.config
    facts: list[tuple[str, Any]] = [("observability_name", config.alt_stat_name or config.name)]
    facts += _averages(cluster)
    for priority, limits in (("default", config.limits), ("high", config.high_limits)):
        facts += [(f"{priority}_priority::{name}", getattr(limits, name)) for name in _LIMITS]
    facts.append(("added_via_api", str(config.added_via_api).lower()))
    if config.eds_name:
        facts.append(("eds_service_name", config.eds_name))
    lines = [f"{config.name}::{name}::{value}\n" for name, value in facts]
    return "".join(lines + [f"{config.name}::{line}\n" for endpoint in cluster.endpoints for line in _host_lines(endpoint)])


def _host_lines(endpoint: "Endpoint") -> list[str]:
    config = endpoint.config
    external, local = _rates(endpoint)
    facts: list[tuple[str, Any]] = [(name, getattr(endpoint, name)) for name in _TEXT_COUNTERS]
    facts += [
        ("hostname", config.hostname),
        ("health_flags", _flags(endpoint)),
        ("weight", config.weight),
        ("region", config.region),
        ("zone", config.zone),
        ("sub_zone", config.sub_zone),
        ("canary", "false"),
        ("priority", config.priority),
        ("success_rate", f"{external:g}"),
        ("local_origin_success_rate", f"{local:g}"),
    ]
    return [f"{config.address}::{name}::{value}" for name, value in facts]


def _status(cluster: "Cluster") -> Any:
    config = cluster.config
    status = proto.admin_clusters.ClusterStatus(
        name=config.name,
        added_via_api=config.added_via_api,
        observability_name=config.alt_stat_name or config.name,
        eds_service_name=config.eds_name,
        host_statuses=[_host(endpoint) for endpoint in cluster.endpoints],
    )
    for priority, limits in ((proto.base.DEFAULT, config.limits), (proto.base.HIGH, config.high_limits)):
        threshold = status.circuit_breakers.thresholds.add(priority=priority)
        for name in _LIMITS:
            getattr(threshold, name).value = getattr(limits, name)
    for origin, (_, lowest) in _compared(cluster):
        if lowest >= 0:
            getattr(status, f"{origin}success_rate_ejection_threshold").value = lowest
    return status


def _compared(cluster: "Cluster") -> "list[tuple[str, tuple[float, float]]]":
    """By the prefix of its names, what outlier detection compares success rates with."""
    detector = cluster.watchman.detector if cluster.watchman is not None else None
    return list(detector.averages.items()) if detector is not None else []


def _averages(cluster: "Cluster") -> list[tuple[str, str]]:
    facts = []
    for origin, (mean, lowest) in _compared(cluster):
        facts += [(f"outlier::{origin}success_rate_average", f"{mean:g}")]
        facts += [(f"outlier::{origin}success_rate_ejection_threshold", f"{lowest:g}")]
    return facts


def _rates(endpoint: "Endpoint") -> tuple[float, float]:
    """Success rates of the last interval in percent, of answers and of connections."""
    outlier = endpoint.watch.outlier if endpoint.watch is not None else None
    return (outlier.external.rate, outlier.local.rate) if outlier is not None else (UNKNOWN, UNKNOWN)


def _checked(endpoint: "Endpoint") -> dict[str, bool]:
    """What active health checks say of it besides whether it is well."""
    checkup = endpoint.watch.checkup if endpoint.watch is not None else None
    return {
        "pending_dynamic_removal": endpoint.leaving,
        "pending_active_hc": checkup is not None and endpoint.unjudged and not checkup.told,
        "excluded_via_immediate_hc_fail": checkup is not None and checkup.told,
        "active_hc_timeout": checkup is not None and checkup.timed_out,
    }


def _flags(endpoint: "Endpoint") -> str:
    """Envoy's words for why it is not healthy, in Envoy's order."""
    flags = (
        ("/failed_active_hc", endpoint.failed_check),
        ("/failed_outlier_check", endpoint.ejected),
        ("/degraded_active_hc", endpoint.degraded_check),
        (_ASSIGNED_FLAGS.get(endpoint.config.health, ""), True),
        *((f"/{name}", raised) for name, raised in _checked(endpoint).items()),
    )
    return "".join(flag for flag, raised in flags if raised) or "healthy"


def _host(endpoint: "Endpoint") -> Any:
    config = endpoint.config
    host = proto.admin_clusters.HostStatus(weight=config.weight, hostname=config.hostname, priority=config.priority)
    if config.host.startswith("/"):
        host.address.pipe.path = config.host
    else:
        host.address.socket_address.address = config.host
        host.address.socket_address.port_value = config.port
    host.locality.region, host.locality.zone, host.locality.sub_zone = config.region, config.zone, config.sub_zone
    known = Health.HEALTHY if config.health is Health.UNKNOWN else config.health  # what nobody calls sick, Envoy calls healthy
    host.health_status.eds_health_status = known.value
    host.health_status.failed_outlier_check = endpoint.ejected
    host.health_status.failed_active_health_check = endpoint.failed_check
    host.health_status.failed_active_degraded_check = endpoint.degraded_check
    for name, raised in _checked(endpoint).items():
        setattr(host.health_status, name, raised)
    for name, rate in zip(("success_rate", "local_origin_success_rate"), _rates(endpoint), strict=True):
        if rate >= 0:
            getattr(host, name).value = rate
    for kind, names in ((_COUNTER, _COUNTERS), (_GAUGE, _GAUGES)):
        for name in names:
            host.stats.add(type=kind, name=name, value=getattr(endpoint, name))
    return host


COMMANDS = (Command(path="/clusters", help="print clusters and their endpoints (filter, format=text|json)", run=clusters),)
