"""Delays between attempts."""

from pymesh_proxy.discovery.backoff import Backoff


def test_ceiling_doubles_up_to_the_cap() -> None:
    backoff = Backoff(rand=lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_jitter_is_full() -> None:
    backoff = Backoff(rand=lambda: 0.0)
    assert [backoff.next() for _ in range(3)] == [0, 0, 0]


def test_success_begins_again() -> None:
    backoff = Backoff(rand=lambda: 1.0)
    backoff.next()
    backoff.reset()
    assert backoff.next() == 0.5
