"""Access log files: lines are collected while requests are served and written by a thread, off the loop.

A disk that blocks or fails must cost log lines, never requests: what waits for the thread is bounded, what does not fit is
counted, and an error is told once per spell.
"""

import asyncio
import errno
import logging
import os
import queue
import select
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from ..errors import ConfigError, Problem
from ..http.exchange import Exchange
from ..tcp.session import Phase, Session
from .format import ENVOY_DEFAULT, compile_http, compile_tcp

_log = logging.getLogger("pymesh.access_log")

FLUSH_INTERVAL = 1.0
FLUSH_SIZE = 64 * 1024
BACKLOG_LIMIT = 4 * 1024 * 1024
"""Characters that may wait for a blocked file; lines beyond it are dropped and counted."""
CLOSE_TIMEOUT = 2.0

_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}

Lines = list[str]
Write = Callable[[str], None]
"""Takes one line."""


class LogFormat(Protocol):
    """What an access logger's configuration says of its lines; neither `text` nor `json` means Envoy's default."""

    @property
    def text(self) -> str | None: ...

    @property
    def json(self) -> Mapping[str, Any] | None: ...

    @property
    def omit_empty_values(self) -> bool: ...


class Sinks:
    """All access log files of a process, one `Writer` per path; belongs to one event loop."""

    def __init__(self, *, flush_interval: float = FLUSH_INTERVAL) -> None:
        self._flush_interval = flush_interval
        self._writers: dict[str, Writer] = {}

    def __iter__(self) -> "Iterator[Writer]":
        return iter(self._writers.values())

    def file(self, path: str) -> "Writer":
        """The writer of `path`, opened now if it is new; raises ConfigError when it cannot be opened."""
        if (writer := self._writers.get(path)) is None:
            writer = self._writers[path] = Writer(path, self._flush_interval)
        return writer

    def log(self, path: str, layout: LogFormat) -> "FileLog":
        """The observers of one configured log; raises ConfigError for a format or a path that cannot be honoured."""
        return FileLog(lambda path: self.file(path).write, path, layout)

    def reopen(self) -> None:
        """Close and open every file again, after what is waiting was written (SIGUSR1, after a rotation)."""
        for writer in self._writers.values():
            writer.reopen()

    async def close(self) -> None:
        """Write what waits, for at most CLOSE_TIMEOUT seconds a file, and close."""
        writers, self._writers = list(self._writers.values()), {}
        for writer in writers:
            writer.finish()
        for writer in writers:
            await asyncio.to_thread(writer.join, CLOSE_TIMEOUT)


def rehearse(path: str, layout: LogFormat) -> "FileLog":
    """`Sinks.log` for a configuration that is only judged: the file is neither made nor opened, and lines go nowhere."""
    return FileLog(_judged, path, layout)


def _judged(path: str) -> Write:
    if path not in _STANDARD:
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise _cannot_open(path, os.strerror(errno.ENOENT))
        if os.path.isdir(path):
            raise _cannot_open(path, os.strerror(errno.EISDIR))
        if not os.access(path if os.path.exists(path) else folder, os.W_OK):
            raise _cannot_open(path, os.strerror(errno.EACCES))
    return lambda line: None


def _cannot_open(path: str, reason: str) -> ConfigError:
    return ConfigError(Problem("path", f"cannot open access log {path}: {reason}"))


class FileLog:
    """One access logger: `http` and `tcp` write a line when what they are given has ended."""

    __slots__ = ("_http", "_tcp", "_write")

    def __init__(self, opened: Callable[[str], Write], path: str, layout: LogFormat) -> None:
        """`opened` is asked for the path once the format is known to be good."""
        chosen = layout.json if layout.json is not None else layout.text or ENVOY_DEFAULT
        self._http = compile_http(chosen, omit_empty=layout.omit_empty_values)
        self._tcp = compile_tcp(chosen, omit_empty=layout.omit_empty_values)
        self._write = opened(path)

    def http(self, exchange: Exchange) -> None:
        self._write(self._http(exchange))

    def tcp(self, session: Session) -> None:
        if session.phase is Phase.CLOSED:
            self._write(self._tcp(session))


class Writer:
    """One file. `write` is for the loop's thread; everything that touches the file happens in the writer's own thread."""

    def __init__(self, path: str, flush_interval: float = FLUSH_INTERVAL) -> None:
        self.path = path
        self.dropped = 0
        """Lines lost because the file could not be written in time."""
        self._interval = flush_interval
        self._lines: Lines = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._queued = 0
        self._file = _FileThread(path)

    def __repr__(self) -> str:
        return f"<Writer {self.path} waiting={self._queued - self._file.done} dropped={self.dropped}>"

    def write(self, line: str) -> None:
        """Take one line, which ends in a newline; returns at once and never raises."""
        self._lines.append(line)
        self._size = size = self._size + len(line)
        if size >= FLUSH_SIZE:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self.flush)

    def flush(self) -> None:
        """Hand the collected lines to the thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._queued - self._file.done + self._size > BACKLOG_LIMIT:
            self.dropped += len(self._lines)
        elif self._lines:
            self._queued += self._size
            self._file.submit(self._lines)
        self._lines, self._size = [], 0

    def reopen(self) -> None:
        self.flush()
        self._file.submit(_reopen)

    def finish(self) -> None:
        """Ask for the end: nothing may be written afterwards."""
        self.flush()
        self._file.submit(None)

    def join(self, timeout: float) -> None:
        """Wait for the file to be closed; a file that still blocks is left behind with its daemon thread."""
        self._file.join(timeout)


def _reopen(path: str, descriptor: int) -> int:
    """A descriptor of the file that bears the name now; the old one is kept when there is no way to open it."""
    if path in _STANDARD:
        return descriptor
    fresh = _open(path)
    os.close(descriptor)
    return fresh


class _FileThread(threading.Thread):
    """Takes lists of lines, `_reopen`, or None (the end) from its queue, in order."""

    def __init__(self, path: str) -> None:
        super().__init__(name=f"access log {path}", daemon=True)
        self._path = path
        self._queue: queue.SimpleQueue[Lines | Callable[[str, int], int] | None] = queue.SimpleQueue()
        self._failing = False
        self.done = 0
        """Characters taken off the queue and written or given up; only this thread changes it."""
        try:
            self._descriptor = _open(path)
        except OSError as error:
            raise _cannot_open(path, str(error.strerror)) from error
        self.start()

    def submit(self, work: "Lines | Callable[[str, int], int] | None") -> None:
        self._queue.put(work)

    def run(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                self._perform(work)
                self._failing = False
            except OSError as error:
                self._tell(error)
        if self._path not in _STANDARD:
            os.close(self._descriptor)

    def _perform(self, work: "Lines | Callable[[str, int], int]") -> None:
        if not isinstance(work, list):
            self._descriptor = work(self._path, self._descriptor)
            return
        text = "".join(work)
        try:
            _write_all(self._descriptor, text.encode("utf-8", "backslashreplace"))
        finally:
            self.done += len(text)

    def _tell(self, error: OSError) -> None:
        if not self._failing:
            _log.error("access log %s: %s; its lines are lost until it can be written again", self._path, error)
        self._failing = True


def _open(path: str) -> int:
    if path in _STANDARD:
        return _STANDARD[path]
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # a standard stream that its other owner made non-blocking
            select.select([], [descriptor], [])
