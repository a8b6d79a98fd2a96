"""Outlier detection of a cluster, and where a bootstrap wants its events written."""

from ..route.retry_policy import AnswerTest
from ..upstream.config import Discovery
from ..upstream.outlier_config import ENFORCING, Ejection, OutlierConfig
from .fields import Reader

_ENFORCING = {
    "enforcing_consecutive_5xx": Ejection.CONSECUTIVE_5XX,
    "enforcing_consecutive_gateway_failure": Ejection.CONSECUTIVE_GATEWAY_FAILURE,
    "enforcing_consecutive_local_origin_failure": Ejection.CONSECUTIVE_LOCAL_ORIGIN_FAILURE,
    "enforcing_success_rate": Ejection.SUCCESS_RATE,
    "enforcing_local_origin_success_rate": Ejection.SUCCESS_RATE_LOCAL_ORIGIN,
    "enforcing_failure_percentage": Ejection.FAILURE_PERCENTAGE,
    "enforcing_failure_percentage_local_origin": Ejection.FAILURE_PERCENTAGE_LOCAL_ORIGIN,
}

_NUMBERS = {
    "consecutive_5xx": 5,
    "consecutive_gateway_failure": 5,
    "consecutive_local_origin_failure": 5,
    "max_ejection_percent": 10,
    "success_rate_minimum_hosts": 5,
    "success_rate_request_volume": 100,
    "success_rate_stdev_factor": 1900,
    "failure_percentage_threshold": 85,
    "failure_percentage_minimum_hosts": 5,
    "failure_percentage_request_volume": 50,
}

_OTHERS = (
    "interval",
    "base_ejection_time",
    "max_ejection_time",
    "max_ejection_time_jitter",
    "split_external_local_origin_errors",
    "successful_active_health_check_uneject_host",
    "always_eject_one_host",
)


def outlier_detection(cluster: Reader, discovery: Discovery, error: AnswerTest | None = None) -> OutlierConfig | None:
    """A cluster's `outlier_detection`; None where there is none, or no choice that it could influence (ORIGINAL_DST).

    `error` is what the cluster's HTTP options say of which answers are errors.
    """
    reader = cluster.child("outlier_detection")
    if reader is None:
        return None
    reader.only(*_NUMBERS, *_ENFORCING, *_OTHERS)
    base = reader.seconds("base_ejection_time", 30.0)
    longest = reader.seconds("max_ejection_time", max(300.0, base))
    if longest < base:
        reader.refuse("max_ejection_time", f"{longest:g} s is shorter than base_ejection_time, {base:g} s")
    config = OutlierConfig(
        interval=reader.seconds("interval", 10.0),
        base_ejection_time=base,
        max_ejection_time=longest,
        max_ejection_time_jitter=reader.seconds("max_ejection_time_jitter", 0.0),
        split_local_origin=reader.message.split_external_local_origin_errors,
        always_eject_one=reader.wrapped("always_eject_one_host", False),
        check_returns=reader.wrapped("successful_active_health_check_uneject_host", True),
        error=error,
        enforcing={reason: reader.wrapped(name, ENFORCING[reason]) for name, reason in _ENFORCING.items()},
        **{name: reader.wrapped(name, default) for name, default in _NUMBERS.items()},
    )
    return None if discovery is Discovery.ORIGINAL_DST else config
