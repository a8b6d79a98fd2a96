"""An access log's file and the thread that writes it: what may block, and so may not happen on the loop."""

import logging
import os
import queue
import select
import threading
from collections.abc import Callable

from ..errors import ConfigError, Problem

_log = logging.getLogger("pymesh.access_log")

STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}

Lines = list[str]


def cannot_open(path: str, reason: str) -> ConfigError:
    return ConfigError(Problem("path", f"cannot open access log {path}: {reason}"))


def reopened(path: str, descriptor: int) -> int:
    """A descriptor of the file that bears the name now; the old one is kept when there is no way to open it."""
    if path in STANDARD:
        return descriptor
    fresh = _open(path)
    os.close(descriptor)
    return fresh


class FileThread(threading.Thread):
    """Takes lists of lines, `reopened`, or None (the end) from its queue, in order."""

    def __init__(self, path: str) -> None:
        super().__init__(name=f"access log {path}", daemon=True)
        self._path = path
        self._queue: queue.SimpleQueue[Lines | Callable[[str, int], int] | None] = queue.SimpleQueue()
        self._failing = False
        self._torn = False
        """The file ends in the middle of a line: the disk was full."""
        self.done = 0
        """Characters taken off the queue and written or given up; only this thread changes it."""
        try:
            self._descriptor = _open(path)
        except OSError as error:
            raise cannot_open(path, str(error.strerror)) from error
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
        if self._path not in STANDARD:
            os.close(self._descriptor)

    def _perform(self, work: "Lines | Callable[[str, int], int]") -> None:
        if not isinstance(work, list):
            self._descriptor = work(self._path, self._descriptor)
            self._torn = False
            return
        text = "".join(work)
        try:
            self._write(text.encode("utf-8", "backslashreplace"))
        finally:
            self.done += len(text)

    def _write(self, data: bytes) -> None:
        """All of it. Half a line that was written last is ended first, or the next one would be taken for its rest."""
        view = memoryview(b"\n" + data if self._torn else data)
        while view:
            size = _written(self._descriptor, view)
            self._torn = view[size - 1] != _NEWLINE
            view = view[size:]
        self._torn = False

    def _tell(self, error: OSError) -> None:
        if not self._failing:
            _log.error("access log %s: %s; its lines are lost until it can be written again", self._path, error)
        self._failing = True


def _open(path: str) -> int:
    if path in STANDARD:
        return STANDARD[path]
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


_NEWLINE = ord("\n")


def _written(descriptor: int, data: memoryview) -> int:
    """How much of it could be written, some at least."""
    while True:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:  # a standard stream that its other owner made non-blocking
            select.select([], [descriptor], [])
