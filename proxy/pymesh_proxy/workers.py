"""More cores, more processes: the parent of `--concurrency N` workers, which share ports by SO_REUSEPORT.

Workers are started by exec, never by fork: grpcio does not survive a fork. The parent holds no traffic; it starts workers
again when they die, passes signals on, and answers the public admin address for all of them.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from pymesh.bootstrap.environment import Settings

from . import process
from .discovery.backoff import Backoff
from .errors import StartupError
from .launch import Launch

_log = logging.getLogger("pymesh.proxy.workers")

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

_STEADY = 10.0
"""Seconds after which a worker that dies had been well: its next start waits no longer than the first."""

KILL_AFTER = 5.0
"""Seconds that a worker gets beyond its drain time before it is killed."""

CANNOT_START = frozenset({1, 64})
"""Exit codes (a taken port, unusable configuration) that end the whole proxy when a worker's first start ends so."""


class Child(Protocol):
    """A started process (asyncio.subprocess.Process)."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int: ...

    def send_signal(self, number: int, /) -> None: ...


Start = Callable[[int], Awaitable[Child]]
"""Starts the worker of an index."""


class Supervisor:
    """Keeps N workers alive until told to stop. One coroutine a worker: start, watch, back off."""

    def __init__(self, start: Start, count: int, *, backoff: Callable[[], Backoff] = Backoff) -> None:
        self._start = start
        self._count = count
        self._backoff = backoff
        self._children: dict[int, Child] = {}
        self._stopping = asyncio.Event()
        self._code = 0

    def __repr__(self) -> str:
        return f"<Supervisor {len(self._children)} of {self._count} alive{', stopping' if self._stopping.is_set() else ''}>"

    async def run(self) -> int:
        """Returns the exit code when every worker is gone: 0, or that of a worker that could not even start."""
        async with asyncio.TaskGroup() as group:
            for index in range(self._count):
                group.create_task(self._keep(index), name=f"worker {index}")
        return self._code

    def forward(self, number: int) -> None:
        """Pass a signal on to every worker; those that mean the end are also the parent's."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stopping.set()
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    def kill(self) -> None:
        """The time to leave in order is over."""
        self.forward(signal.SIGKILL)

    async def _keep(self, index: int) -> None:
        loop = asyncio.get_running_loop()
        backoff = self._backoff()
        for start in itertools.count():
            born = loop.time()
            code = await self._live(index)
            if start == 0 and code in CANNOT_START and not self._stopping.is_set():
                self._code = code
                self.forward(signal.SIGTERM)
            if self._stopping.is_set():
                return
            if loop.time() - born > _STEADY:
                backoff.reset()
            delay = backoff.next()
            _log.error("worker %d ended with %d; starting it again in %.1f s", index, code, delay)
            await self._pause(delay)
            if self._stopping.is_set():
                return

    async def _live(self, index: int) -> int:
        try:
            child = self._children[index] = await self._start(index)
        except OSError as error:  # no process or no memory for one: by and by there may be
            _log.error("worker %d cannot be started: %s", index, error)
            return os.EX_OSERR
        if self._stopping.is_set():  # told to stop while it was being started
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
        try:
            return await child.wait()
        finally:
            del self._children[index]

    async def _pause(self, delay: float) -> None:
        """Wait, or be told to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stopping.wait()


async def serve(launch: Launch, arguments: Sequence[str]) -> int:
    """Be the only worker, one of several, or the parent; returns the exit code."""
    if launch.worker_socket is not None:
        await process.serve(launch)
        return 0
    async with contextlib.AsyncExitStack() as stack:
        if launch.settings is not None:
            await _open_status(launch.settings, stack)
        if launch.concurrency == 1:
            await process.serve(launch)
            return 0
        await process.validate(launch)
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="pymesh-proxy-"))
        return await _supervise(launch, arguments, Path(directory))


async def _open_status(settings: Settings, stack: contextlib.AsyncExitStack) -> None:
    """In Istio's environment this process is also what answers for the pod."""
    from pymesh.status import StatusPort

    status = StatusPort(settings)
    stack.push_async_callback(status.stop)
    try:
        await status.start()
    except OSError as error:
        raise StartupError(f"PROXY_CONFIG.statusPort: {error.strerror or error}") from error


async def _supervise(launch: Launch, arguments: Sequence[str], directory: Path) -> int:
    sockets = [directory / f"worker-{index}.sock" for index in range(launch.concurrency)]
    supervisor = Supervisor(lambda index: _exec(arguments, sockets[index]), launch.concurrency)
    loop = asyncio.get_running_loop()
    forward = partial(_forward, supervisor, patience=launch.drain_time + KILL_AFTER)
    async with contextlib.AsyncExitStack() as stack:
        for number in FORWARDED:
            loop.add_signal_handler(number, forward, number)
            stack.callback(loop.remove_signal_handler, number)
        if launch.plan.admin is not None:
            from .admin.front import Front

            front = Front(sockets, stop=partial(forward, signal.SIGTERM))
            await front.start(*launch.plan.admin)
            stack.push_async_callback(front.stop)
        return await supervisor.run()


def _forward(supervisor: Supervisor, number: int, *, patience: float) -> None:
    supervisor.forward(number)
    if number != signal.SIGUSR1:
        asyncio.get_running_loop().call_later(patience, supervisor.kill)


async def _exec(arguments: Sequence[str], socket: Path) -> Child:
    """A worker. The end of its standard input tells it that the parent is gone, however that came about; a session of its
    own keeps the terminal's Ctrl-C from it, which the parent passes on."""
    command = [sys.executable, "-m", "pymesh_proxy.main", *arguments, "--worker", str(socket)]
    return await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, start_new_session=True)
