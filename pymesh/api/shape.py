"""Lay a tree of the file over a model: which keys are fields, in which spelling, and which may not stand together.

Pydantic then judges the values. The two together report every mistake at once: a misspelt key does not hide a wrong type beside it.
"""

import difflib
import functools
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from .tree import Entry, Mapping, Mark, Node, Path, Scalar, Sequence, json_name, plain
from .types import Model

Report: TypeAlias = Callable[[Path, Mark, str], None]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a model: its attribute, the model found below it, if any, and whether a map with free keys lies between."""

    attribute: str
    below: type[Model] | None
    is_map: bool


@functools.cache
def fields_of(model: type[Model]) -> dict[str, Field]:
    """The fields of a model by every key that a file may use for them."""
    fields = {}
    for attribute, info in model.model_fields.items():
        name = info.alias or attribute
        field = Field(attribute, _model_in(info.annotation), typing.get_origin(info.annotation) is dict)
        fields[name] = fields[json_name(name)] = field
    return fields


def _model_in(annotation: Any) -> type[Model] | None:
    """The model inside `M`, `M | None`, `list[M]` or `dict[K, M]`."""
    arguments = typing.get_args(annotation)
    if not arguments:
        return annotation if isinstance(annotation, type) and issubclass(annotation, Model) else None
    return next((found for argument in arguments if (found := _model_in(argument))), None)


def fit(node: Node, model: type[Model] | None, report: Report, path: Path = ()) -> object:
    """The plain data below a node with the model's attributes as keys; unknown keys are left out, and reported unless the model is open."""
    if model is None:
        return plain(node)
    if isinstance(node, Sequence):
        return [fit(item, model, report, path + (index,)) for index, item in enumerate(node.items)]
    if isinstance(node, Mapping):
        return _fit_object(node, model, report, path)
    return node.value


def _fit_object(node: Mapping, model: type[Model], report: Report, path: Path) -> dict[str, object]:
    fields = fields_of(model)
    present: dict[str, Entry] = {}
    values: dict[str, object] = {}
    for key, entry in node.entries.items():
        here = path + (key,)
        field = fields.get(key)
        if field is None and model.OPEN:
            continue
        if field is None:
            report(here, entry.mark, _refusal(key, model))
        elif field.attribute in present:
            report(here, entry.mark, f'the same field is already set as "{present[field.attribute].key}"')
        elif not (isinstance(entry.node, Scalar) and entry.node.value is None):  # in protobuf's JSON, null is an absent field
            present[field.attribute] = entry
            values[field.attribute] = _fit_field(entry.node, field, report, here)
    _check_oneofs(model, present, report, path)
    return values


def _fit_field(node: Node, field: Field, report: Report, path: Path) -> object:
    if field.is_map and isinstance(node, Mapping):
        return {key: fit(entry.node, field.below, report, path + (key,)) for key, entry in node.entries.items()}
    return fit(node, field.below, report, path)


def _refusal(key: str, model: type[Model]) -> str:
    known = [json_name(info.alias or attribute) for attribute, info in model.model_fields.items()]
    return f"unknown field{did_you_mean(key, known)}"


def _check_oneofs(model: type[Model], present: dict[str, Entry], report: Report, path: Path) -> None:
    for members in model.ONEOFS:
        entries = [entry for attribute, entry in present.items() if attribute in members]
        for entry in entries[1:]:
            report(path + (entry.key,), entry.mark, f'"{entries[0].key}" and "{entry.key}" cannot be set together')


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean "x"?)` for the closest known word, or nothing."""
    found = closest(word.replace("_", ""), known)
    return f' (did you mean "{found}"?)' if found else ""


def closest(word: str, known: Iterable[str], alike: float = 0.6) -> str | None:
    """The known word that is spelt most like this one, if one is alike enough (0 to 1)."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=alike)
    return by_lower[close[0]] if close else None
