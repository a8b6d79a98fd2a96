"""The way out: unready, drained, gone, on a clock that the tests turn."""

import asyncio

import pytest

from pymesh_proxy.drain import LOOK_AGAIN, Life, Phase, drain


class Listeners:
    """Connections that end by themselves, one at each look."""

    def __init__(self, connections: int) -> None:
        self.active_connections = connections
        self.calls: list[str] = []

    def drain(self) -> None:
        self.calls.append("drain")

    def stop_accepting(self, direction: str | None) -> None:
        self.calls.append(f"stop accepting {direction}")

    async def one_ends(self, seconds: float) -> None:
        assert seconds == LOOK_AGAIN
        assert "stop accepting None" not in self.calls
        self.active_connections -= 1


async def never(seconds: float) -> None:
    await asyncio.Event().wait()


def live() -> Life:
    life = Life()
    life.initializing()
    return life


async def test_idle_proxy_leaves_at_once() -> None:
    life, listeners = live(), Listeners(0)
    assert await drain(life, listeners, seconds=5, pause=never)
    assert listeners.calls == ["drain", "stop accepting None"]
    assert life.phase is Phase.STOPPED


async def test_connections_are_waited_for() -> None:
    life, listeners = live(), Listeners(3)
    assert await drain(life, listeners, seconds=5, pause=listeners.one_ends)


async def test_goodbye_is_said_first_and_while_connections_are_accepted() -> None:
    life, listeners = live(), Listeners(0)

    async def announce() -> None:
        listeners.calls.append(f"goodbye {life.phase.name}")

    assert await drain(life, listeners, seconds=5, announce=announce, pause=never)
    assert listeners.calls == ["drain", "goodbye DRAINING", "stop accepting None"]


async def test_goodbye_that_nobody_hears_ends_with_the_drain_time() -> None:
    async def announce() -> None:
        await asyncio.Event().wait()

    life = live()
    assert await drain(life, Listeners(0), seconds=0, announce=announce, pause=never)
    assert life.phase is Phase.STOPPED


async def test_drain_time_ends_the_wait() -> None:
    life, listeners = live(), Listeners(1)
    assert not await drain(life, listeners, seconds=0, pause=never)
    assert life.phase is Phase.STOPPED


async def test_draining_proxy_is_not_ready() -> None:
    life, listeners = live(), Listeners(1)
    task = asyncio.ensure_future(drain(life, listeners, seconds=5, pause=never))  # noqa: TID251  cancelled below
    await asyncio.sleep(0)
    assert (life.phase, life.ready) == (Phase.DRAINING, False)
    task.cancel()


def test_latches_hold_readiness_back() -> None:
    life = Life("listeners", "identity")
    life.initializing()
    life.release("listeners")
    assert (life.ready, repr(life)) == (False, "<Life INITIALIZING waiting for identity>")
    life.release("identity")
    assert life.ready


def test_released_latches_alone_do_not_make_it_live() -> None:
    life = Life("listeners")
    life.release("listeners")
    assert life.phase is Phase.PRE_INITIALIZING


def test_draining_process_never_becomes_live_again() -> None:
    life = Life("listeners")
    life.initializing()
    life.enter(Phase.DRAINING)
    life.release("listeners")
    life.initializing()
    assert life.phase is Phase.DRAINING


def test_phases_follow_the_table() -> None:
    life = live()
    life.enter(Phase.STOPPED)
    with pytest.raises(AssertionError, match="DRAINING cannot follow STOPPED"):
        life.enter(Phase.DRAINING)


def test_repr_says_what_is_waited_for() -> None:
    assert repr(Life("listeners")) == "<Life PRE_INITIALIZING waiting for listeners>"
