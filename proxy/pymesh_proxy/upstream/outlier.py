"""Outlier detection: endpoints whose answers stand out are left alone for a while. Decisions only; time and chance come from outside.

An endpoint is in or out (`Endpoint.ejected`). Out it goes by a detection that is enforced and that the limits allow; in it comes at
the first interval after its time is over, when an active health check finds it well, or with a new cluster. Each time out is
longer than the one before; each interval in takes one step back. Rules and their order are Envoy's, measured on 1.40.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from . import success_rate
from .outlier_config import Ejection, OutlierConfig
from .success_rate import UNKNOWN, Tally

if TYPE_CHECKING:
    from .endpoint import Endpoint

_GATEWAY = frozenset((502, 503, 504))
_TOTALLED = (Ejection.CONSECUTIVE_5XX, Ejection.SUCCESS_RATE)
"""What `ejections_total` and the counters of the reason's bare name count: they are older than the other reasons."""

UNREACHABLE = 503
"""What a connection that failed or broke counts for, as if it had been answered."""
TIMED_OUT = 504
"""And one that said nothing in time."""

_COUNTERS = (
    "ejections_active", "ejections_enforced_total", "ejections_overflow", "ejections_total",
    *(f"ejections_{reason.value}" for reason in _TOTALLED),
    *(f"ejections_{stage}_{reason.value}" for reason in Ejection for stage in ("detected", "enforced")),
)  # fmt: skip

Report = Callable[["HostMonitor", Ejection | None, bool], None]
"""Told of each ejection (and whether it is enforced) and, with None, of each return."""


class HostMonitor:
    """What is known of one endpoint's answers."""

    __slots__ = (
        "_detector", "_errors", "_gateway_errors", "_local_failures", "ejected_at", "ejections", "endpoint", "error", "external", "gone",
        "local", "multiplier", "release_at", "returned_at",
    )  # fmt: skip

    def __init__(self, detector: "Detector", endpoint: "Endpoint") -> None:
        self._detector = detector
        self.endpoint = endpoint
        self.error = detector.config.error
        self.external = Tally()
        self.local = Tally()
        """Connections; only where they are counted apart."""
        self._errors = self._gateway_errors = self._local_failures = 0
        """How many of the last answers in a row were errors."""
        self.multiplier = 0
        """How many times the base time the next ejection is longer than nothing; grows with ejections, shrinks with quiet intervals."""
        self.ejections = 0
        self.ejected_at: float | None = None
        self.returned_at: float | None = None
        self.release_at = 0.0
        """When the ejection is over."""
        self.gone = False
        """The cluster has this endpoint no longer; requests that were under way may still tell of it."""

    def __repr__(self) -> str:
        state = f"out until {self.release_at:g}" if self.endpoint.ejected else "in"
        return f"<HostMonitor {self.endpoint.address} {state} errors={self._errors} times={self.multiplier}>"

    def answered(self, status: int) -> None:
        """It answered; `status` is HTTP's."""
        tally = self.external
        tally.total += 1
        if status < 500 or status > 599:
            tally.good += 1
            self._errors = self._gateway_errors = 0
            return
        config = self._detector.config
        self._gateway_errors = self._gateway_errors + 1 if status in _GATEWAY else 0
        if status in _GATEWAY and self._gateway_errors == config.consecutive_gateway_failure:
            self._detector.suspect(self, Ejection.CONSECUTIVE_GATEWAY_FAILURE)
        self._errors += 1
        if self._errors == config.consecutive_5xx:
            self._detector.suspect(self, Ejection.CONSECUTIVE_5XX)

    def failed(self, status: int) -> None:
        """It could not be reached, or did not say a thing in time: an error of the given status, unless such failures count apart."""
        if not self._detector.config.split_local_origin:
            self.answered(status)
            return
        self.local.total += 1
        self._local_failures += 1
        if self._local_failures == self._detector.config.consecutive_local_origin_failure:
            self._detector.suspect(self, Ejection.CONSECUTIVE_LOCAL_ORIGIN_FAILURE)

    def connected(self, *, final: bool = False) -> None:
        """It was reached. `final`: that is all that can be said of it, for what it speaks is not understood here."""
        if self._detector.config.split_local_origin:
            self.local.total += 1
            self.local.good += 1
            self._local_failures = 0
        elif final:
            self.answered(200)

    def forget(self, reason: Ejection) -> None:
        """A row of errors has been noticed: the next one is counted from its beginning, even if this one had no consequence."""
        if reason is Ejection.CONSECUTIVE_5XX:
            self._errors = 0
        elif reason is Ejection.CONSECUTIVE_GATEWAY_FAILURE:
            self._gateway_errors = 0
        else:
            self._local_failures = 0

    def eject(self, now: float, jitter: float) -> None:
        """Out, for a time that grows."""
        config = self._detector.config
        base, longest = config.base_ejection_time, config.max_ejection_time
        if self.multiplier * base < longest + base:
            self.multiplier += 1
        self.endpoint.ejected = True
        self.ejections += 1
        self.ejected_at = now
        self.release_at = now + min(base * self.multiplier, longest) + jitter

    def take_back(self, now: float) -> None:
        """In again, with a clean sheet."""
        self.endpoint.ejected = False
        self.returned_at = now
        self._errors = self._gateway_errors = self._local_failures = 0

    def turn(self) -> None:
        """An interval is over."""
        self.external.turn()
        self.local.turn()


