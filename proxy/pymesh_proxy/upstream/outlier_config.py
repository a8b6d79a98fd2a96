"""Outlier detection as configuration says it, compiled and immutable. Times are seconds, shares are percent."""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from ..http.headers import ResponseHead


class Ejection(enum.Enum):
    """Why an endpoint is thrown out; the value is its name in statistics, the member's name the one in the event log."""

    CONSECUTIVE_5XX = "consecutive_5xx"
    CONSECUTIVE_GATEWAY_FAILURE = "consecutive_gateway_failure"
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE = "consecutive_local_origin_failure"
    SUCCESS_RATE = "success_rate"
    SUCCESS_RATE_LOCAL_ORIGIN = "local_origin_success_rate"
    FAILURE_PERCENTAGE = "failure_percentage"
    FAILURE_PERCENTAGE_LOCAL_ORIGIN = "local_origin_failure_percentage"


ENFORCING = {
    Ejection.CONSECUTIVE_5XX: 100,
    Ejection.CONSECUTIVE_GATEWAY_FAILURE: 0,
    Ejection.CONSECUTIVE_LOCAL_ORIGIN_FAILURE: 100,
    Ejection.SUCCESS_RATE: 100,
    Ejection.SUCCESS_RATE_LOCAL_ORIGIN: 100,
    Ejection.FAILURE_PERCENTAGE: 0,
    Ejection.FAILURE_PERCENTAGE_LOCAL_ORIGIN: 0,
}
"""How many of a hundred detections have a consequence, unless configuration says otherwise (Envoy's defaults)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierConfig:
    """A cluster's `outlier_detection`, with Envoy's defaults."""

    consecutive_5xx: int = 5
    consecutive_gateway_failure: int = 5
    consecutive_local_origin_failure: int = 5
    split_local_origin: bool = False
    """Failures to reach an endpoint are counted apart from its answers."""
    interval: float = 10.0
    base_ejection_time: float = 30.0
    max_ejection_time: float = 300.0
    max_ejection_time_jitter: float = 0.0
    max_ejection_percent: int = 10
    always_eject_one: bool = False
    success_rate_minimum_hosts: int = 5
    success_rate_request_volume: int = 100
    success_rate_stdev_factor: int = 1900
    """In thousandths."""
    failure_percentage_threshold: int = 85
    failure_percentage_minimum_hosts: int = 5
    failure_percentage_request_volume: int = 50
    check_returns: bool = True
    """An active health check that succeeds ends an ejection (successful_active_health_check_uneject_host)."""
    error: Callable[[ResponseHead], bool] | None = None
    """Which answers are errors; None for those of the statuses 500 to 599."""
    enforcing: dict[Ejection, int] = field(default_factory=lambda: dict(ENFORCING))
