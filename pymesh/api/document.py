"""YAML text to trees with positions.

PyYAML's C parser composes the nodes; the values are made here, because configuration written for Kubernetes' reader expects its
YAML 1.1 (`on` is true, `010` is 8, no base-60 numbers, no dates), and because duplicate keys, foreign tags and alias bombs have to be
problems with a place, not surprises.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from .problem import Problem
from .tree import Entry, Mapping, Mark, Node, Plain, Scalar, Sequence

MAX_DEPTH = 100  # levels; the deepest Istio field stands at about 15
MAX_ALIASED = 100_000  # nodes that aliases may repeat in one document: the bound on "billion laughs"

_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset(_TAG + name for name in ("str", "timestamp", "value"))
_INDENTATION = re.compile(" *")
_EXACT = 2**53  # beyond, floating-point numbers leave integers out
_EXPONENT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")  # a JSON number that YAML 1.1's grammar takes for a string


Place: TypeAlias = Callable[[int, int], Mark]


class _Refused(Exception):
    """The document cannot be used at all; carries the place and the reason."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark, self.message = mark, message


@dataclass
class Document:
    """One document of a text: its tree (None when it cannot be used at all) and what is wrong with its YAML."""

    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)


def read(text: str, filename: str, place: Place = Mark) -> list[Document]:
    """Compose every document of a text; never raises. A syntax error ends the reading, the documents before it are kept.

    `place` turns a line and column of the text into the place to report, for text that stands inside another file.
    """
    documents: list[Document] = []
    try:
        documents.extend(_build(node, text, filename, place) for node in _compose(text))
    except yaml.MarkedYAMLError as error:
        sentence = ", ".join(part for part in (error.context, error.problem) if part)
        mark = _mark(error.problem_mark or error.context_mark, place)
        documents.append(Document(None, [Problem(filename, *mark, "error", f"not valid YAML: {sentence}")]))
    except yaml.reader.ReaderError as error:
        mark = _at(text.encode()[: error.position].decode(errors="replace"), place)
        documents.append(Document(None, [Problem(filename, *mark, "error", f"not valid YAML: {error.reason}")]))
    except UnicodeEncodeError as error:
        mark = _at(text[: error.start], place)
        documents.append(Document(None, [Problem(filename, *mark, "error", f"not valid YAML: {error.reason}")]))
    return documents


def _build(node: yaml.Node, text: str, filename: str, place: Place) -> Document:
    document = Document()
    builder = _Builder(filename, text, place, document.problems)
    try:
        document.root = builder.build(node, 0)
    except _Refused as refused:
        builder.report(refused.mark, refused.message)
    return document


def _compose(text: str) -> Iterator[yaml.Node]:
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None  # check_node said so
            yield node
    finally:
        loader.dispose()


