"""What the files of the folder define, with the last good version of what one of them has spoilt."""

from collections.abc import Mapping
from dataclasses import dataclass

from pymesh.api import Parsed, Problem, Resource, has_errors

Key = tuple[str, str, str]


def key_of(resource: Resource) -> Key:
    """Kind, namespace, name: what makes two resources the same object."""
    return resource.kind, resource.namespace, resource.name


@dataclass(frozen=True, slots=True)
class Contents:
    """The resources that count, ordered by file and place, and everything wrong with the files."""

    resources: tuple[Resource, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    good: Mapping[Key, Resource]
    problems: tuple[Problem, ...]


def _kept(held: Resource | None, read: Resource) -> Resource:
    """The resource as read; the very object that is held if that is equal, so that others see that nothing has changed."""
    return held if held == read else read


class Catalogue:
    """The files, as last read. Reading is someone else's: nothing here does I/O."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._owners: dict[Key, str] = {}

    def load(self, file: str, parsed: Parsed) -> None:
        """A file's new text. Of a file with errors nothing is taken away, for what it no longer defines may be what broke."""
        held = self._files[file].good if file in self._files else {}
        good = {key_of(resource): _kept(held.get(key_of(resource)), resource) for resource in parsed.resources}
        if has_errors(parsed.problems):
            good = {**held, **good}
        self._files[file] = _File(good, tuple(parsed.problems))

    def forget(self, file: str) -> None:
        """The file is gone, and with it what it defined."""
        self._files.pop(file, None)

    def contents(self) -> Contents:
        """Everything that counts now. Of two files that define one resource, the one that came first keeps it."""
        claims: dict[Key, list[str]] = {}
        for name in sorted(self._files):
            for key in self._files[name].good:
                claims.setdefault(key, []).append(name)
        self._owners = {key: self._owner(key, files) for key, files in claims.items()}
        resources = sorted(
            (self._files[owner].good[key] for key, owner in self._owners.items()), key=lambda resource: resource.where
        )  # fmt: skip
        problems = [problem for file in self._files.values() for problem in file.problems]
        problems += [
            self._conflict(key, file) for key, files in claims.items() for file in files if file != self._owners[key]
        ]  # fmt: skip
        return Contents(tuple(resources), tuple(sorted(problems)))

    def _owner(self, key: Key, files: list[str]) -> str:
        owner = self._owners.get(key)
        return owner if owner in files else files[0]

    def _conflict(self, key: Key, file: str) -> Problem:
        kind, namespace, name = key
        first = self._files[self._owners[key]].good[key].where
        return Problem.at(self._files[file].good[key].where, f"{kind} {namespace}/{name} is already defined at {first}, which stays")
