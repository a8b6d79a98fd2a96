import asyncio
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from pymesh_proxy.testing import MemoryLoop
from pymesh_proxy.wheel import NEVER, TICK, Wheel


class Bell:
    def __init__(self):
        self.deadline = self.wake = NEVER
        self.rung = []

    def on_deadline(self, now):
        self.rung.append(now)


def wheel():
    loop = MemoryLoop()
    return loop, Wheel(cast(asyncio.AbstractEventLoop, loop))


async def test_a_deadline_rings_once_and_not_before_its_time():
    loop, turning = wheel()
    bell = Bell()
    turning.arm(bell, loop.now + 1)
    loop.advance(0.95)
    assert bell.rung == []
    loop.advance(0.1)
    loop.advance(10)
    assert len(bell.rung) == 1


async def test_a_later_deadline_replaces_an_earlier_one_without_touching_the_wheel():
    loop, turning = wheel()
    bell = Bell()
    turning.arm(bell, loop.now + 1)
    turning.arm(bell, loop.now + 5)
    loop.advance(4)
    assert bell.rung == []
    loop.advance(1.1)
    assert len(bell.rung) == 1


async def test_an_earlier_deadline_rings_early_and_only_once():
    loop, turning = wheel()
    bell = Bell()
    turning.arm(bell, loop.now + 5)
    turning.arm(bell, loop.now + 1)
    loop.advance(1.1)
    assert len(bell.rung) == 1
    loop.advance(10)
    assert len(bell.rung) == 1


async def test_a_disarmed_deadline_never_rings():
    loop, turning = wheel()
    bell = Bell()
    turning.arm(bell, loop.now + 1)
    turning.arm(bell, NEVER)
    loop.advance(10)
    assert bell.rung == []


async def test_a_bell_may_arm_itself_again_while_ringing():
    loop, turning = wheel()

    class Repeating(Bell):
        def on_deadline(self, now):
            super().on_deadline(now)
            turning.arm(self, now + 1)

    bell = Repeating()
    turning.arm(bell, loop.now + 1)
    for _ in range(5):
        loop.advance(1.02)
    assert len(bell.rung) == 5


async def test_what_has_ended_is_let_go_at_once():
    loop, turning = wheel()
    for _ in range(1000):
        bell = Bell()
        turning.arm(bell, loop.now + 3600)
        turning.arm(bell, loop.now + 15)
        turning.arm(bell, NEVER)
    assert len(turning) == 0


async def test_a_bell_that_another_disarms_in_the_same_turn_stays_silent():
    loop, turning = wheel()
    second = Bell()

    class Disarming(Bell):
        def on_deadline(self, now):
            turning.arm(second, NEVER)

    turning.arm(Disarming(), loop.now + 1)
    turning.arm(second, loop.now + 1)
    loop.advance(2)
    assert second.rung == []


async def test_far_deadlines_share_buckets_and_ring_within_a_second():
    loop, turning = wheel()
    bells = [Bell() for _ in range(100)]
    for bell in bells:
        loop.advance(0.01)
        turning.arm(bell, loop.now + 3600)
    assert len(turning._buckets) <= 3
    loop.advance(3599)
    assert not any(bell.rung for bell in bells)
    loop.advance(2)
    assert all(len(bell.rung) == 1 for bell in bells)


async def test_a_deadline_a_hair_behind_its_tick_does_not_stop_the_world():
    loop, turning = wheel()
    bell = Bell()
    loop.now = 491.22
    deadline = loop.now + 0.3
    assert deadline > 49152 * TICK, "in floating point, this tick is before the deadline that is a multiple of it"
    turning.arm(bell, deadline)
    loop.advance(49152 * TICK - loop.now)
    assert bell.rung == []
    loop.advance(0.02)
    assert len(bell.rung) == 1


@given(st.integers(0, 10**9), st.integers(1, 10**6))
async def test_the_wheel_never_looks_before_a_deadline(start, length):
    loop = MemoryLoop()
    loop.now = start / 1000
    turning = Wheel(cast(asyncio.AbstractEventLoop, loop))
    bell = Bell()
    turning.arm(bell, loop.now + length / 1000)
    assert bell.wake >= bell.deadline


async def test_a_deadline_that_fails_costs_the_others_nothing():
    class Broken(Bell):
        def on_deadline(self, now):
            raise ZeroDivisionError

    loop, turning = wheel()
    told = []
    loop.call_exception_handler = told.append
    bells = [Broken(), Bell(), Bell()]
    for bell, seconds in zip(bells, (1, 1, 2), strict=True):
        turning.arm(bell, loop.now + seconds)
    loop.advance(3)
    assert [len(bell.rung) for bell in bells] == [0, 1, 1]
    assert isinstance(told[0]["exception"], ZeroDivisionError)
