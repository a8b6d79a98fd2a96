"""Access log files: lines are collected while requests are served and written by a thread, off the loop.

A disk that blocks or fails must cost log lines, never requests: what waits for the thread is bounded, what does not fit is
counted, and an error is told once per spell.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from ..http.exchange import Exchange
from ..tcp.session import Phase, Session
from .format import compile_http, compile_tcp
from .log_file import STANDARD, FileThread, Lines, cannot_open, reopened
from .written_out import ENVOY_DEFAULT

FLUSH_INTERVAL = 1.0
FLUSH_SIZE = 64 * 1024
BACKLOG_LIMIT = 4 * 1024 * 1024
"""Characters that may wait for a blocked file; lines beyond it are dropped and counted."""
CLOSE_TIMEOUT = 2.0

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
    return FileLog(judged, path, layout)


def judged(path: str) -> Write:
    """`Sinks.file` for a configuration that is only judged; raises ConfigError where the file could not be opened."""
    if path not in STANDARD:
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise cannot_open(path, os.strerror(errno.ENOENT))
        if os.path.isdir(path):
            raise cannot_open(path, os.strerror(errno.EISDIR))
        if not os.access(path if os.path.exists(path) else folder, os.W_OK):
            raise cannot_open(path, os.strerror(errno.EACCES))
    return lambda line: None


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
        if session.phase is Phase.CLOSED or session.log_type:
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
        self._file = FileThread(path)

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
        self._file.submit(reopened)

    def finish(self) -> None:
        """Ask for the end: nothing may be written afterwards."""
        self.flush()
        self._file.submit(None)

    def join(self, timeout: float) -> None:
        """Wait for the file to be closed; a file that still blocks is left behind with its daemon thread."""
        self._file.join(timeout)
