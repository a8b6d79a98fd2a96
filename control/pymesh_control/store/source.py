"""Where resources come from: the folder is one source, and whatever else knows of objects can be another beside it."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from pymesh.api import Problem, Resource

from .catalogue import Contents, Key, key_of


class Source(Protocol):
    """It calls back whenever `contents` would answer differently, from when it was started."""

    async def start(self) -> asyncio.Task[None]:
        """Know everything there is, and keep to it in the task that is returned. Raises StartupError."""

    async def stop(self) -> None:
        """End the task."""

    def contents(self) -> Contents:
        """What counts now, and what is wrong."""


def joined(sources: Iterable[Source]) -> Contents:
    """What all sources hold. Of two that define one object, the first keeps it."""
    resources: dict[Key, Resource] = {}
    problems: list[Problem] = []
    for found in [source.contents() for source in sources]:
        problems += found.problems
        for resource in found.resources:
            first = resources.setdefault(key_of(resource), resource)
            if first is not resource:
                text = f"{resource.kind} {resource.namespace}/{resource.name} is already defined at {first.where}, which stays"
                problems.append(Problem.at(resource.where, text))
    return Contents(tuple(resources.values()), tuple(problems))
