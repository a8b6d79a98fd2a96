"""/clusters: every cluster with its endpoints, counters and health, as text or as Envoy's Clusters message."""

from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from pymesh.xds import proto

from ..upstream.config import Health
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

_HEALTH_FLAGS = {
    Health.UNKNOWN: "healthy",
    Health.HEALTHY: "healthy",
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
    for priority, limits in (("default", config.limits), ("high", config.high_limits)):
        facts += [(f"{priority}_priority::{name}", getattr(limits, name)) for name in _LIMITS]
    facts.append(("added_via_api", str(config.added_via_api).lower()))
    if config.eds_name:
        facts.append(("eds_service_name", config.eds_name))
    lines = [f"{config.name}::{name}::{value}\n" for name, value in facts]
    return "".join(lines + [f"{config.name}::{line}\n" for endpoint in cluster.endpoints for line in _host_lines(endpoint)])


def _host_lines(endpoint: "Endpoint") -> list[str]:
    config = endpoint.config
    facts: list[tuple[str, Any]] = [(name, getattr(endpoint, name)) for name in _TEXT_COUNTERS]
    facts += [
        ("hostname", config.hostname),
        ("health_flags", _HEALTH_FLAGS[config.health]),
        ("weight", config.weight),
        ("region", config.region),
        ("zone", config.zone),
        ("sub_zone", config.sub_zone),
        ("canary", "false"),
        ("priority", config.priority),
        ("success_rate", -1),
        ("local_origin_success_rate", -1),
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
    return status


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
    for kind, names in ((_COUNTER, _COUNTERS), (_GAUGE, _GAUGES)):
        for name in names:
            host.stats.add(type=kind, name=name, value=getattr(endpoint, name))
    return host


COMMANDS = (Command(path="/clusters", help="print clusters and their endpoints (filter, format=text|json)", run=clusters),)
