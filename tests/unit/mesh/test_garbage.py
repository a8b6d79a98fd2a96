"""The heap is frozen once after each burst of changes."""

import gc
from collections.abc import Callable, Iterator

import pytest

from pymesh.garbage import QUIET, Freezer


class Timer:
    def __init__(self, seconds: float, callback: Callable[[], None]) -> None:
        self.seconds, self.callback, self.cancelled = seconds, callback, False

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def timers() -> Iterator[list[Timer]]:
    yield []
    gc.unfreeze()


def freezer(timers: list[Timer]) -> Freezer:
    def schedule(seconds: float, callback: Callable[[], None]) -> Timer:
        timers.append(Timer(seconds, callback))
        return timers[-1]

    return Freezer(schedule)


def test_burst_of_changes_freezes_once(timers: list[Timer]) -> None:
    made = freezer(timers)
    made.soon()
    made.soon()
    assert [(timer.seconds, timer.cancelled) for timer in timers] == [(QUIET, True), (QUIET, False)]


def test_frozen_objects_are_out_of_the_collector_s_sight(timers: list[Timer]) -> None:
    gc.unfreeze()
    made = freezer(timers)
    made.soon()
    timers[-1].callback()
    assert gc.get_freeze_count() > 1000


def test_closed_freezer_does_not_fire(timers: list[Timer]) -> None:
    made = freezer(timers)
    made.soon()
    made.close()
    assert timers[-1].cancelled
