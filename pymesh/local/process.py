"""One child process and its descendants, which live and die together.

A child leads a session of its own, so that a Ctrl-C in the terminal reaches only the supervisor, which then stops the
children in order; and signals go to the whole group, so that a server's workers cannot outlive it.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..orphans import die_with_parent
from .errors import ChildFailed, ProgramMissing

_LOG_INTERVAL = 0.05  # seconds between two looks at a log; proxies write theirs in batches, so a line is late anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to start: a name for people, the argument list, and the variables added to this process's environment."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


class Child:
    """A running process; `await Child.start(command, log)` makes one."""

    def __init__(self, command: Command, log: Path, process: asyncio.subprocess.Process) -> None:
        self.command = command
        self.log = log
        self._process = process

    @classmethod
    async def start(cls, command: Command, log: Path) -> "Child":
        """Start the process with its output appended to `log`; raises ProgramMissing."""
        with log.open("ab") as sink:
            return cls(command, log, await _spawn(command, stdout=sink, stderr=sink))

    def __repr__(self) -> str:
        state = "running" if self.running else f"exited {self._process.returncode}"
        return f"<Child {self.command.name} pid {self.pid} {state}>"

    @property
    def name(self) -> str:
        return self.command.name

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def exit(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        return await self._process.wait()

    async def stays_up(self, seconds: float) -> None:
        """Wait `seconds`, or raise ChildFailed as soon as the process ends."""
        try:
            async with asyncio.timeout(seconds):
                exit_code = await self.exit()
        except TimeoutError:
            return
        raise ChildFailed(self.name, exit_code, self.log)

    async def says(self, text: str, within: float) -> str | None:
        """Wait for a line with `text` in the log; None when it does not come within that many seconds. Raises ChildFailed."""
        deadline = time.monotonic() + within
        while True:
            for line in self.log.read_text(errors="replace").splitlines():
                if text in line:
                    return line
            if time.monotonic() > deadline:
                return None
            await self.stays_up(_LOG_INTERVAL)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its descendants; nothing happens when all have ended."""
        try:
            os.killpg(self.pid, number)  # the child leads its session, so its group bears its pid
        except ProcessLookupError:
            return

    async def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds; returns when the process has ended and no descendant is left."""
        self.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self.exit()
        except TimeoutError:
            pass
        finally:
            self.signal(signal.SIGKILL)
        await self.exit()


async def output(command: Command, log: Path) -> str:
    """Run a command to its end: what it wrote to its standard output; raises ChildFailed unless it exits 0."""
    with log.open("ab") as sink:
        process = await _spawn(command, stdout=asyncio.subprocess.PIPE, stderr=sink)
    try:
        written, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise ChildFailed(command.name, process.returncode, log)
    return written.decode()


async def _spawn(command: Command, *, stdout: int | IO[bytes], stderr: int | IO[bytes]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        locate(command.argv[0], command.cwd), *command.argv[1:],
        env={**os.environ, **command.env}, cwd=command.cwd,
        stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        start_new_session=True, preexec_fn=die_with_parent(),
    )


def locate(program: str, folder: Path | None = None) -> str:
    """The path of a program: this Python for `python`; below `folder` for a relative path; else beside this Python, else on PATH.

    Raises ProgramMissing.
    """
    if program in ("python", "python3"):
        return sys.executable
    if os.sep in program:
        found = shutil.which((folder or Path()) / program)
    else:
        found = shutil.which(program, path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))))
    if found is None:
        raise ProgramMissing(program)
    return found
