"""Waiting for what another process does: asked again and again until a deadline, since it announces nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_INTERVAL = 0.025  # seconds
WITHIN = 20.0


async def eventually(look: Callable[[], Awaitable[T]], happened: Callable[[T], object] = bool, within: float = WITHIN) -> T:
    """The first thing seen for which `happened`; AssertionError with the last thing seen when it does not come within that many seconds."""
    deadline = time.monotonic() + within
    while True:
        seen = await look()
        if happened(seen):
            return seen
        assert time.monotonic() < deadline, f"within {within:g} s nothing better was seen than {seen!r}"
        await asyncio.sleep(_INTERVAL)
