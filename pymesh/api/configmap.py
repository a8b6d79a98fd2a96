"""The ConfigMap `istio`, whose keys `mesh` and `meshNetworks` are YAML inside YAML: errors still point at the line of the outer file."""

import dataclasses

from . import document
from .problem import Problem
from .tree import Entry, Mapping, Mark, Scalar, find

NAME = "istio"
KEY = "mesh"
NETWORKS_KEY = "meshNetworks"
NETWORKS = "MeshNetworks"
KEYS = (KEY, NETWORKS_KEY)
KINDS = {KEY: "ConfigMap", NETWORKS_KEY: NETWORKS}
"""The kind of the resource that each key makes; of the second no object of its own can be."""


def expand(outer: Mapping, filename: str, key: str) -> tuple[Mapping, list[Problem]]:
    """The object with the text of one key of `data` replaced by what it says, and the problems of that YAML.

    What `mesh` says can be reached as `spec`, too.
    """
    data, text = outer.entries.get("data"), find(outer, ("data", key)).node
    if data is None or not isinstance(data.node, Mapping) or not isinstance(text, Scalar) or not isinstance(text.value, str):
        return outer, []
    documents = document.read(text.value, filename, _place(text))
    problems = [problem for inner in documents for problem in inner.problems]
    roots = [inner.root for inner in documents if inner.root]
    if len(roots) > 1:
        problems.append(Problem(filename, *text.mark, "error", f"data.{key} must hold one YAML document, found {len(roots)}"))
    entry = dataclasses.replace(data.node.entries[key], node=roots[0] if roots else Mapping(text.mark))
    new_data = dataclasses.replace(data, node=Mapping(data.node.mark, data.node.entries | {key: entry}))
    entries = outer.entries | {"data": new_data}
    return Mapping(outer.mark, entries | ({"spec": Entry(entry.mark, "spec", entry.node)} if key == KEY else {})), problems


def _place(text: Scalar) -> document.Place:
    """Places inside the text as places in the file: exact for literal blocks, the beginning of the text for other styles."""
    block = text.block
    if block is None:
        return lambda _line, _column: text.mark
    return lambda line, column: Mark(block.line + line - 1, block.column + column - 1)
