"""The ConfigMap `istio`, whose key `mesh` is YAML inside YAML: errors in it still point at the line of the outer file."""

import dataclasses

from . import document
from .problem import Problem
from .tree import Entry, Mapping, Mark, Scalar, find

NAME = "istio"
KEY = "mesh"


def expand(outer: Mapping, filename: str) -> tuple[Mapping, list[Problem]]:
    """The object with the text of `data.mesh` replaced by what it says (also reachable as `spec`), and the problems of that YAML."""
    data, text = outer.entries.get("data"), find(outer, ("data", KEY)).node
    if data is None or not isinstance(data.node, Mapping) or not isinstance(text, Scalar) or not isinstance(text.value, str):
        return outer, []
    documents = document.read(text.value, filename, _place(text))
    problems = [problem for inner in documents for problem in inner.problems]
    roots = [inner.root for inner in documents if inner.root]
    if len(roots) > 1:
        problems.append(Problem(filename, *text.mark, "error", f"data.{KEY} must hold one YAML document, found {len(roots)}"))
    entry = dataclasses.replace(data.node.entries[KEY], node=roots[0] if roots else Mapping(text.mark))
    new_data = dataclasses.replace(data, node=Mapping(data.node.mark, data.node.entries | {KEY: entry}))
    spec = Entry(entry.mark, "spec", entry.node)
    return Mapping(outer.mark, outer.entries | {"data": new_data, "spec": spec}), problems


def _place(text: Scalar) -> document.Place:
    """Places inside the text as places in the file: exact for literal blocks, the beginning of the text for other styles."""
    block = text.block
    if block is None:
        return lambda _line, _column: text.mark
    return lambda line, column: Mark(block.line + line - 1, block.column + column - 1)
