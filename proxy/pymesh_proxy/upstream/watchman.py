"""Who keeps an eye on the endpoints of one cluster: outlier detection with its timer, and active health checks."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..wheel import NEVER
from .checkup import Checkup, Outcome, State
from .health_check import ClusterChecks
from .outlier import Detector
from .outlier_config import OutlierConfig
from .outlier_log import EventLog
from .watch import Watch

if TYPE_CHECKING:
    from ..runtime import Runtime
    from .cluster import Cluster
    from .endpoint import Endpoint


class Watchman:
    """Beside a cluster as long as that serves. In the wheel for outlier detection's interval."""

    def __init__(self, runtime: "Runtime", cluster: "Cluster", log: Callable[[str], None] | None = None) -> None:
        """`log` takes the lines of outlier detection's event log."""
        config = cluster.config
        self._cluster = cluster
        self._wheel = runtime.wheel
        self._loop = runtime.loop
        self._clock = runtime.loop.time
        self.detector = self._detect(config.outlier, log) if config.outlier is not None else None
        self.checks = ClusterChecks(runtime, cluster, config.health_check, self._checked) if config.health_check is not None else None
        self._waiting: Callable[[], None] | None = None
        self.deadline = self.wake = NEVER
        self._rearm()

    def __repr__(self) -> str:
        return f"<Watchman {self._cluster.config.name} {self.detector!r} {self.checks!r}>"

    def _detect(self, config: OutlierConfig, log: Callable[[str], None] | None) -> Detector:
        events = EventLog(self._cluster.config.name, log, self._clock, lambda: datetime.now(UTC)) if log is not None else None
        detector = Detector(
            config,
            clock=self._clock,
            draw=random.random,
            on_change=self._cluster.rebalance,
            report=events.report if events is not None else None,
        )
        if events is not None:
            events.detector = detector
        return detector

    def watch(self, endpoints: "list[Endpoint]") -> None:
        """The cluster's endpoints have changed."""
        if self.detector is not None:
            self.detector.watch(endpoints)
        if self.checks is not None:
            self.checks.watch(endpoints)
        for endpoint in endpoints:
            if endpoint.watch is None:
                endpoint.watch = self._watch(endpoint)
            elif self.checks is not None:
                endpoint.watch.checkup = self.checks.of(endpoint)
        if self._waiting is not None:  # for one that may have gone
            self._loop.call_soon(self._tell_if_checked)

    def _watch(self, endpoint: "Endpoint") -> Watch:
        outlier = self.detector.of(endpoint) if self.detector is not None else None
        if self.checks is None:
            return Watch(endpoint, outlier)
        return Watch(endpoint, outlier, self.checks.of(endpoint), self.checks.tell_sick)

    def when_checked(self, done: Callable[[], None]) -> bool:
        """Whether an endpoint has yet to be looked at; if so, `done` is called when none has any more."""
        if self.checks is None or self.checks.done:
            return False
        self._waiting = done
        return True

    def _checked(self, checkup: Checkup, outcome: Outcome) -> None:
        if self.detector is not None and checkup.state is State.WELL and outcome in (Outcome.SUCCESS, Outcome.DEGRADED):
            self.detector.proven_well(checkup.endpoint)
        self._tell_if_checked()

    def _tell_if_checked(self) -> None:
        if self._waiting is not None and self.checks is not None and self.checks.done:
            done, self._waiting = self._waiting, None
            done()

    def on_deadline(self, now: float) -> None:
        """An interval of outlier detection is over."""
        if self.detector is not None:
            self.detector.tick()
            self._rearm()

    def _rearm(self) -> None:
        if self.detector is not None:
            self._wheel.arm(self, self._clock() + self.detector.config.interval)

    def statistics(self) -> list[tuple[str, int]]:
        """What is counted, by Envoy's names."""
        found = []
        if self.detector is not None:
            found += [(f"outlier_detection.{name}", value) for name, value in self.detector.counts.items()]
        if self.checks is not None:
            found += [(f"health_check.{name}", value) for name, value in self.checks.statistics().items()]
        return found

    def reset_counters(self) -> None:
        """Set what only grows to zero."""
        if self.detector is not None:
            active = self.detector.counts["ejections_active"]
            self.detector.counts.update(dict.fromkeys(self.detector.counts, 0), ejections_active=active)
        if self.checks is not None:
            self.checks.counts.update(dict.fromkeys(self.checks.counts, 0))

    def close(self) -> None:
        """The cluster serves no more."""
        self._waiting = None
        self._wheel.arm(self, NEVER)
        if self.detector is not None:
            self.detector.watch(())
        if self.checks is not None:
            self.checks.stop()
