"""Outlier detection's decisions: single rules, then everything against a slow model that keeps all of history."""

import statistics
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.config import EndpointConfig
from pymesh_proxy.upstream.endpoint import Endpoint
from pymesh_proxy.upstream.outlier import Detector
from pymesh_proxy.upstream.outlier_config import ENFORCING, Ejection, OutlierConfig


class Watched:
    """A detector over some endpoints, with a clock that the test turns."""

    def __init__(self, hosts=4, draw=lambda: 0.5, **settings):
        self.now = 0.0
        self.changes = 0
        self.reports = []
        self.endpoints = [Endpoint(EndpointConfig(host=f"10.0.0.{number}", port=80), None) for number in range(hosts)]
        config = OutlierConfig(**{"max_ejection_percent": 100, **settings})
        self.detector = Detector(config, clock=lambda: self.now, draw=draw, on_change=self._change, report=self._report)
        self.detector.watch(self.endpoints)
        self.monitors = self.detector.monitors

    def _change(self):
        self.changes += 1

    def _report(self, monitor, reason, enforced):
        self.reports.append((monitor.endpoint.address, reason, enforced))

    @property
    def out(self):
        return [number for number, endpoint in enumerate(self.endpoints) if endpoint.ejected]

    def counts(self):
        return {name: value for name, value in self.detector.counts.items() if value}

    def answer(self, host, *statuses):
        for status in statuses:
            self.monitors[host].answered(status)

    def tick(self, seconds=10.0):
        self.now += seconds
        self.detector.tick()


def test_errors_count_only_in_a_row():
    watched = Watched(consecutive_5xx=3)
    watched.answer(0, 500, 503, 404, 500, 500)
    assert watched.out == []
    watched.answer(0, 599)
    assert watched.out == [0]
    assert watched.changes == 1
    assert watched.reports == [("10.0.0.0:80", Ejection.CONSECUTIVE_5XX, True)]


def test_gateway_failures_are_interrupted_by_other_errors():
    enforcing = {**ENFORCING, Ejection.CONSECUTIVE_GATEWAY_FAILURE: 100}
    watched = Watched(consecutive_5xx=100, consecutive_gateway_failure=2, enforcing=enforcing)
    watched.answer(1, 502, 500, 503)
    assert watched.out == []
    watched.answer(1, 504)
    assert watched.out == [1]


def test_statuses_beyond_599_are_no_errors():
    watched = Watched(consecutive_5xx=1)
    watched.answer(0, 600, 999, 499, 100)
    assert watched.out == []


def test_failures_to_connect_count_as_answers_unless_they_are_split():
    watched = Watched(consecutive_5xx=2)
    watched.monitors[0].failed(503)
    watched.monitors[0].connected()
    watched.monitors[0].failed(504)
    assert watched.out == [0], "a connection says nothing of the answer that follows"
    apart = Watched(consecutive_5xx=1, consecutive_local_origin_failure=2, split_local_origin=True)
    apart.monitors[0].failed(503)
    apart.monitors[0].connected()
    apart.monitors[0].failed(503)
    assert apart.out == []
    apart.monitors[0].failed(503)
    assert apart.out == [0]
    assert apart.reports[0][1] is Ejection.CONSECUTIVE_LOCAL_ORIGIN_FAILURE


def test_a_connection_that_is_all_there_is_counts_as_an_answer():
    watched = Watched(consecutive_5xx=2)
    watched.monitors[0].failed(503)
    watched.monitors[0].connected(final=True)
    watched.monitors[0].failed(503)
    assert watched.out == []


@pytest.mark.parametrize(("hosts", "percent", "always", "expected"), [
    (3, 10, False, 0), (9, 10, False, 0), (10, 10, False, 1), (19, 10, False, 1), (20, 10, False, 2), (3, 0, True, 1), (10, 10, True, 1),
    (3, 34, False, 1), (3, 33, False, 0), (4, 100, False, 4),
])  # fmt: skip
def test_no_more_go_than_the_percentage_allows(hosts, percent, always, expected):
    watched = Watched(hosts, consecutive_5xx=1, max_ejection_percent=percent, always_eject_one=always)
    for host in range(hosts):
        watched.answer(host, 500)
    assert len(watched.out) == expected
    assert watched.counts().get("ejections_overflow", 0) == hosts - expected


def test_what_is_not_enforced_is_only_told():
    watched = Watched(consecutive_5xx=1, draw=lambda: 0.3, enforcing={**ENFORCING, Ejection.CONSECUTIVE_5XX: 30})
    watched.answer(0, 500)
    assert watched.out == []
    assert watched.reports == [("10.0.0.0:80", Ejection.CONSECUTIVE_5XX, False)]
    assert watched.counts() == {"ejections_consecutive_5xx": 1, "ejections_detected_consecutive_5xx": 1, "ejections_total": 1}


