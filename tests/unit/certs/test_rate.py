"""A bucket for each identity, on a clock that the tests turn."""

from pymesh.identity import workload_id
from pymesh_certs import rate
from pymesh_certs.rate import Limiter, Rate

ONE, OTHER = workload_id("ml", "one"), workload_id("ml", "other")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_burst_is_admitted_and_then_one_for_each_interval():
    clock = Clock()
    limiter = Limiter(Rate(burst=3, per_second=2.0), clock)
    assert [limiter.admits(ONE) for _ in range(5)] == [True, True, True, False, False]
    clock.now += 0.5
    assert [limiter.admits(ONE) for _ in range(2)] == [True, False]
    clock.now += 60.0
    assert [limiter.admits(ONE) for _ in range(4)] == [True, True, True, False]


def test_an_identity_that_asks_too_often_takes_nothing_from_others():
    limiter = Limiter(Rate(burst=1, per_second=1.0), Clock())
    assert [limiter.admits(ONE), limiter.admits(ONE), limiter.admits(OTHER)] == [True, False, True]


def test_identities_that_have_not_asked_for_long_are_forgotten(monkeypatch):
    monkeypatch.setattr(rate, "_FORGET_ABOVE", 1)
    clock = Clock()
    limiter = Limiter(Rate(burst=1, per_second=1.0), clock)
    limiter.admits(ONE)
    clock.now += 5.0
    limiter.admits(OTHER)
    assert list(limiter._full_at) == [OTHER]
