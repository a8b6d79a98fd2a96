"""Workers are started, started again, signalled and gone; children are real processes that do next to nothing."""

import asyncio
import signal
import sys
from typing import Any

import pytest

from pymesh_proxy.discovery.backoff import Backoff
from pymesh_proxy.workers import Child, Supervisor

WAITS = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"


class Children:
    """Starts `python -c program` and remembers every start."""

    def __init__(self, *programs: str) -> None:
        """The first starts run `programs` in their order, all later ones the last."""
        self._programs = list(programs)
        self.started: asyncio.Queue[Any] = asyncio.Queue()

    async def __call__(self, index: int) -> Child:
        program = self._programs.pop(0) if len(self._programs) > 1 else self._programs[0]
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
        self.started.put_nowait((index, child))
        return child

    async def up(self) -> tuple[int, Any]:
        """The next started child, once it has said that it is ready for signals."""
        index, child = await self.started.get()
        await child.stdout.readline()
        return index, child


def supervise(children: Children, count: int = 1) -> tuple[Supervisor, "asyncio.Task[int]"]:
    supervisor = Supervisor(children, count, backoff=lambda: Backoff(rand=lambda: 0.0))
    return supervisor, asyncio.ensure_future(supervisor.run())  # noqa: TID251  awaited by every test


async def test_termination_reaches_every_worker() -> None:
    children = Children(WAITS)
    supervisor, done = supervise(children, 2)
    assert {(await children.up())[0] for _ in range(2)} == {0, 1}
    supervisor.forward(signal.SIGTERM)
    assert await done == 0


async def test_dead_worker_is_started_again() -> None:
    children = Children(WAITS)
    supervisor, done = supervise(children)
    _, first = await children.up()
    first.kill()
    _, second = await children.up()
    assert second.pid != first.pid
    supervisor.forward(signal.SIGTERM)
    assert await done == 0


@pytest.mark.parametrize("code", [1, 64])
async def test_worker_that_cannot_start_ends_all(code: int) -> None:
    children = Children(f"import sys; sys.exit({code})", WAITS)
    _, done = supervise(children, 2)
    assert await done == code


async def test_worker_that_fails_later_does_not_end_the_others() -> None:
    children = Children(WAITS, "import sys; sys.exit(1)", WAITS)
    supervisor, done = supervise(children)
    _, first = await children.up()
    first.kill()
    await children.up()
    _, third = await children.up()
    assert third.returncode is None
    supervisor.forward(signal.SIGTERM)
    assert await done == 0


async def test_signal_that_is_not_the_end_only_passes_through() -> None:
    # os.write: a handler that prints while print is writing is a reentrant call
    answers = "import os; signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'reopened\\n')); print("
    children = Children(WAITS.replace("print(", answers))
    supervisor, done = supervise(children)
    _, child = await children.up()
    supervisor.forward(signal.SIGUSR1)
    assert await child.stdout.readline() == b"reopened\n"
    assert "stopping" not in repr(supervisor)
    supervisor.forward(signal.SIGTERM)
    await done


async def test_worker_that_does_not_leave_is_killed() -> None:
    children = Children(STUBBORN)
    supervisor, done = supervise(children)
    _, child = await children.up()
    supervisor.forward(signal.SIGTERM)
    supervisor.kill()
    await done
    assert child.returncode == -signal.SIGKILL


async def test_stop_interrupts_the_pause_before_a_start() -> None:
    children = Children("")
    supervisor = Supervisor(children, 1, backoff=lambda: Backoff(base=3600, cap=3600, rand=lambda: 1.0))
    done = asyncio.ensure_future(supervisor.run())  # noqa: TID251  awaited below
    _, child = await children.started.get()
    await child.wait()
    supervisor.forward(signal.SIGTERM)
    assert await done == 0


async def test_worker_for_which_there_is_no_process_is_tried_again() -> None:
    children = Children(WAITS)
    failures = [BlockingIOError(11, "Resource temporarily unavailable")] * 3

    async def start(index: int) -> Child:
        if failures:
            raise failures.pop()
        return await children(index)

    supervisor = Supervisor(start, 1, backoff=lambda: Backoff(rand=lambda: 0.0))
    done = asyncio.ensure_future(supervisor.run())  # noqa: TID251  awaited below
    await children.up()
    supervisor.forward(signal.SIGTERM)
    assert await done == 0