def test_a_row_that_had_no_consequence_is_begun_anew():
    watched = Watched(consecutive_5xx=2, enforcing=dict.fromkeys(Ejection, 0))
    watched.answer(0, *[500] * 7)
    assert watched.counts()["ejections_detected_consecutive_5xx"] == 3


def test_each_ejection_is_longer_and_quiet_intervals_forgive():
    watched = Watched(consecutive_5xx=1, base_ejection_time=30.0, max_ejection_time=70.0, interval=10.0)
    lasted = []
    for _ in range(4):
        watched.answer(0, 500)
        before = watched.now
        while watched.out:
            watched.tick()
        lasted.append(watched.now - before)
    assert lasted == [30.0, 60.0, 70.0, 70.0]
    for _ in range(10):
        watched.tick()
    watched.answer(0, 500)
    assert watched.monitors[0].release_at == watched.now + 30.0


def test_the_jitter_comes_on_top():
    watched = Watched(consecutive_5xx=1, base_ejection_time=30.0, max_ejection_time=30.0, max_ejection_time_jitter=10.0)
    watched.answer(0, 500)
    watched.tick(34.9)
    assert watched.out == [0]
    watched.tick(0.1)
    assert watched.out == []


def test_errors_of_before_an_ejection_are_forgotten_with_it():
    watched = Watched(consecutive_5xx=3, consecutive_gateway_failure=2, enforcing=dict.fromkeys(Ejection, 100))
    watched.answer(0, 500, 503, 503, 503)
    assert watched.out == [0]
    watched.tick(1000.0)
    watched.answer(0, 500, 500)
    assert watched.out == []


def test_a_successful_check_ends_an_ejection_if_it_may():
    for may, out in ((True, []), (False, [0])):
        watched = Watched(consecutive_5xx=1, check_returns=may)
        watched.answer(0, 500)
        watched.detector.proven_well(watched.endpoints[0])
        assert watched.out == out
        assert watched.detector.counts["ejections_active"] == len(out)


def test_endpoints_that_leave_are_not_counted_any_more():
    watched = Watched(hosts=2, consecutive_5xx=1, max_ejection_percent=50)
    watched.answer(0, 500)
    watched.detector.watch(watched.endpoints[1:])
    assert watched.detector.counts["ejections_active"] == 0
    watched.detector.watch(watched.endpoints[1:] + Watched(hosts=1).endpoints)
    watched.answer(1, 500)
    assert watched.endpoints[1].ejected


def test_rates_that_stand_out():
    watched = Watched(hosts=6, consecutive_5xx=100, success_rate_request_volume=10, success_rate_stdev_factor=1500)
    for host in range(6):
        watched.answer(host, *([500] * (10 if host == 2 else 0)), *([200] * (0 if host == 2 else 10)))
    watched.tick()
    assert watched.out == [2]
    assert watched.detector.averages[""] == pytest.approx((500 / 6, 27.4316), abs=1e-4), "the numbers that Envoy 1.40 shows"
    assert [monitor.external.rate for monitor in watched.monitors] == [100, 100, 0, 100, 100, 100]
    watched.tick(0.0)
    assert watched.detector.averages[""] == (-1, -1), "an interval without requests says nothing"


def test_both_comparisons_throw_an_endpoint_out_once():
    watched = Watched(hosts=6, consecutive_5xx=100, success_rate_request_volume=1, failure_percentage_request_volume=1,
                      success_rate_stdev_factor=1000, enforcing=dict.fromkeys(Ejection, 100))  # fmt: skip
    for host in range(6):
        watched.answer(host, 500 if host == 2 else 200)
    watched.tick()
    assert watched.counts()["ejections_active"] == watched.counts()["ejections_enforced_total"] == 1


