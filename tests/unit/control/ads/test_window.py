"""The room for what is on its way to clients: bounded, in order, and not held by who takes nothing."""

import asyncio
import contextlib

import pytest

from pymesh.tasks import spawn
from pymesh_control.ads.window import Window

TIMEOUT = 10


class Writer:
    """A response on its way until the test lets it arrive."""

    def __init__(self, window, size, afterwards=lambda: None):
        self.afterwards = afterwards
        self.started, self.arrived = asyncio.Event(), asyncio.Event()
        self.task = spawn(self._write(window, size), name="write")

    async def _write(self, window, size):
        async with window.room(size):
            self.started.set()
            await self.arrived.wait()
        self.afterwards()

    async def begins(self):
        async with asyncio.timeout(TIMEOUT):
            await self.started.wait()

    async def ends(self):
        self.arrived.set()
        async with asyncio.timeout(TIMEOUT):
            await self.task

    async def gives_up(self):
        with contextlib.suppress(asyncio.CancelledError):
            self.task.cancel()
            await self.task


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_does_not_fit_waits_in_order_until_there_is_room():
    window = Window(limit=10)
    first, second, third = Writer(window, 6), Writer(window, 6), Writer(window, 1)
    await first.begins()
    await turns()
    assert not second.started.is_set()
    assert not third.started.is_set()  # it would fit, and still waits its turn: large responses are to go out too
    assert window.waiting == 2
    await first.ends()
    await second.begins()
    await third.begins()
    for writer in (second, third):
        await writer.ends()
    assert window.waiting == 0


async def test_a_response_larger_than_the_whole_window_flies_alone():
    window = Window(limit=10)
    large, small = Writer(window, 1000), Writer(window, 1)
    await large.begins()
    await turns()
    assert not small.started.is_set()
    await large.ends()
    await small.begins()
    await small.ends()


async def test_who_takes_nothing_is_moved_aside_for_the_others():
    window = Window(limit=10, patience=0)
    stuck, other = Writer(window, 10), Writer(window, 10)
    await stuck.begins()
    await other.begins()
    await other.ends()
    await stuck.ends()


async def test_when_too_many_are_aside_the_next_keeps_its_room_until_it_may_go_there_too():
    window = Window(limit=10, patience=0)
    stuck, slow, other = Writer(window, 10), Writer(window, 10), Writer(window, 10)
    await stuck.begins()
    await slow.begins()
    for _ in range(5):
        await turns()
    assert not other.started.is_set()
    await stuck.ends()
    await other.begins()
    for writer in (slow, other):
        await writer.ends()


async def test_who_never_takes_anything_is_given_up():
    window = Window(timeout=0.01)
    stuck = Writer(window, 10)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(TIMEOUT):
            await stuck.task


async def test_who_leaves_while_it_waits_or_writes_takes_no_room_along():
    window = Window(limit=10)
    first, waiting, last = Writer(window, 10), Writer(window, 10), Writer(window, 10)
    await first.begins()
    await waiting.gives_up()
    await first.gives_up()
    await last.begins()
    await last.ends()


async def test_who_is_cancelled_with_its_turn_in_hand_gives_it_back():
    window = Window(limit=10)
    first = Writer(window, 10, afterwards=lambda: second.task.cancel())  # its room has been given to it, and it has not run yet
    second, third = Writer(window, 10), Writer(window, 10)
    await first.begins()
    await turns()
    await first.ends()
    await third.begins()
    assert not second.started.is_set()
    await third.ends()
