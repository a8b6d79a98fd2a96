"""Ejections and returns as lines of JSON: Envoy's OutlierDetectionEvent, each of its plain fields in each line."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from .outlier import Detector, HostMonitor
from .outlier_config import Ejection

_RATES = (Ejection.SUCCESS_RATE, Ejection.SUCCESS_RATE_LOCAL_ORIGIN)
_PERCENTAGES = (Ejection.FAILURE_PERCENTAGE, Ejection.FAILURE_PERCENTAGE_LOCAL_ORIGIN)
_LOCAL = (Ejection.SUCCESS_RATE_LOCAL_ORIGIN, Ejection.FAILURE_PERCENTAGE_LOCAL_ORIGIN)


class EventLog:
    """The events of one cluster."""

    __slots__ = ("_clock", "_cluster", "_now", "_write", "detector")

    def __init__(self, cluster: str, write: Callable[[str], None], clock: Callable[[], float], now: Callable[[], datetime]) -> None:
        """`clock` is the detector's, in seconds; `now` gives the time of day in UTC."""
        self._cluster = cluster
        self._write = write
        self._clock = clock
        self._now = now
        self.detector: Detector | None = None

    def report(self, monitor: HostMonitor, reason: Ejection | None, enforced: bool) -> None:
        """One line; a return has no reason, and Envoy writes the first of them for it."""
        since = monitor.ejected_at if reason is None else monitor.returned_at
        event: dict[str, object] = {
            "type": (reason or Ejection.CONSECUTIVE_5XX).name,
            "cluster_name": self._cluster,
            "upstream_url": monitor.endpoint.address,
            "action": "EJECT" if reason is not None else "UNEJECT",
            "num_ejections": monitor.ejections,
            "enforced": enforced,
        }
        if reason is not None:
            name, facts = self._facts(monitor, reason)
            event[name] = facts
        event["timestamp"] = _stamp(self._now())
        if since is not None:
            event["secs_since_last_action"] = str(int(self._clock() - since))
        self._write(json.dumps(event, separators=(",", ":")) + "\n")

    def _facts(self, monitor: HostMonitor, reason: Ejection) -> tuple[str, dict[str, int]]:
        rate = int((monitor.local if reason in _LOCAL else monitor.external).past_rate) if reason in _RATES + _PERCENTAGES else 0
        if reason in _RATES:
            assert self.detector is not None
            mean, lowest = self.detector.averages["local_origin_" if reason in _LOCAL else ""]
            return "eject_success_rate_event", {
                "host_success_rate": rate,
                "cluster_average_success_rate": int(mean),
                "cluster_success_rate_ejection_threshold": max(0, int(lowest)),
            }
        if reason in _PERCENTAGES:
            return "eject_failure_percentage_event", {"host_success_rate": rate}
        return "eject_consecutive_event", {}


def _stamp(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
