"""What checks make of one endpoint: a decision without I/O.

    NEW --success--> WELL          NEW --failure--> SICK
    WELL --failure that is final, or the last of the threshold--> SICK
    SICK --last success of the threshold--> WELL
"""

import enum
from collections.abc import Callable

from .endpoint import Endpoint
from .health_config import HealthCheckConfig


class Outcome(enum.Enum):
    """How a check ended."""

    SUCCESS = "as it should be"
    DEGRADED = "a success, of an endpoint that says that it is degraded"
    FAILURE = "the wrong answer"
    RETRIABLE = "a wrong answer that counts towards the threshold only"
    NETWORK = "no answer"
    TIMEOUT = "no answer in time"
    PASSIVE = "an answer to a request of a client said so"


_GOOD = frozenset((Outcome.SUCCESS, Outcome.DEGRADED))
_COUNTED = frozenset((Outcome.RETRIABLE, Outcome.NETWORK, Outcome.TIMEOUT))
"""Failures of which there may be some before an endpoint is sick."""
_NETWORK = frozenset((Outcome.NETWORK, Outcome.TIMEOUT))

COUNTERS = ("attempt", "failure", "network_failure", "passive_failure", "success", "verify_cluster")


class State(enum.Enum):
    """What is known of the endpoint."""

    NEW = "nobody has looked"
    WELL = "well"
    SICK = "sick"


class Checkup:
    """The record of one endpoint."""

    __slots__ = ("_config", "_counts", "_row", "degraded", "edge", "endpoint", "last", "state", "timed_out", "told")

    def __init__(self, endpoint: Endpoint, config: HealthCheckConfig, counts: dict[str, int]) -> None:
        """`counts` are the cluster's, by Envoy's names."""
        self.endpoint = endpoint
        self._config = config
        self._counts = counts
        self.state = State.NEW
        self._row = 0
        """How many checks in a row have contradicted the state."""
        self.edge = False
        """The last check contradicted the state, and was not enough to change it."""
        self.last = Outcome.FAILURE
        self.degraded = False
        self.told = False
        """The endpoint, or a client's answer of it, has asked for no more traffic until a check finds it well."""
        self.timed_out = False
        endpoint.failed_check = True

    def __repr__(self) -> str:
        return f"<Checkup {self.endpoint.address} {self.state.name} row={self._row} last={self.last.name}>"

    def judge(self, outcome: Outcome) -> bool:
        """A check has ended, or traffic has told; whether the endpoint's standing may be another one now."""
        before = self._standing
        good = outcome in _GOOD
        self._count(outcome)
        self.last = outcome
        self.edge = False
        if good is not (self.state is State.WELL) or self.state is State.NEW:
            self._contradict(outcome)
        else:
            self._row = 0
        if good and self.state is State.WELL:
            self.degraded = outcome is Outcome.DEGRADED
            self.told = False
        self.timed_out = self.state is State.SICK and outcome is Outcome.TIMEOUT
        self.endpoint.failed_check = self.state is not State.WELL
        self.endpoint.degraded_check = self.degraded
        self.endpoint.unjudged = self.told
        return self._standing != before

    @property
    def _standing(self) -> tuple[State, bool, bool]:
        return self.state, self.degraded, self.endpoint.unjudged

    def _contradict(self, outcome: Outcome) -> None:
        """The first of all checks decides alone; so does a wrong answer. Otherwise it takes as many as the threshold says."""
        good = outcome in _GOOD
        threshold = self._config.healthy_threshold if good else self._config.unhealthy_threshold
        self._row += 1
        final = self.state is State.NEW or (not good and outcome not in _COUNTED)
        if final or self._row >= threshold:
            self.state = State.WELL if good else State.SICK
            self._row = 0
            if good:
                self.endpoint.healthy_since = 0.0  # slow start begins anew, as in Envoy
        else:
            self.edge = True

    def _count(self, outcome: Outcome) -> None:
        self._counts["success" if outcome in _GOOD else "failure"] += 1
        if outcome in _NETWORK:
            self._counts["network_failure"] += 1
        elif outcome is Outcome.PASSIVE:
            self._counts["passive_failure"] += 1

    def wait(self, *, traffic: bool, draw: Callable[[], float]) -> float:
        """Seconds until the next check. `traffic`: the cluster has ever had a connection; `draw` gives numbers from 0 up to 1."""
        config = self._config
        base = self._interval() if traffic else self._quiet_interval()
        base += draw() * base * config.interval_jitter_percent / 100 if config.interval_jitter_percent else 0.0
        return base + (draw() * config.interval_jitter if config.interval_jitter else 0.0)

    def _interval(self) -> float:
        config = self._config
        if self.last in _GOOD:
            return config.healthy_edge_interval if self.edge else config.interval
        return config.unhealthy_edge_interval if self.edge else config.unhealthy_interval

    def _quiet_interval(self) -> float:
        well = self.last in _GOOD and not self.edge
        return self._config.no_traffic_healthy_interval if well else self._config.no_traffic_interval