def _at(before: str, place: Place) -> Mark:
    """The place just after some text."""
    return place(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _mark(mark: yaml.Mark | None, place: Place) -> Mark:
    return place(mark.line + 1, mark.column + 1) if mark else place(1, 1)


class _Builder:
    """Turns one document's YAML nodes into our tree."""

    def __init__(self, filename: str, text: str, place: Place, problems: list[Problem]) -> None:
        self._filename, self._text, self._place, self._problems = filename, text, place, problems
        self._seen: set[int] = set()
        self._aliased = 0

    def report(self, mark: Mark, message: str) -> None:
        """Note a problem of the YAML itself."""
        self._problems.append(Problem(self._filename, *mark, "error", message))

    def build(self, node: yaml.Node, depth: int) -> Node:
        """The tree below a node; raises _Refused for what no document may hold."""
        mark = _mark(node.start_mark, self._place)
        self._count(node, mark, depth)
        if isinstance(node, yaml.ScalarNode):
            return Scalar(mark, self._value(node, mark), node.value, self._block(node))
        if isinstance(node, yaml.SequenceNode):
            self._expect_tag(node, "seq", mark)
            return Sequence(mark, [self.build(item, depth + 1) for item in node.value])
        assert isinstance(node, yaml.MappingNode)  # YAML knows no fourth kind of node
        self._expect_tag(node, "map", mark)
        return Mapping(mark, self._entries(node, depth))

    def _count(self, node: yaml.Node, mark: Mark, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Refused(mark, f"nested deeper than {MAX_DEPTH} levels, or an alias that contains itself")
        if id(node) in self._seen:
            self._aliased += 1
            if self._aliased > MAX_ALIASED:
                raise _Refused(mark, f"aliases repeat more than {MAX_ALIASED} values")
        self._seen.add(id(node))

    def _expect_tag(self, node: yaml.Node, name: str, mark: Mark) -> None:
        if node.tag != _TAG + name:
            self.report(mark, f"the YAML tag {node.tag} is not supported")

    def _entries(self, node: yaml.MappingNode, depth: int) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            mark = _mark(key.start_mark, self._place)
            if key.tag == _TAG + "merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif not isinstance(key, yaml.ScalarNode):
                self.report(mark, "a key must be a plain word, not a list or an object")
            elif key.value in entries:
                self.report(mark, f'duplicate key "{key.value}" (first on line {entries[key.value].mark.line})')
            else:
                entries[key.value] = Entry(mark, key.value, self.build(value, depth + 1))
        for source in merged:
            self._merge(source, entries, depth)
        return entries

    def _merge(self, source: yaml.Node, entries: dict[str, Entry], depth: int) -> None:
        built = self.build(source, depth + 1)
        if not isinstance(built, Mapping):
            self.report(built.mark, "only objects can be merged with <<")
            return
        for key, entry in built.entries.items():
            entries.setdefault(key, entry)

    def _value(self, node: yaml.ScalarNode, mark: Mark) -> Plain:
        try:
            return _convert(node)
        except ValueError:
            self.report(mark, f'"{node.value[:60]}" is not a number')
        except KeyError:
            self.report(mark, f"the YAML tag {node.tag} is not supported")
        return None

    def _block(self, node: yaml.ScalarNode) -> Mark | None:
        """Where the text of a literal block begins, so that places inside embedded YAML can be told."""
        header_end = self._text.find("\n", node.start_mark.index) if node.style == "|" else -1
        if header_end < 0:
            return None
        first_character = _INDENTATION.match(self._text, header_end + 1).end()  # type: ignore[union-attr]  # it always matches
        if self._text[first_character : first_character + 1] in ("", "\r", "\n"):
            return None  # the indentation shows on a later line only
        return self._place(node.start_mark.line + 2, first_character - header_end)


def _convert(node: yaml.ScalarNode) -> Plain:
    """The value of a scalar; ValueError for a number that is none, KeyError for a tag we do not know."""
    text: str = node.value
    if node.tag in _TEXT_TAGS:
        return _float(text) if not node.style and _EXPONENT.fullmatch(text) else text
    if node.tag in (_TAG + "int", _TAG + "float") and ":" in text:
        return text  # base 60, which only YAML 1.1 readers other than Kubernetes' understand
    return _READERS[node.tag](text)


def _null(_text: str) -> Plain:
    return None


def _bool(text: str) -> Plain:
    return text.lower() in ("true", "yes", "on")


def _int(text: str) -> Plain:
    digits = text.replace("_", "").lower()
    bare = digits.lstrip("+-")
    if len(bare) > 1 and bare[0] == "0" and bare.isdigit():
        return int(digits, 8)
    return int(digits, 0)


def _float(text: str) -> Plain:
    """A number that is whole is one to Kubernetes, however it is written: `1.0` and `1e2` fit where an integer has to stand."""
    digits = text.replace("_", "").lower()
    number = float(digits.replace(".inf", "inf").replace(".nan", "nan"))
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


_READERS = {_TAG + "null": _null, _TAG + "bool": _bool, _TAG + "int": _int, _TAG + "float": _float}
