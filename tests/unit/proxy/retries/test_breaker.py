"""The arithmetic of circuit breakers."""

from fractions import Fraction
from math import floor

from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.upstream.breaker import Breaker
from pymesh_proxy.upstream.config import Limits

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
