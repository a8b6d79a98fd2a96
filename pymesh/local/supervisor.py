"""Starts the mesh's processes, waits until they are ready, and leaves none behind however its block ends.

    async with Supervisor(logs) as supervisor:
        child = await supervisor.start(Command(name="web", argv=["python", "-m", "http.server"]))
        await supervisor.ready(child, "http://127.0.0.1:8000/")
"""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from ..tasks import spawn
from .errors import ChildFailed, NotReady
from .process import Child, Command, output

READY_WITHIN = 30.0  # seconds; a Python process on a busy two-core machine needs up to 3
GRACE = 5.0  # seconds from SIGTERM to SIGKILL
_PROBE_INTERVAL = 0.025  # seconds; a foreign process announces nothing, so it is asked, as a kubelet asks
_PROBE_TIMEOUT = aiohttp.ClientTimeout(total=2)


class Supervisor:
    """Owns child processes for the length of an `async with` block. `logs` gets one file a child."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._children: dict[str, Child] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._session = aiohttp.ClientSession(timeout=_PROBE_TIMEOUT)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stopping = spawn(self._stop_all(), name="stop the mesh's processes")
        interrupted: asyncio.CancelledError | None = None
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError as again:  # a second Ctrl-C must not leave half of them running
                interrupted = again
        if interrupted is not None:
            raise interrupted

    @property
    def children(self) -> tuple[Child, ...]:
        """Every process started, in order; a restarted one stands for its predecessor."""
        return tuple(self._children.values())

    async def start(self, command: Command) -> Child:
        """Start a process under its name, which no running child may bear; raises ProgramMissing."""
        former = self._children.get(command.name)
        assert former is None or not former.running, f"{former} still runs"
        child = await Child.start(command, self._logs / f"{command.name}.log")
        self._children[command.name] = child
        return child

    async def output(self, command: Command) -> str:
        """Run a command to its end and return its standard output; raises ChildFailed unless it exits 0."""
        return await output(command, self._logs / f"{command.name}.log")

    async def ready(self, child: Child, url: str, within: float = READY_WITHIN) -> None:
        """Wait until `url` answers 200 (`tcp://host:port`: accepts a connection).

        Raises ChildFailed when the process ends first, NotReady after `within` seconds.
        """
        try:
            async with asyncio.timeout(within):
                while not await self._answers(url):
                    await child.stays_up(_PROBE_INTERVAL)
        except TimeoutError:
            raise NotReady(child.name, within, url, child.log) from None

    async def watch(self) -> None:
        """Wait until any running process ends, then raise ChildFailed for it."""
        exits = {spawn(child.exit(), name=f"exit of {child.name}"): child for child in self.children if child.running}
        try:
            done, _ = await asyncio.wait(exits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in exits:
                waiting.cancel()
        ended = next(iter(done))
        raise ChildFailed(exits[ended].name, ended.result(), exits[ended].log)

    async def _answers(self, url: str) -> bool:
        assert self._session is not None, "used outside its block"
        try:
            if url.startswith("tcp://"):
                return await _accepts(url)
            async with self._session.get(url) as response:
                return response.status == 200
        except (OSError, aiohttp.ClientError, TimeoutError):
            return False

    async def _stop_all(self) -> None:
        await asyncio.gather(*(child.stop(GRACE) for child in self._children.values()))
        if self._session is not None:
            await self._session.close()


async def _accepts(url: str) -> bool:
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.close()
    return True
