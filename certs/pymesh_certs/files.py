"""Key files on disk: private from the first byte, whole or absent, and refused when others could have read them."""

import contextlib
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from .errors import FileUnusable

_PRIVATE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Create the directory if need be and hold its lock, so that processes starting together make one set of files."""
    with _as_sentences():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # closing drops the lock


def make_parent(path: Path) -> None:
    """Make the folder that a file is to be in, if need be."""
    with _as_sentences():
        path.parent.mkdir(parents=True, exist_ok=True)


def write(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 that appears under its name only when complete and on disk."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with _as_sentences():
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)


def read(path: Path) -> bytes:
    with _as_sentences():
        return path.read_bytes()


def read_private(path: Path) -> bytes:
    """The content of a key file; raises FileUnusable if group or others may read or write it."""
    with _as_sentences(), path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & _OTHERS:
            raise FileUnusable(f"{path} has mode {mode:04o}, so other users may have read the key; make a new one, or `chmod 600` it")
        return file.read()


@contextlib.contextmanager
def _as_sentences() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnusable(f"{error.filename}: {error.strerror}") from error
