"""Every message of Envoy's API by its name, and its JSON. Modules are imported when a message of theirs is first named."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format, symbol_database

from . import amended  # noqa: F401  before all that it amends

_NAME = re.compile(r"(envoy|udpa|xds|google)(\.[a-z0-9_]+)+(\.[A-Z][A-Za-z0-9_]*)+")
"""What may become the name of a module: configuration must not be able to import anything else."""
_FIELD = re.compile(r"Failed to parse (\w+) field: ")
_PLACE = re.compile(r' at "?([^\s"]+?)"?\.*$')
_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_UNKNOWN = re.compile(r'has no field named "([^"]+)"')


class InvalidValue(ValueError):
    """JSON that is not the message it should be. `path` leads to the place, as far as it is known."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


def message_type(name: str) -> Any:
    """The class of a message by its full name. Raises LookupError."""
    try:
        return symbol_database.Default().GetSymbol(name)
    except KeyError:
        pass
    if not _NAME.fullmatch(name):
        raise LookupError(name)
    _import(re.sub(r"(\.[A-Z]\w*)+$", "", name))
    return symbol_database.Default().GetSymbol(name)


def _import(package: str) -> None:
    """Import the modules of a protobuf package, which register what they define."""
    try:
        found = importlib.import_module(package)
        for module in pkgutil.iter_modules(found.__path__):
            if module.name.endswith("_pb2"):
                importlib.import_module(f"{package}.{module.name}")
    except ImportError:
        raise LookupError(package) from None


def from_json(name: str, value: Any, *, ignore_unknown: bool = False) -> Any:
    """The message of a name from its JSON form, whose fields may be spelled in either way. Raises InvalidValue."""
    for path, url in _types(value, ()):
        try:
            message_type(url.rpartition("/")[2])
        except LookupError:
            raise InvalidValue(f'"{url}" is no message of Envoy\'s API', path) from None
    message = message_type(name)()
    try:
        json_format.ParseDict(value, message, ignore_unknown_fields=ignore_unknown)
    except json_format.ParseError as error:
        raise InvalidValue(*_explained(str(error))) from None
    except (TypeError, ValueError, AttributeError) as error:  # what json_format lets through of values of another shape
        raise InvalidValue(f"this is not {name}: {error}") from None
    return message


def _types(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every `@type` in a JSON value, with its place."""
    if isinstance(value, dict):
        if "@type" in value:
            yield (*path, "@type"), str(value["@type"])
        for key, inner in value.items():
            yield from _types(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _types(inner, (*path, index))


def _explained(sentence: str) -> tuple[str, tuple[str | int, ...]]:
    """json_format's sentence without the place that it tells, and the place.

    It tells it as fields that it was in (without places in lists), at the end as `at Cluster.load_assignment.endpoints[0]`, or both.
    """
    text = sentence.partition("\n")[0]
    path: list[str | int] = list(_FIELD.findall(text))
    text = _FIELD.sub("", text)
    if place := _PLACE.search(text):
        steps = [key or name for key, name in _STEP.findall(place[1])][1:]
        text = text[: place.start()]
        if len(steps) >= len(path):
            path = [int(step) if step.isdecimal() else step for step in steps]
    if unknown := _UNKNOWN.search(text):
        path.append(unknown[1])
    return text.rstrip("."), tuple(path)
