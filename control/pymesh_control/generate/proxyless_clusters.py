"""Traffic policies as gRPC clients know them (gRFC A32, A37, A42, A50): limits of requests, balancing, outlier detection."""

from typing import Any

from pymesh.xds import proto

from ..model.destination import Policy
from . import balancing, outlier
from .common import ADS, UNLIMITED

_CLUSTER = proto.cluster.Cluster
_LARGEST_RING = 8 * 1024 * 1024
"""A cluster that asks for more is refused."""
_ENVOYS_ROW = 5
"""Errors in a row that eject where nobody says how many."""
_FAILING = 99
"""Percent of calls: an endpoint above it had hardly a success."""


def apply(message: Any, policy: Policy) -> None:
    """Set what a policy asks for, as far as the client can do it."""
    _limit(message, policy.connection_pool)
    _balance(message, policy)
    if policy.outlier_detection:
        message.outlier_detection.CopyFrom(detection(policy.outlier_detection))


def find_by_eds(message: Any) -> None:
    """Have the client ask for the cluster's endpoints."""
    message.type = _CLUSTER.EDS
    message.eds_cluster_config.eds_config.CopyFrom(ADS)
    message.eds_cluster_config.service_name = message.name


def find_by_dns(message: Any, assignment: Any) -> None:
    """Have the client resolve the only endpoint's name."""
    message.type = _CLUSTER.LOGICAL_DNS
    message.load_assignment.CopyFrom(assignment)


def _limit(message: Any, pool: Any) -> None:
    """The one circuit breaker that clients have. They have it also without being told, at 1024; Istio has none by default."""
    wanted = (pool and pool.http and pool.http.http2_max_requests) or UNLIMITED
    message.circuit_breakers.thresholds.add().max_requests.value = wanted


def _balance(message: Any, policy: Policy) -> None:
    """By a ring where requests are to be told apart (Maglev is unknown here), else in turn, which is what else there is."""
    balancing.apply(message, policy)
    hashed = message.lb_policy in (_CLUSTER.RING_HASH, _CLUSTER.MAGLEV)
    ring = min(message.ring_hash_lb_config.minimum_ring_size.value, _LARGEST_RING)
    message.ClearField("lb_config")
    message.lb_policy = _CLUSTER.RING_HASH if hashed else _CLUSTER.ROUND_ROBIN
    if hashed and ring:
        message.ring_hash_lb_config.minimum_ring_size.value = ring


def detection(wanted: Any) -> Any:
    """Outlier detection by failure percentage.

    Clients do not count errors in a row. So many calls within one interval, all of them failed, are such a row: what they
    eject, a proxy would have ejected too, as long as the errors are of the kind that it counts.
    """
    message = proto.outlier.OutlierDetection()
    settled = outlier.detection(wanted)
    for name in ("interval", "base_ejection_time", "max_ejection_percent"):
        if settled.HasField(name):
            getattr(message, name).CopyFrom(getattr(settled, name))
    message.enforcing_success_rate.value = 0
    count = _smallest_row(settled)
    message.enforcing_failure_percentage.value = 100 if count else 0
    message.failure_percentage_threshold.value = _FAILING
    message.failure_percentage_minimum_hosts.value = 1
    message.failure_percentage_request_volume.value = count
    return message


def _smallest_row(settled: Any) -> int:
    """The number of errors in a row that ejects; 0 when none does. Without being told it is Envoy's own 5."""
    rows = [settled.consecutive_5xx.value if settled.HasField("consecutive_5xx") else _ENVOYS_ROW]
    if settled.HasField("consecutive_gateway_failure"):
        rows.append(settled.consecutive_gateway_failure.value)
    return min((row for row in rows if row), default=0)
