"""Who keeps an eye on the endpoints of one cluster: the timer of its outlier detection."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..wheel import NEVER, Wheel
from .outlier import Detector
from .outlier_config import OutlierConfig
from .outlier_log import EventLog
from .watch import Watch

if TYPE_CHECKING:
    from .cluster import Cluster
    from .endpoint import Endpoint


class Watchman:
    """Beside a cluster as long as that serves. In the wheel for outlier detection's interval."""

    def __init__(self, cluster: "Cluster", wheel: Wheel, clock: Callable[[], float], log: Callable[[str], None] | None = None) -> None:
        """`log` takes the lines of the event log."""
        self._cluster = cluster
        self._wheel = wheel
        self._clock = clock
        self.detector = self._detect(cluster.config.outlier, log) if cluster.config.outlier is not None else None
        self.deadline = self.wake = NEVER
        self._rearm()

    def __repr__(self) -> str:
        return f"<Watchman {self._cluster.config.name} {self.detector!r}>"

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
        if self.detector is None:
            return
        self.detector.watch(endpoints)
        for monitor in self.detector.monitors:
            if monitor.endpoint.watch is None:
                monitor.endpoint.watch = Watch(monitor.endpoint, monitor)

    def on_deadline(self, now: float) -> None:
        """An interval of outlier detection is over."""
        if self.detector is not None:
            self.detector.tick()
            self._rearm()

    def _rearm(self) -> None:
        if self.detector is not None:
            self._wheel.arm(self, self._clock() + self.detector.config.interval)

    def reset_counters(self) -> None:
        """Set what only grows to zero."""
        if self.detector is not None:
            active = self.detector.counts["ejections_active"]
            self.detector.counts.update(dict.fromkeys(self.detector.counts, 0), ejections_active=active)

    def close(self) -> None:
        """The cluster serves no more."""
        self._wheel.arm(self, NEVER)
