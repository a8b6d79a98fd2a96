"""The arithmetic of circuit breakers."""

from fractions import Fraction
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.breaker import Breaker
from pymesh_proxy.upstream.config import Limits
from pymesh_proxy.upstream.retry_window import SLOTS, RetryWindow

counts = st.integers(0, 5000)


def breaker(requests=0, pending=0, retries=0, connections=0, **limits):
    made = Breaker(Limits(**limits))
    made.requests, made.pending, made.retries, made.connections = requests, pending, retries, connections
    return made


@settings(deadline=None)
@given(counts, counts, counts, st.integers(0, 400), st.integers(0, 50))
def test_a_retry_budget_is_a_share_of_what_is_in_flight(requests, pending, retries, quarters, least):
    share = floor(Fraction(quarters, 4) / 100 * (requests + pending))  # percentages with an exact binary form
    made = breaker(requests, pending, retries, budget_percent=quarters / 4, min_retry_concurrency=least, max_retries=0)
    allowed = max(share, least)
    assert abs(made.max_retries() - allowed) <= 1, "Envoy's own arithmetic is that of floats, too"
    assert made.admits_retry() is (retries < made.max_retries())


def test_the_defaults_of_a_budget():
    made = breaker(budget_percent=20.0)
    assert made.max_retries() == 3
    made.requests = 10
    made.pending = 9
    assert made.max_retries() == 3
    made.pending = 10
    assert made.max_retries() == 4


@settings(deadline=None)
@given(counts, counts)
def test_without_a_budget_there_is_a_fixed_number(retries, limit):
    assert breaker(retries=retries, max_retries=limit).admits_retry() is (retries < limit)


@settings(deadline=None)
@given(counts, counts, counts, counts)
def test_connections_are_limited_for_the_cluster_and_for_each_endpoint(all_of_them, limit, of_one, limit_of_one):
    made = breaker(connections=all_of_them, max_connections=limit, max_connections_per_host=limit_of_one)
    assert made.admits_connection(of_one) is (all_of_them < limit and of_one < limit_of_one)


@settings(deadline=None)
@given(counts, counts)
def test_requests_and_those_who_wait_are_limited(current, limit):
    assert breaker(requests=current, max_requests=limit).admits_request() is (current < limit)
    assert breaker(pending=current, max_pending_requests=limit).admits_pending() is (current < limit)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class EnvoysWindow:
    """Envoy's bookkeeping, with the timer that it has: every tenth the current slot is put away, and the oldest of ten forgotten."""

    def __init__(self, milliseconds):
        self.every = milliseconds // SLOTS
        self.counted = self.current = self.now = 0
        self.kept = []

    def pass_time(self, milliseconds):
        for _ in range((self.now + milliseconds) // self.every - self.now // self.every):
            self.kept.append(self.current)
            self.current = 0
            if len(self.kept) >= SLOTS:
                self.counted -= self.kept.pop(0)
        self.now += milliseconds

    def add(self):
        self.counted += 1
        self.current += 1


@settings(deadline=None)
@given(st.integers(10, 300), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3)), max_size=40))
def test_requests_count_as_long_as_in_envoy(interval, moments):
    clock, theirs = Clock(), EnvoysWindow(interval)
    clock.now = start = 2.0**20  # fractions of it are exact enough for whole milliseconds and a little
    window = RetryWindow(interval / 1000, clock)
    for passed, requests in moments:
        theirs.pass_time(passed)
        clock.now = start + theirs.now / 1000 + 1e-6
        for _ in range(requests):
            theirs.add()
            window.add()
        assert window.count() == theirs.counted


def test_a_budget_with_an_interval_is_a_share_of_the_requests_that_began_in_it():
    clock = Clock()
    made = Breaker(Limits(budget_percent=10.0, budget_interval=2.0, min_retry_concurrency=0), clock)
    made.requests = made.pending = 500
    assert not made.admits_retry()
    for _ in range(10):
        made.window.add()
    assert made.max_retries() == 1
    clock.now += 1.79
    assert made.admits_retry()
    clock.now += 0.22
    assert not made.admits_retry()


def test_the_least_is_allowed_where_nothing_began():
    assert Breaker(Limits(budget_percent=50.0, budget_interval=1.0, min_retry_concurrency=2)).max_retries() == 2


def test_without_a_budget_or_an_interval_nothing_is_looked_back_at():
    limits = (Limits(), Limits(budget_interval=1.0), Limits(budget_percent=20.0), Limits(budget_percent=20.0, budget_interval=0.0004))
    assert [Breaker(one).window for one in limits] == [None] * 4
