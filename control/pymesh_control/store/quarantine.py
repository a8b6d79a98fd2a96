"""Resources that parse but cannot be honoured: who is to blame, and what stands in until the file is mended."""

from collections.abc import Iterable, Sequence

from pymesh.api import Problem, Resource

from .catalogue import Key, key_of


def blame(problems: Iterable[Problem], resources: Iterable[Resource]) -> set[Key]:
    """The resources in which the errors stand: in the error's file, the last that begins at or before its line."""
    places = sorted(resources, key=lambda resource: resource.where)
    blamed: set[Key] = set()
    for problem in problems:
        if problem.severity == "error":
            before = [one for one in places if one.where.file == problem.file and one.where.line <= problem.line]
            blamed.update(key_of(one) for one in before[-1:])
    return blamed


class Quarantine:
    """The last version of each resource that the snapshot took without an error."""

    def __init__(self) -> None:
        self._accepted: dict[Key, Resource] = {}

    def replace(self, resources: Sequence[Resource], blamed: set[Key]) -> list[Resource]:
        """The resources to use: for each blamed one its last accepted version, or nothing if it never had one."""
        chosen = {key_of(one): self._accepted.get(key_of(one)) if key_of(one) in blamed else one for one in resources}
        self._accepted = {key: one for key, one in chosen.items() if one is not None}
        return list(self._accepted.values())
