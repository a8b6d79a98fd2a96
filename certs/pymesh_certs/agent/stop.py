"""How an agent is told to end, and what does not wait for that."""

import asyncio
import signal
from collections.abc import Coroutine

from pymesh import tasks


class Stop:
    """What signals ask for: to end in order, and, asked a second time, to end at once."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.hurry = asyncio.Event()

    def ask(self) -> None:
        (self.hurry if self.asked.is_set() else self.asked).set()

    def on_signals(self) -> None:
        """Let SIGTERM and SIGINT ask, from now on."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.ask)


async def done_before(stop: Stop, starting: Coroutine[None, None, None]) -> bool:
    """Wait for what may take as long as the CA is away; False when told to stop before. Raises what it raises."""
    beginning = tasks.spawn(starting, name="first certificate")
    stopping = tasks.spawn(stop.asked.wait(), name="signal")
    try:
        await asyncio.wait([beginning, stopping], return_when=asyncio.FIRST_COMPLETED)
        if beginning.done():
            beginning.result()
        return beginning.done()
    finally:
        stopping.cancel()
        beginning.cancel()
