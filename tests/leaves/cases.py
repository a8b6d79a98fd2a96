"""A resource for each leaf of Istio's fields: two specs that differ in that leaf alone.

`cases/` has them by kind: what stands around the leaf, and what it is set to. Fields that several kinds share are fragments.
"""

import copy
import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pymesh.api.kinds import KINDS

from . import published

KINDS_WALKED = (
    "VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "WorkloadEntry", "WorkloadGroup", "Sidecar", "EnvoyFilter",
    "ProxyConfig",
)  # fmt: skip
_FOLDER = Path(__file__).with_name("cases")
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How a leaf is shown. `spec` holds what stands beside it; `instead` is its value in the other resource, where it cannot be absent."""

    field: published.Field
    value: Any
    instead: Any = _ABSENT
    spec: Mapping[str, Any] = field(default_factory=dict)
    around: str = ""
    refused: str = ""
    """What the refusal says."""
    unused: str = ""
    """Why it does nothing."""
    warns: str = ""
    """What the warning says that belongs to it."""

    @property
    def with_it(self) -> str:
        return self._text(self.value)

    @property
    def without_it(self) -> str:
        return self._text(self.instead)

    def _text(self, value: Any) -> str:
        spec = copy.deepcopy(dict(self.spec))
        if value is not _ABSENT:
            _merge(spec, placed(self.field, value))
        kind = KINDS[self.field.kind]
        head = {"apiVersion": kind.api_versions[0], "kind": kind.name, "metadata": {"name": "leaf"}}
        return f"{json.dumps(head | {'spec': spec})}\n{self.around and '---'}\n{self.around}"


def leaves() -> list[published.Field]:
    """The fields of the walked kinds that hold values rather than fields."""
    listed = [one for one in published.fields() if one.kind in KINDS_WALKED]
    holders = {one.path.rpartition(".")[0] for one in listed}
    return [one for one in listed if one.path not in holders]


@functools.cache
def cases() -> dict[str, Case]:
    """The cases by the path of their leaf."""
    known = {one.path: one for one in published.fields()}
    found = {}
    for kind in KINDS_WALKED:
        for path, spec, said in _of_kind(kind):
            found[path] = Case(field=known[path], spec=spec, **said)
    return found


def placed(leaf: published.Field, value: Any) -> Any:
    """The spec that holds nothing but a value at a leaf; lists have one item, maps the key `key`."""
    return _placed(leaf.kind, leaf.inner.split("."), value)


def _placed(prefix: str, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    path = f"{prefix}.{steps[0]}"
    below, shape = _placed(path, steps[1:], value), _types()[path]
    if shape == "list of object" and isinstance(below, dict):
        below = [below]
    if shape == "map of object":
        below = {"key": below}
    return {steps[0]: below}


@functools.cache
def _types() -> dict[str, str]:
    return {one.path: one.type for one in published.fields()}


def _of_kind(kind: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    page = yaml.safe_load((_FOLDER / f"{kind}.yaml").read_text())
    for path, beside, said in _expanded(kind, page):
        yield path, beside, {name: page[name] for name in ("around", "unused", "warns") if name in page} | said


def _expanded(at: str, page: Mapping[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """The leaves of a page and, before them, of the fragments that it mounts, each with the spec beside it."""
    for mount in page.get("mounts") or ():
        beside = _under(at, _merged(page.get("beside"), mount.get("beside")))
        extra = {key: value for key, value in mount.items() if key not in ("at", "fragment", "beside")}
        for path, own, said in _expanded(f"{at}.{mount['at']}", _fragments()[mount["fragment"]]):
            yield path, _merged(beside, own), said | extra
    for inner, said in (page.get("leaves") or {}).items():
        stated = dict(said) if isinstance(said, dict) and "set" in said else {"set": said}
        beside = _merged(page.get("beside"), stated.pop("beside", None))
        yield f"{at}.{inner}", _under(at, beside), {"value": stated.pop("set"), **stated}


def _under(at: str, spec: Any) -> Any:
    """A spec fragment where it stands."""
    kind, _, inner = at.partition(".")
    return _placed(kind, inner.split("."), spec) if inner else spec


@functools.cache
def _fragments() -> dict[str, Any]:
    return yaml.safe_load((_FOLDER / "fragments.yaml").read_text())


def _merged(one: Any, other: Any) -> Any:
    made = copy.deepcopy(one or {})
    _merge(made, other or {})
    return made


def _merge(into: Any, other: Any) -> None:
    """Put what `other` says into a spec, list items by their places."""
    for key, value in other.items():
        held = into.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            _merge(held, value)
        elif isinstance(held, list) and isinstance(value, list) and value and all(isinstance(one, dict) for one in (*held, *value)):
            for index, item in enumerate(value):
                _merge(held[index], item) if index < len(held) else held.append(copy.deepcopy(item))
        else:
            into[key] = copy.deepcopy(value)
