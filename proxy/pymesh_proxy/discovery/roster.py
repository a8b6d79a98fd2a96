"""Clusters or listeners: those that serve, and those that are warming because something they refer to has not come yet."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from .references import Need, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One accepted resource."""

    name: str
    message: Any
    config: Any
    """What the compiler made of the message."""
    references: tuple[Reference, ...] = ()
    static: bool = False
    """From the bootstrap: the control plane can neither change nor remove it."""


class Roster:
    """A changed resource warms beside the version that serves; taking its place is one step. Pure bookkeeping."""

    def __init__(self) -> None:
        self.serving: dict[str, Held] = {}
        self.warming: dict[str, Held] = {}
        self._missing: dict[str, set[Need]] = {}

    def __repr__(self) -> str:
        return f"<Roster {len(self.serving)} serving, warming: {', '.join(sorted(self.warming)) or 'none'}>"

    def newest(self, name: str) -> Held | None:
        """The version accepted last, warming or not."""
        return self.warming.get(name) or self.serving.get(name)

    def stage(self, held: Held, missing: Iterable[Need]) -> None:
        """Let a new version warm until nothing is missing."""
        self.warming[held.name] = held
        self._missing[held.name] = set(missing)

    def remove(self, name: str) -> bool:
        """Forget a resource; whether a version of it was serving."""
        self.warming.pop(name, None)
        self._missing.pop(name, None)
        return self.serving.pop(name, None) is not None

    def met(self, need: Need) -> None:
        """The resource is there, or will not be waited for any longer."""
        for missing in self._missing.values():
            missing.discard(need)

    def take_ready(self) -> list[Held]:
        """The warm ones, in the order they came, now counted as serving."""
        ready = [held for name, held in self.warming.items() if not self._missing[name]]
        for held in ready:
            del self.warming[held.name], self._missing[held.name]
            self.serving[held.name] = held
        return ready

    def served(self) -> set[Need]:
        """What the serving versions refer to."""
        return {one.need for held in self.serving.values() for one in held.references}

    def references(self) -> Iterator[Reference]:
        """What all versions refer to; the old one's until it is replaced."""
        for versions in (self.serving, self.warming):
            for held in versions.values():
                yield from held.references
