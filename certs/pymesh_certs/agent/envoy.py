"""One Envoy process: its command line, its life, and its orderly end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from pymesh import tasks
from pymesh.bootstrap.environment import Settings
from pymesh.orphans import die_with_parent

from ..errors import AgentError
from .stop import Stop

_log = logging.getLogger("pymesh.certs.agent")

_CONFIG_FLAGS = ("-c", "--config-path", "--config-yaml")
_LAST_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL: with its listeners drained Envoy has nothing left to wait for."""

_ADMIN_TIMEOUT = 2.0


def command(settings: Settings, bootstrap: Path, given: Sequence[str]) -> list[str]:
    """Envoy's argument list: what the user gave, our bootstrap, and Istio's settings for what the user left open.

    Raises AgentError when the user gave a configuration, for then there would be two.
    """
    program, *arguments = given or (settings.proxy.binary_path,)
    names = {argument.partition("=")[0] for argument in arguments}
    if taken := names.intersection(_CONFIG_FLAGS):
        raise AgentError(f"{taken.pop()} is the agent's to give; it writes the bootstrap itself")
    defaults = {
        "--drain-time-s": f"{settings.proxy.drain_duration:.0f}",
        "--drain-strategy": "immediate",
        "--concurrency": str(settings.proxy.concurrency) if settings.proxy.concurrency is not None else None,
    }
    added = [part for flag, value in defaults.items() if value is not None and flag not in names for part in (flag, value)]
    # One Envoy a pod: a hot restart's shared memory would tie neighbours on one host together.
    alone = [] if names & {"--disable-hot-restart", "--base-id", "--use-dynamic-base-id"} else ["--disable-hot-restart"]
    return [program, "-c", str(bootstrap), *added, *alone, *arguments]


class Envoy:
    """A process made from `argv`.

    `admin_port` is where it is told to drain; `drain` is how long, in seconds; `announce` lets the mesh know before.
    """

    def __init__(self, argv: Sequence[str], *, admin_port: int, drain: float, announce: Callable[[], Awaitable[None]]) -> None:
        self._argv = argv
        self._admin_port = admin_port
        self._drain = drain
        self._announce = announce
        self._process: asyncio.subprocess.Process | None = None

    def forward(self, number: int) -> None:
        """Pass a signal on (SIGUSR1: reopen the access logs)."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def run(self, stop: Stop) -> int:
        """Start, wait for its end or for `stop`, end it in order; returns the exit code a shell would see."""
        self._process = process = await self._start()
        ended: asyncio.Task[int] = tasks.spawn(process.wait(), name="envoy")
        try:
            await _either(ended, stop.asked)
            if not ended.done():
                await self._draining(ended, stop.hurry)
            if not ended.done():
                await self._stopping(ended)
        finally:
            self.forward(signal.SIGKILL)
            code = await ended
        return code if code >= 0 else 128 - code

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            # A group of its own: Ctrl-C reaches the agent alone, which then drains. Left behind, Envoy would keep its ports from the next.
            return await asyncio.create_subprocess_exec(*self._argv, process_group=0, preexec_fn=die_with_parent())
        except OSError as error:
            raise AgentError(f"cannot run {self._argv[0]}: {error.strerror}") from None

    async def _draining(self, ended: asyncio.Task[int], hurry: asyncio.Event) -> None:
        """Istio's order: listeners first, so that clients go elsewhere while what they began is finished.

        Before that the control plane is told to send nobody here any more.
        """
        await self._announce()
        try:
            async with asyncio.timeout(_ADMIN_TIMEOUT):
                status = await post(self._admin_port, "/drain_listeners?graceful&inboundonly")
            _log.info("draining for %g s (admin answered %s)", self._drain, status)
        except (OSError, TimeoutError) as error:
            _log.warning("Envoy's admin port does not answer, so its listeners are not drained: %s", error or "timeout")
        await _either(ended, hurry, self._drain)

    async def _stopping(self, ended: asyncio.Task[int]) -> None:
        self.forward(signal.SIGTERM)
        await asyncio.wait([ended], timeout=_LAST_GRACE)


async def post(port: int, target: str) -> str:
    """POST to an admin interface on loopback; returns the status line. Raises OSError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).decode("latin-1").strip()
    finally:
        writer.close()


async def _either(ended: asyncio.Task[int], event: asyncio.Event, timeout: float | None = None) -> None:  # noqa: ASYNC109
    """Until the process has ended, the event is set or the time is up; the process is left alone."""
    waiting = tasks.spawn(event.wait(), name="signal")
    try:
        await asyncio.wait([ended, waiting], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
