"""What checks make of an endpoint: sequences by hand, then against the rules of Envoy's documentation, told the long way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh_proxy.upstream.checkup import COUNTERS, Checkup, Outcome, State
from pymesh_proxy.upstream.config import EndpointConfig
from pymesh_proxy.upstream.endpoint import Endpoint, Standing
from pymesh_proxy.upstream.health_config import HealthCheckConfig, TcpProbe

GOOD = (Outcome.SUCCESS, Outcome.DEGRADED)
COUNTED = (Outcome.NETWORK, Outcome.TIMEOUT, Outcome.RETRIABLE)


def config(healthy=2, unhealthy=3, **settings):
    times = {"interval": 1.0, "unhealthy_interval": 2.0, "unhealthy_edge_interval": 3.0, "healthy_edge_interval": 4.0}
    times |= {"no_traffic_interval": 50.0, "no_traffic_healthy_interval": 60.0, "timeout": 1.0}
    return HealthCheckConfig(probe=TcpProbe(), healthy_threshold=healthy, unhealthy_threshold=unhealthy, **(times | settings))


def checkup(**settings):
    endpoint = Endpoint(EndpointConfig(host="10.0.0.1", port=80), None)
    return Checkup(endpoint, config(**settings), dict.fromkeys(COUNTERS, 0))


def judged(record, *outcomes):
    return [record.judge(outcome) for outcome in outcomes][-1]


def test_an_endpoint_is_out_until_the_first_check_which_decides_alone():
    record = checkup()
    assert record.endpoint.standing is Standing.UNHEALTHY
    assert judged(record, Outcome.SUCCESS)
    assert record.endpoint.standing is Standing.HEALTHY


@pytest.mark.parametrize("outcome", COUNTED)
def test_failures_that_may_pass_count_up_to_the_threshold(outcome):
    record = checkup(unhealthy=3)
    judged(record, Outcome.SUCCESS, outcome, outcome)
    assert (record.state, record.edge) == (State.WELL, True)
    judged(record, Outcome.SUCCESS, outcome, outcome)
    assert record.state is State.WELL, "a success begins the row anew"
    assert judged(record, outcome)
    assert record.state is State.SICK


@pytest.mark.parametrize("outcome", [Outcome.FAILURE, Outcome.PASSIVE])
def test_a_wrong_answer_is_final(outcome):
    record = checkup()
    judged(record, Outcome.SUCCESS)
    assert judged(record, outcome)
    assert record.state is State.SICK


def test_getting_well_takes_successes_in_a_row():
    record = checkup(healthy=2)
    judged(record, Outcome.FAILURE, Outcome.SUCCESS)
    assert (record.state, record.edge) == (State.SICK, True)
    judged(record, Outcome.FAILURE, Outcome.SUCCESS)
    assert record.state is State.SICK
    assert judged(record, Outcome.SUCCESS)
    assert record.state is State.WELL


def test_degraded_is_a_standing_of_its_own_and_follows_the_last_answer():
    record = checkup()
    judged(record, Outcome.SUCCESS)
    assert judged(record, Outcome.DEGRADED)
    assert record.endpoint.standing is Standing.DEGRADED
    assert not judged(record, Outcome.DEGRADED)
    assert judged(record, Outcome.SUCCESS)
    assert record.endpoint.standing is Standing.HEALTHY


def test_what_asked_to_be_left_alone_does_not_count_until_it_is_well():
    record = checkup(healthy=1)
    judged(record, Outcome.SUCCESS)
    record.told = True
    judged(record, Outcome.FAILURE)
    assert record.endpoint.excluded
    judged(record, Outcome.SUCCESS)
    assert not record.endpoint.excluded


def test_the_wait_depends_on_the_last_check_and_on_traffic():
    record = checkup(healthy=2, unhealthy=2)

    def waits(outcome):
        record.judge(outcome)
        return record.wait(traffic=True, draw=lambda: 0.0), record.wait(traffic=False, draw=lambda: 0.0)

    assert waits(Outcome.SUCCESS) == (1.0, 60.0)
    assert waits(Outcome.TIMEOUT) == (3.0, 50.0), "the edge of being sick"
    assert waits(Outcome.TIMEOUT) == (2.0, 50.0)
    assert waits(Outcome.SUCCESS) == (4.0, 50.0), "the edge of being well"
    assert waits(Outcome.SUCCESS) == (1.0, 60.0)


def test_jitters_add_to_the_wait():
    record = checkup(interval=10.0, interval_jitter=4.0, interval_jitter_percent=50)
    record.judge(Outcome.SUCCESS)
    assert record.wait(traffic=True, draw=lambda: 0.5) == 10.0 + 2.5 + 2.0


@given(st.integers(1, 4), st.integers(1, 4), st.lists(st.sampled_from(Outcome), max_size=40))
def test_the_state_is_that_of_the_rules(healthy, unhealthy, outcomes):
    record = checkup(healthy=healthy, unhealthy=unhealthy)
    well = None
    row = 0
    for outcome in outcomes:
        good = outcome in GOOD
        if well is None:
            well = good
        elif good is well:
            row = 0
        else:
            row += 1
            if row == (healthy if good else unhealthy) or (not good and outcome not in COUNTED):
                well, row = good, 0
        record.judge(outcome)
        assert record.endpoint.failed_check is not well
    counts = record._counts
    assert counts["success"] == sum(outcome in GOOD for outcome in outcomes)
    assert counts["failure"] == len(outcomes) - counts["success"]
    assert counts["network_failure"] == sum(outcome in (Outcome.NETWORK, Outcome.TIMEOUT) for outcome in outcomes)
    assert counts["passive_failure"] == outcomes.count(Outcome.PASSIVE)


def test_slow_start_begins_anew_for_an_endpoint_that_gets_well():
    record = checkup(healthy=2, unhealthy=1)
    judged(record, Outcome.SUCCESS)
    record.endpoint.healthy_since = 7.0
    judged(record, Outcome.SUCCESS, Outcome.TIMEOUT, Outcome.SUCCESS)
    assert record.endpoint.healthy_since == 7.0
    judged(record, Outcome.SUCCESS)
    assert record.endpoint.healthy_since == 0.0
