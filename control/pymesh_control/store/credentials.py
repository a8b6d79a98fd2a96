"""The folder of credentials: `NAMESPACE/NAME/` with the files of one secret, as a mounted Kubernetes secret has them.

It is watched: a certificate that is replaced on disk reaches the gateways without a restart.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from pymesh.api import Problem
from pymesh.tasks import spawn

from ..errors import StartupError
from ..model.credential import MEMBERS, Credential, Credentials, from_members
from .watch import events

_log = logging.getLogger("pymesh.store")

MAX_MEMBER = 1 << 20
"""Bytes of one file of a credential; Kubernetes takes no larger secret."""


class CredentialFolder:
    """The credentials of a folder. `on_change` is called after each change; what cannot be read any more stays as it was."""

    def __init__(self, path: Path, on_change: Callable[[], None]) -> None:
        self.path = path
        self._on_change = on_change
        self._held: dict[tuple[str, str], Credential] = {}
        self.problems: tuple[Problem, ...] = ()
        self._watching: asyncio.Task[None] | None = None

    def contents(self) -> Credentials:
        """What counts now."""
        return self._held

    async def start(self) -> asyncio.Task[None]:
        """Read the folder, and watch it from now on in the task that is returned. Raises StartupError if it is no folder."""
        if not await asyncio.to_thread(self.path.is_dir):
            raise StartupError(f"cannot read the folder of secrets {self.path}: it is no folder")
        self._watching = spawn(self._watch(), name=f"watch {self.path}")
        await asyncio.sleep(0)  # the watch stands before the first look
        await self.look()
        return self._watching

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def look(self) -> None:
        """Read everything: secrets are few and small."""
        found, problems = await asyncio.to_thread(_read, self.path, self._held)
        for problem in problems:
            if problem not in self.problems:
                _log.error("%s", problem)
        if (found, problems) != (self._held, self.problems):
            self._held, self.problems = found, problems
            self._on_change()

    async def _watch(self) -> None:
        async for _ in events(self.path):
            await self.look()


def _read(folder: Path, former: Credentials) -> tuple[dict[tuple[str, str], Credential], tuple[Problem, ...]]:
    found: dict[tuple[str, str], Credential] = {}
    problems: list[Problem] = []
    for key, place in _places(folder):
        try:
            found[key] = from_members(_members(place))
        except OSError as error:
            problems.append(Problem(str(place), 1, 1, "error", f"cannot read this credential: {error.strerror or error}"))
            if key in former:
                found[key] = former[key]
    return found, tuple(problems)


def _places(folder: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """The folder of each secret, by namespace and name."""
    for namespace in sorted(folder.glob("[!.]*/")):
        for name in sorted(namespace.glob("[!.]*/")):
            if name.is_dir():
                yield (namespace.name, name.name), name


def _members(place: Path) -> dict[str, bytes]:
    members = {}
    for name in MEMBERS:
        file = place / name
        if file.is_file():
            if file.stat().st_size > MAX_MEMBER:
                raise OSError(f"{name} has more than {MAX_MEMBER} bytes")
            members[name] = file.read_bytes()
    return members
