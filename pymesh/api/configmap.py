"""The ConfigMap `istio`, whose key `mesh` is YAML inside YAML: errors in it still point at the line of the outer file."""

import dataclasses

from . import document
from .problem import Problem
from .tree import Entry, Mapping, Mark, Node, Scalar, Sequence, find

NAME = "istio"
KEY = "mesh"


def expand(outer: Mapping, filename: str) -> tuple[Mapping, list[Problem]]:
    """The object with the text of `data.mesh` replaced by what it says (also reachable as `spec`), and the problems of that YAML."""
    data = outer.entries.get("data")
    text = find(outer, ("data", KEY)).node
    if data is None or not isinstance(data.node, Mapping) or not isinstance(text, Scalar) or not isinstance(text.value, str):
        return outer, []
    documents = document.read(text.value, filename)
    problems = [_move_problem(problem, text) for inner in documents for problem in inner.problems]
    roots = [inner.root for inner in documents if inner.root]
    if len(roots) > 1:
        problems.append(Problem(filename, *text.mark, "error", f"data.{KEY} must hold one YAML document, found {len(roots)}"))
    root = _move(roots[0], text) if roots else Mapping(text.mark)
    entry = dataclasses.replace(data.node.entries[KEY], node=root)
    new_data = dataclasses.replace(data, node=Mapping(data.node.mark, data.node.entries | {KEY: entry}))
    spec = Entry(entry.mark, "spec", root)
    return Mapping(outer.mark, outer.entries | {"data": new_data, "spec": spec}), problems


def _moved(mark: Mark, text: Scalar) -> Mark:
    """A place in the inner text as a place in the file; exact for literal blocks, the beginning of the text for other styles."""
    if text.block is None:
        return text.mark
    return Mark(text.block.line + mark.line - 1, text.block.column + mark.column - 1)


def _move_problem(problem: Problem, text: Scalar) -> Problem:
    line, column = _moved(Mark(problem.line, problem.column), text)
    return dataclasses.replace(problem, line=line, column=column)


def _move(node: Node, text: Scalar) -> Node:
    mark = _moved(node.mark, text)
    if isinstance(node, Sequence):
        return Sequence(mark, [_move(item, text) for item in node.items])
    if isinstance(node, Mapping):
        return Mapping(mark, {key: Entry(_moved(entry.mark, text), key, _move(entry.node, text)) for key, entry in node.entries.items()})
    return dataclasses.replace(node, mark=mark)
