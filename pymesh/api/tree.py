"""What a document says, with the place of every key and value: the tree that models are filled from and errors point into."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]
Plain: TypeAlias = bool | int | float | str | None

_UNDERSCORED = re.compile(r"_(.)")
_LONGEST_SHOWN = 60  # characters of a value in a message
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Mark(NamedTuple):
    """Line and column, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value: what YAML makes of it, and the text that stands in the file.

    `block` is the indentation of the first content line of a literal block (`|`), whose text keeps the file's lines; else None.
    """

    mark: Mark
    value: Plain
    text: str
    block: Mark | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One `key: value` of a mapping."""

    mark: Mark
    key: str
    node: "Node"


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys in the order of the file."""

    mark: Mark
    entries: dict[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    mark: Mark
    items: list["Node"] = field(default_factory=list)


Node: TypeAlias = Scalar | Mapping | Sequence


class Spot(NamedTuple):
    """The deepest part of a path that the file holds: its node, where its key (or list item) begins, and the path as the file spells it."""

    node: Node
    mark: Mark
    shown: Path

    @property
    def token(self) -> Mark:
        """The place a reader should look at: the value itself, or the key above a whole block."""
        return self.node.mark if isinstance(self.node, Scalar) else self.mark


def find(root: Node, path: Path) -> Spot:
    """Follow a path as far as the file goes; field names may be spelt in camelCase or snake_case."""
    spot = Spot(root, root.mark, ())
    for step in path:
        below = _child(spot.node, step)
        if below is None:
            break
        spot = Spot(below[0], below[1], spot.shown + (below[2],))
    return spot


def _child(node: Node, step: Step) -> tuple[Node, Mark, Step] | None:
    if isinstance(node, Sequence):
        if isinstance(step, int) and 0 <= step < len(node.items):
            item = node.items[step]
            return item, item.mark, step
    elif isinstance(node, Mapping):
        entry = node.entries.get(str(step)) or _spelt_otherwise(node, str(step))
        if entry is not None:
            return entry.node, entry.mark, entry.key
    return None


def _spelt_otherwise(node: Mapping, name: str) -> Entry | None:
    """A field by another of its names: `cluster_ip` is written clusterIP, `from_` from."""
    letters = _letters(name)
    return next((entry for key, entry in node.entries.items() if _letters(key) == letters), None)


def _letters(name: str) -> str:
    return name.replace("_", "").lower()


def json_name(name: str) -> str:
    """The JSON name protobuf gives a field: `consecutive_5xx_errors` is `consecutive5xxErrors`."""
    return _UNDERSCORED.sub(lambda match: match[1].upper(), name)


def show(path: Path) -> str:
    """A path as people write it: `spec.http[0].match[0].headers["x-user"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _WORD.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def plain(node: Node) -> object:
    """The bare value below a node, as JSON would give it."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key: plain(entry.node) for key, entry in node.entries.items()}


def size(node: Node) -> int:
    """Characters of a text, entries of a list or an object."""
    if isinstance(node, Scalar):
        return len(str(node.value))
    return len(node.items if isinstance(node, Sequence) else node.entries)


def describe(node: Node) -> str:
    """What was found, for the end of an "expected ..., found ..." sentence."""
    if isinstance(node, Mapping):
        return "an object"
    if isinstance(node, Sequence):
        return "a list"
    if node.value is None:
        return "null"
    if isinstance(node.value, bool):
        return f"the boolean {node.text}"
    word = "string" if isinstance(node.value, str) else "number"
    if len(node.text) > _LONGEST_SHOWN:
        return f"a long {word}"
    return f'the string "{node.text}"' if word == "string" else f"the number {node.text}"
