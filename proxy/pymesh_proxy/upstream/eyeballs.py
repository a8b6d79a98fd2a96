"""Happy Eyeballs (RFC 8305): an endpoint with several addresses is tried at one after the other, without waiting for each to time out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from .config import Eyeballs

Where = tuple[str, int]
"""IP and port."""

DELAY = 0.3
"""Seconds before the next address is tried while the ones before have not answered; Envoy's."""


class Closable(Protocol):
    """What a won race is worth, and a lost one has to give back."""

    def close(self) -> None: ...


Prize = TypeVar("Prize", bound=Closable)


def in_order(addresses: Sequence[Where], config: Eyeballs) -> list[Where]:
    """The addresses as they are tried: families take turns, each keeping its own order."""
    begins = config.family or _family(addresses[0])
    first = [address for address in addresses if _family(address) == begins]
    others = [address for address in addresses if _family(address) != begins]
    ordered: list[Where] = []
    while first or others:
        ordered += first[: config.count]
        ordered += others[:1]
        del first[: config.count], others[:1]
    return ordered


def _family(address: Where) -> int:
    return 6 if ":" in address[0] else 4


async def race(addresses: Sequence[Where], connect: Callable[[Where], Awaitable[Prize]], delay: float = DELAY) -> Prize:
    """What `connect` makes of the first address that answers; raises OSError, that of the last one to fail, when none does.

    An attempt that fails is followed by the next at once.
    """
    running: set[asyncio.Task[Prize]] = set()
    failure = OSError("no address")
    left = list(addresses)
    try:
        while left or running:
            if left:
                running.add(asyncio.get_running_loop().create_task(_one(connect, left.pop(0))))
            done, running = await asyncio.wait(running, timeout=delay if left else None, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    running |= done - {task}
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                failure = error
    finally:
        _give_back(running)
    raise failure


async def _one(connect: Callable[[Where], Awaitable[Prize]], address: Where) -> Prize:
    return await connect(address)


def _give_back(tasks: set[asyncio.Task[Prize]]) -> None:
    """End what has lost; a connection that stands already, or comes all the same, is closed."""
    for task in tasks:
        task.add_done_callback(_close)
        task.cancel()


def _close(task: asyncio.Task[Prize]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
