import asyncio
from typing import cast

from pymesh_proxy.testing import MemoryLoop
from pymesh_proxy.wheel import NEVER, Wheel


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
