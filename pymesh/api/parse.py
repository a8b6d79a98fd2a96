"""From texts and paths to resources and problems; nothing here raises for what a file may hold."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import document, sources
from .envelope import Envelope
from .problem import Position, Problem
from .resource import Resource
from .tree import Mapping, Node, Scalar, Sequence, describe, find


@dataclass(slots=True)
class Parsed:
    """The resources that can be used, and everything that is wrong, in the order of the files.

    A resource with an error is not among `resources`; one with warnings is.
    """

    resources: list[Resource] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _places: dict[tuple[str, str, str], Position] = field(default_factory=dict, init=False, repr=False, compare=False)

    def add(self, other: "Parsed") -> None:
        """Append what another text gave; an object that exists already is a problem at its second place."""
        self.problems += other.problems
        for resource in other.resources:
            first = self._places.setdefault((resource.kind, resource.namespace, resource.name), resource.where)
            if first is resource.where:
                self.resources.append(resource)
            else:
                self.problems.append(Problem.at(resource.where, f"{resource.kind} {resource.name}: already defined at {first}"))


def parse_text(text: str, filename: str) -> Parsed:
    """Read every object of a YAML (or JSON) text; `filename` is only for the messages."""
    parsed = Parsed()
    for part in document.read(text, filename):
        parsed.problems += part.problems
        for item in _objects(part.root) if part.root else ():
            found = _read(item, filename)
            usable = [] if part.problems else found.resources  # after a duplicate key, say, the meaning is a guess
            parsed.add(Parsed(usable, found.problems))
    parsed.problems.sort()
    return parsed


def parse_paths(paths: Iterable[str | Path]) -> Parsed:
    """Read files and folders (every .yaml, .yml and .json below them); what cannot be read becomes a problem."""
    parsed = Parsed()
    for file in (file for path in paths for file in sources.files(Path(path))):
        try:
            source = sources.read(file)
        except sources.Unreadable as unreadable:
            parsed.problems.append(Problem(str(file), 1, 1, "error", str(unreadable)))
        else:
            parsed.add(parse_text(source.text, source.name))
    return parsed


def _objects(root: Node) -> Iterator[Node]:
    """The object itself, or the items of a `List`, which may have none; an empty document is none."""
    if _is_null(root):
        return
    kind, items = find(root, ("kind",)).node, find(root, ("items",))
    name = str(kind.value) if isinstance(kind, Scalar) else ""
    if name.endswith("List") and isinstance(items.node, Sequence):
        for item in items.node.items:
            yield from _objects(item)
    elif name != "List" or (items.shown and not _is_null(items.node)):
        yield root


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None


def _read(node: Node, filename: str) -> Parsed:
    if not isinstance(node, Mapping):
        where = Position(filename, *node.mark)
        return Parsed(problems=[Problem.at(where, f"expected an object with apiVersion, kind and metadata, found {describe(node)}")])
    envelope = Envelope(node, filename)
    resource = envelope.read()
    return Parsed([resource, *envelope.beside] if resource else [], envelope.problems)
