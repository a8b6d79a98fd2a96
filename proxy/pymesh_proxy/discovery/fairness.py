"""Long work on the event loop in short slices: a push of a thousand clusters must not be what a request waits for."""

import asyncio
import time

SLICE = 0.005
"""Seconds of work between two turns for everybody else; compiling one cluster takes 0.2 ms."""


class Slices:
    """Counts the time since the loop last had a turn."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def breathe(self) -> None:
        """Give the loop a turn if ours has lasted long enough."""
        if time.perf_counter() - self._began > SLICE:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
