"""The configuration folder: read, watched, and read again whenever anything in it moves.

Events say only that something happened; what the folder holds is found by looking. So renames, editors' temporary files,
the symbolic links of mounted ConfigMaps and events that were lost all come out right.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pymesh.api import Parsed, Problem, parse_paths
from pymesh.api.sources import SUFFIXES
from pymesh.tasks import spawn

from ..errors import StartupError
from .catalogue import Catalogue, Contents
from .watch import events

_log = logging.getLogger("pymesh.store")
Stamp = tuple[int, int, int]


class Folder:
    """The files of a folder and the folders in it. `on_change` is called after each change that was taken in."""

    def __init__(self, path: Path, on_change: Callable[[], None]) -> None:
        self.path = path
        self.revision = 0
        self._on_change = on_change
        self._catalogue = Catalogue()
        self._stamps: dict[str, Stamp] = {}
        self._trouble: Problem | None = None
        self._next = asyncio.Event()
        self._looking = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None

    def contents(self) -> Contents:
        """What counts now, and what is wrong."""
        found = self._catalogue.contents()
        return Contents(found.resources, (self._trouble, *found.problems)) if self._trouble else found

    async def start(self) -> asyncio.Task[None]:
        """Read the folder, and watch it from now on in the task that is returned. Raises StartupError if it cannot be read."""
        try:
            await asyncio.to_thread(os.listdir, self.path)
        except OSError as error:
            raise StartupError(f"cannot read configuration folder {self.path}: {error.strerror}") from error
        self._watching = spawn(self._watch(), name=f"watch {self.path}")
        await asyncio.sleep(0)  # in its first step the watch opens its kernel watch: from here on no change goes unseen
        await self.look(())
        return self._watching

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def changed_since(self, revision: int) -> int:
        """Wait until a later revision than this was taken in; returns the present one."""
        while self.revision <= revision:
            await self._next.wait()
        return self.revision

    async def look(self, touched: Iterable[str]) -> None:
        """Take in whatever is different, and every file in `touched` in any case."""
        async with self._looking:
            try:
                stamps = await asyncio.to_thread(_stamps, self.path)
            except OSError as error:
                self._lost(error)
            else:
                await self._take_in(stamps, self._different(stamps, set(touched)))

    def _different(self, stamps: dict[str, Stamp], touched: set[str]) -> list[str]:
        """The files to read; the watch names them by absolute paths, whatever form our own has."""
        return [name for name, stamp in stamps.items() if self._stamps.get(name) != stamp or os.path.abspath(name) in touched]

    async def _take_in(self, stamps: dict[str, Stamp], changed: list[str]) -> None:
        found_again, self._trouble = self._trouble is not None, None
        gone = self._stamps.keys() - stamps.keys()
        for name, parsed in await asyncio.to_thread(_read, changed):
            self._catalogue.load(name, parsed)
        for name in gone:
            self._catalogue.forget(name)
        self._stamps = stamps
        if changed or gone or found_again:
            self._tell()

    def _lost(self, error: OSError) -> None:
        """The folder itself cannot be read: what it held stays."""
        if self._trouble is None:
            self._trouble = Problem(str(self.path), 1, 1, "error", f"cannot read the folder: {error.strerror}; its last content stays")
            self._tell()

    def _tell(self) -> None:
        self.revision += 1
        done, self._next = self._next, asyncio.Event()
        done.set()
        self._on_change()

    async def _watch(self) -> None:
        async for touched in events(self.path):
            await self.look(touched)


def _stamps(folder: Path) -> dict[str, Stamp]:
    """What tells one content of a file from another without reading it, for every file that may hold configuration."""
    os.listdir(folder)  # raises OSError where the walk below would find nothing
    found = {}
    for directory, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]  # `..data` of mounted ConfigMaps, `.git`
        for name in names:
            if name.endswith(SUFFIXES) and not name.startswith("."):
                path = os.path.join(directory, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue  # gone since it was listed, or a dangling link
                found[path] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found


def _read(names: Iterable[str]) -> list[tuple[str, Parsed]]:
    return [(name, parse_paths([name])) for name in names]
