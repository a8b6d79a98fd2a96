"""When a batch of changes is fired, on a clock that is moved by hand."""

import asyncio

import pytest

from pymesh.tasks import spawn
from pymesh_control.push.debounce import Debounce, Timing

from .fake import FakeClock, settle


class Fixture:
    def __init__(self):
        self.clock = FakeClock()
        self.fired = []
        self.busy = asyncio.Event()
        self.busy.set()
        self.debounce = Debounce(Timing(after=0.1, longest=1.0), self.clock, self._fire)

    async def _fire(self, batch):
        self.fired.append((round(self.clock.now(), 3), sorted(batch.reasons), batch.since))
        await self.busy.wait()


@pytest.fixture
async def at():
    fixture = Fixture()
    task = spawn(fixture.debounce.run(), name="debounce")
    await settle()
    yield fixture
    task.cancel()


async def test_one_change_is_fired_after_the_quiet_time(at):
    at.debounce.changed("config")
    await at.clock.advance(0.099)
    assert at.fired == []
    await at.clock.advance(0.002)
    assert at.fired == [(0.1, ["config"], 0.0)]


async def test_changes_that_follow_each_other_are_fired_together_after_the_last(at):
    at.debounce.changed("config")
    await at.clock.advance(0.08)
    at.debounce.changed("workload")
    await at.clock.advance(0.08)
    assert at.fired == []
    await at.clock.advance(0.08)
    assert at.fired == [(0.18, ["config", "workload"], 0.0)]


async def test_changes_that_never_pause_are_fired_at_the_latest_moment(at):
    for _ in range(24):
        at.debounce.changed("config")
        await at.clock.advance(0.05)
    assert at.fired == [(1.0, ["config"], 0.0)]


async def test_a_change_while_a_batch_is_fired_waits_and_is_not_lost(at):
    at.busy.clear()
    at.debounce.changed("first")
    await at.clock.advance(0.1)
    at.debounce.changed("second")
    await at.clock.advance(5)
    assert [reasons for _, reasons, _ in at.fired] == [["first"]]
    at.busy.set()
    await settle()
    assert [reasons for _, reasons, _ in at.fired] == [["first"], ["second"]]


async def test_nothing_is_fired_without_a_change(at):
    await at.clock.advance(100)
    assert at.fired == []