# --- against a model ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """Everything that ever happened to each endpoint, read from the beginning for each question."""

    config: OutlierConfig
    history: list[list[tuple]]
    now: float = 0.0
    out: set[int] = field(default_factory=set)

    def row(self, host, failures, breaks):
        """How many of the last events in a row are of one kind; `breaks` end it."""
        length = 0
        for event in reversed(self.history[host]):
            if event[0] in breaks:
                break
            length += event[0] in failures
        return length

    def multiplier(self, host):
        steps = 0
        for event in self.history[host]:
            if event[0] == "eject":
                steps += steps * self.config.base_ejection_time < self.config.max_ejection_time + self.config.base_ejection_time
            elif event[0] == "quiet":
                steps = max(0, steps - 1)
        return steps

    def eject(self, host):
        if 100.0 * (len(self.out) + 1) / len(self.history) <= self.config.max_ejection_percent:
            self.history[host].append(("eject", self.now))
            self.out.add(host)

    def answer(self, host, status):
        kind = "ok" if status < 500 else "gateway" if status in (502, 503, 504) else "error"
        self.history[host].append((kind, self.now))
        gateway = self.row(host, ("gateway",), ("ok", "error", "back", "found gateway"))
        if kind == "gateway" and gateway == self.config.consecutive_gateway_failure:
            self.suspect(host, "found gateway")
        if kind != "ok" and self.row(host, ("gateway", "error"), ("ok", "back", "found error")) == self.config.consecutive_5xx:
            self.suspect(host, "found error")

    def suspect(self, host, mark):
        if host not in self.out:
            self.eject(host)
            self.history[host].append((mark,))

    def tick(self):
        for host, past in enumerate(self.history):
            if host not in self.out:
                past.append(("quiet",))
                continue
            since = max(event[1] for event in past if event[0] == "eject")
            if since + min(self.config.base_ejection_time * self.multiplier(host), self.config.max_ejection_time) <= self.now:
                self.out.discard(host)
                past.append(("back",))
        self.compare()
        for past in self.history:
            past.append(("tick",))

    def rate(self, host):
        """(rate, requests) since the last tick."""
        last = max((number for number, event in enumerate(self.history[host]) if event[0] == "tick"), default=-1)
        recent = [event[0] for event in self.history[host][last + 1 :] if event[0] in ("ok", "error", "gateway")]
        return (100.0 * recent.count("ok") / len(recent) if recent else 0.0), len(recent)

    def compare(self):
        config = self.config
        rates = {host: self.rate(host) for host in range(len(self.history)) if host not in self.out}
        compared = {host: rate for host, (rate, volume) in rates.items() if volume and volume >= config.success_rate_request_volume}
        measured = {host: rate for host, (rate, volume) in rates.items() if volume and volume >= config.failure_percentage_request_volume}
        if len(compared) >= max(1, config.success_rate_minimum_hosts):
            lowest = statistics.fmean(compared.values()) - statistics.pstdev(compared.values()) * config.success_rate_stdev_factor / 1000
            for host, rate in compared.items():
                if rate < lowest - 1e-9:
                    self.eject(host)
        if len(measured) >= max(1, config.failure_percentage_minimum_hosts):
            for host, rate in measured.items():
                if host not in self.out and 100 - rate >= config.failure_percentage_threshold:
                    self.eject(host)


CONFIGS = st.builds(
    OutlierConfig,
    consecutive_5xx=st.sampled_from([1, 2, 3, 100]),
    consecutive_gateway_failure=st.sampled_from([2, 3, 100]),
    base_ejection_time=st.sampled_from([10.0, 15.0, 30.0]),
    max_ejection_time=st.sampled_from([30.0, 45.0, 60.0]),
    max_ejection_percent=st.sampled_from([0, 34, 67, 100, 100]),
    success_rate_minimum_hosts=st.sampled_from([1, 3, 100]),
    success_rate_request_volume=st.integers(1, 3),
    success_rate_stdev_factor=st.sampled_from([300, 1000, 1900]),
    failure_percentage_minimum_hosts=st.integers(1, 3),
    failure_percentage_request_volume=st.integers(1, 4),
    failure_percentage_threshold=st.sampled_from([25, 50, 100]),
    enforcing=st.just(dict.fromkeys(Ejection, 100)),
)
ANSWERS = st.tuples(st.integers(0, 2), st.sampled_from([200, 200, 404, 500, 500, 502, 503]))


@settings(deadline=None, max_examples=300)
@given(CONFIGS, st.lists(ANSWERS | st.sampled_from([5.0, 10.0, 20.0]), max_size=80))
def test_the_same_endpoints_are_out_as_in_the_model(config, steps):
    watched = Watched(hosts=3)
    watched.detector.config = config
    model = Model(config, [[] for _ in range(3)])
    for step in steps:
        if isinstance(step, tuple):
            watched.answer(*step)
            model.answer(*step)
        else:
            model.now += step
            model.tick()
            watched.tick(step)
        assert set(watched.out) == model.out
        assert watched.detector.counts["ejections_active"] == len(model.out)


@given(st.lists(st.sampled_from([None, 10.0]), max_size=40))
def test_ejections_never_outlast_the_longest_time(steps):
    watched = Watched(hosts=1, consecutive_5xx=1, base_ejection_time=10.0, max_ejection_time=25.0)
    for step in steps:
        if step is None:
            watched.answer(0, 500)
        else:
            watched.tick(step)
        if watched.out:
            assert watched.monitors[0].release_at - watched.now <= 25.0


def test_what_is_told_of_an_endpoint_that_is_gone_changes_nothing():
    watched = Watched(hosts=3, consecutive_5xx=1)
    gone = watched.monitors[0]
    watched.detector.watch(watched.endpoints[1:])
    gone.answered(500)
    assert watched.counts() == {}
    assert not watched.changes
    watched.monitors[1].answered(500)
    assert watched.counts()["ejections_active"] == 1