class Detector:
    """The endpoints of one cluster beside each other."""

    __slots__ = ("_by_endpoint", "_clock", "_draw", "_on_change", "_report", "averages", "config", "counts")

    def __init__(
        self,
        config: OutlierConfig,
        *,
        clock: Callable[[], float],
        draw: Callable[[], float],
        on_change: Callable[[], None],
        report: Report | None = None,
    ) -> None:
        """`clock` gives seconds, `draw` a random number from 0 up to 1, `on_change` is called when an endpoint has gone or come back."""
        self.config = config
        self._clock = clock
        self._draw = draw
        self._on_change = on_change
        self._report = report
        self._by_endpoint: dict[Endpoint, HostMonitor] = {}
        self.counts = dict.fromkeys(_COUNTERS, 0)
        """By Envoy's names, without the prefix `outlier_detection.`."""
        self.averages = {"": (UNKNOWN, UNKNOWN), "local_origin_": (UNKNOWN, UNKNOWN)}
        """The mean success rate and the one below which an endpoint goes, of answers and of connections; for /clusters."""

    def __repr__(self) -> str:
        return f"<Detector {self.counts['ejections_active']} of {len(self._by_endpoint)} out>"

    @property
    def monitors(self) -> list[HostMonitor]:
        """Of the cluster's endpoints, in their order."""
        return list(self._by_endpoint.values())

    def watch(self, endpoints: "Iterable[Endpoint]") -> None:
        """These are the cluster's endpoints now; those that stay keep what is known of them."""
        known = self._by_endpoint
        self._by_endpoint = {endpoint: known.get(endpoint) or HostMonitor(self, endpoint) for endpoint in endpoints}
        for endpoint, monitor in known.items():
            monitor.gone = endpoint not in self._by_endpoint
        self.counts["ejections_active"] = sum(endpoint.ejected for endpoint in self._by_endpoint)

    def of(self, endpoint: "Endpoint") -> HostMonitor | None:
        """What is known of one endpoint."""
        return self._by_endpoint.get(endpoint)

    def suspect(self, monitor: HostMonitor, reason: Ejection) -> None:
        """A row of errors is complete."""
        if monitor.endpoint.ejected or monitor.gone:
            return  # answers to requests that were under way
        self._detect(monitor, reason)
        monitor.forget(reason)

    def _detect(self, monitor: HostMonitor, reason: Ejection) -> None:
        counts = self.counts
        counts[f"ejections_detected_{reason.value}"] += 1
        if reason in _TOTALLED:
            counts[f"ejections_{reason.value}"] += 1
        if not self._may_eject():
            counts["ejections_overflow"] += 1
            return
        if reason in _TOTALLED:
            counts["ejections_total"] += 1
        enforced = self._draw() * 100 < self.config.enforcing[reason]
        if enforced:
            counts["ejections_active"] += 1
            counts["ejections_enforced_total"] += 1
            counts[f"ejections_enforced_{reason.value}"] += 1
            monitor.eject(self._clock(), self._draw() * self.config.max_ejection_time_jitter)
            self._on_change()
        if self._report is not None:
            self._report(monitor, reason, enforced)

    def _may_eject(self) -> bool:
        active = self.counts["ejections_active"]
        if not active and self.config.always_eject_one:
            return True
        return 100 * (active + 1) <= self.config.max_ejection_percent * len(self._by_endpoint)

    def tick(self) -> None:
        """An interval is over: let those return whose time has come, then compare the others."""
        now = self._clock()
        for monitor in self.monitors:
            if not monitor.endpoint.ejected:
                monitor.multiplier = max(0, monitor.multiplier - 1)
            elif monitor.release_at <= now:
                self._take_back(monitor, now)
            monitor.turn()
        self._compare("", Ejection.SUCCESS_RATE, Ejection.FAILURE_PERCENTAGE)
        self._compare("local_origin_", Ejection.SUCCESS_RATE_LOCAL_ORIGIN, Ejection.FAILURE_PERCENTAGE_LOCAL_ORIGIN)

    def proven_well(self, endpoint: "Endpoint") -> None:
        """An active health check has found it healthy."""
        monitor = self.of(endpoint) if self.config.check_returns and endpoint.ejected else None
        if monitor is not None:
            self._take_back(monitor, self._clock())

    def _take_back(self, monitor: HostMonitor, now: float) -> None:
        self.counts["ejections_active"] -= 1
        monitor.take_back(now)
        self._on_change()
        if self._report is not None:
            self._report(monitor, None, False)

    def _compare(self, origin: str, slow: Ejection, broken: Ejection) -> None:
        """Success rates beside each other and beside a fixed threshold, of answers or of connections."""
        config = self.config
        self.averages[origin] = (UNKNOWN, UNKNOWN)
        if len(self._by_endpoint) < min(config.success_rate_minimum_hosts, config.failure_percentage_minimum_hosts):
            return
        seen = [(monitor, tally) for monitor, tally in self._tallies(origin) if not monitor.endpoint.ejected and tally.past_total]
        for _, tally in seen:
            if tally.past_total >= min(config.success_rate_request_volume, config.failure_percentage_request_volume):
                tally.rate = tally.past_rate
        compared = [(monitor, tally.past_rate) for monitor, tally in seen if tally.past_total >= config.success_rate_request_volume]
        measured = [(monitor, tally.past_rate) for monitor, tally in seen if tally.past_total >= config.failure_percentage_request_volume]
        if compared and len(compared) >= config.success_rate_minimum_hosts:
            rates = [rate for _, rate in compared]
            self.averages[origin] = _, lowest = success_rate.threshold(rates, config.success_rate_stdev_factor / 1000)
            self._detect_all((monitor for monitor, rate in compared if rate < lowest), slow)
        if measured and len(measured) >= config.failure_percentage_minimum_hosts:
            self._detect_all((monitor for monitor, rate in measured if 100 - rate >= config.failure_percentage_threshold), broken)

    def _tallies(self, origin: str) -> list[tuple[HostMonitor, Tally]]:
        return [(monitor, monitor.local if origin else monitor.external) for monitor in self.monitors]

    def _detect_all(self, monitors: Iterable[HostMonitor], reason: Ejection) -> None:
        for monitor in monitors:
            if not monitor.endpoint.ejected:
                self._detect(monitor, reason)
