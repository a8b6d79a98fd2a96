"""YAML or JSON text into an Envoy protobuf, as protobuf's JSON mapping says, with every mistake found in one reading.

`json_format.ParseDict` stops at the first mistake and knows no lines, so the tree is walked beside the message's
descriptor and only leaves are given to it. Unknown fields are refused, as Envoy refuses them in static configuration.
"""

import difflib
from dataclasses import dataclass, field
from typing import Any

import yaml
from google.protobuf import json_format, message_factory, symbol_database

from ..errors import ConfigError, Problem

_WELL_KNOWN = "google.protobuf."
_ANY = "google.protobuf.Any"


class _Loader(yaml.CSafeLoader):
    """YAML's core types only: `2024-01-01` stays text, as it is in JSON and in Envoy."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(slots=True)
class Document:
    """One file, read: a protobuf, and where in the text each of its fields stands."""

    filename: str
    message: Any
    positions: dict[str, str] = field(default_factory=dict)
    """Field path (`static_resources.clusters[0].name`) to `line:column`."""

    def place(self, path: str) -> str:
        """`file:line:column` of a field, or of its nearest ancestor that the text has."""
        while path and path not in self.positions:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        where = self.positions.get(path)
        return f"{self.filename}:{where}" if where else self.filename


def read(text: str, filename: str, message_class: Any) -> Document:
    """Parse `text` as a message of `message_class`; raises ConfigError whose problems' paths are `file:line:col: error`."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.YAMLError as error:
        raise ConfigError(_syntax(filename, error)) from None
    document = Document(filename, message_class())
    if root is None:
        return document
    reader = _Reader(loader, document)
    value = reader.message(root, message_class.DESCRIPTOR, "")
    if reader.problems:
        raise ConfigError(*reader.problems)
    json_format.ParseDict(value, document.message)
    return document


def _syntax(filename: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    where = f"{filename}:{mark.line + 1}:{mark.column + 1}" if mark else filename
    return Problem(f"{where}: error", getattr(error, "problem", None) or str(error))


class _Reader:
    """Walks the nodes beside the descriptors; collects problems and the values that protobuf can parse."""

    def __init__(self, loader: Any, document: Document) -> None:
        self._loader = loader
        self._document = document
        self.problems: list[Problem] = []

    def message(self, node: Any, descriptor: Any, path: str) -> dict[str, Any]:
        """The JSON object of a message."""
        self._mark(node, path)
        if not isinstance(node, yaml.MappingNode):
            if not _is_null(node):
                self._refuse(node, path, f"expected an object ({descriptor.name})")
            return {}
        self._loader.flatten_mapping(node)  # YAML's `<<` merge keys
        fields = {name: one for one in descriptor.fields for name in (one.name, one.json_name)}
        result: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in fields:
                self._refuse(key, _join(path, name), f"unknown field {name!r}{_suggestion(name, fields)}")
            elif fields[name].name in result:
                self._refuse(key, _join(path, name), "given twice")
            elif not _is_null(value) or _takes_null(fields[name]):
                result[fields[name].name] = self._field(value, fields[name], _join(path, fields[name].name))
        self._check_oneofs(node, descriptor, result, path)
        return result

    def _field(self, node: Any, descriptor: Any, path: str) -> Any:
        self._mark(node, path)
        if _is_map(descriptor):
            return self._map(node, descriptor, path)
        if not descriptor.is_repeated:
            return self._single(node, descriptor, path)
        if not isinstance(node, yaml.SequenceNode):
            if not _is_null(node):
                self._refuse(node, path, "expected a list")
            return []
        return [self._single(item, descriptor, f"{path}[{index}]") for index, item in enumerate(node.value)]

    def _map(self, node: Any, descriptor: Any, path: str) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, path, "expected an object")
            return {}
        value = descriptor.message_type.fields_by_name["value"]
        return {str(key.value): self._single(item, value, _join(path, str(key.value))) for key, item in node.value}

    def _single(self, node: Any, descriptor: Any, path: str) -> Any:
        self._mark(node, path)
        message = descriptor.message_type
        if message is None or (message.full_name.startswith(_WELL_KNOWN) and message.full_name != _ANY):
            return self._leaf(node, descriptor, path)
        if message.full_name == _ANY:
            return self._any(node, path)
        return self.message(node, message, path)

    def _any(self, node: Any, path: str) -> dict[str, Any]:
        keys = {str(key.value): (key, value) for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        if isinstance(node, yaml.MappingNode) and not keys:
            return {}  # an Any of nothing, as in `FilterConfig.config`; who needs a type asks for it
        if "@type" not in keys:
            self._refuse(node, path, "expected an object with an '@type'")
            return {}
        url = str(keys["@type"][1].value)
        try:
            descriptor = symbol_database.Default().GetSymbol(url.rpartition("/")[2]).DESCRIPTOR
        except KeyError:
            self._refuse(keys["@type"][1], path, f"type {url!r} is not supported")
            return {}
        if descriptor.full_name.startswith(_WELL_KNOWN):  # its JSON form is `{"@type": ..., "value": ...}`
            return {str(key.value): self._loader.construct_object(value, deep=True) for key, value in node.value}
        body = yaml.MappingNode(node.tag, [pair for pair in node.value if pair[0].value != "@type"], node.start_mark, node.end_mark)
        return {"@type": url, **self.message(body, descriptor, path)}

    def _leaf(self, node: Any, descriptor: Any, path: str) -> Any:
        value = self._loader.construct_object(node, deep=True)
        trial = message_factory.GetMessageClass(descriptor.containing_type)()
        try:
            json_format.ParseDict({descriptor.name: [value] if descriptor.is_repeated else value}, trial)
        except (json_format.ParseError, TypeError) as error:
            self._refuse(node, path, _leaf_sentence(value, descriptor, str(error)))
        return value

    def _check_oneofs(self, node: Any, descriptor: Any, result: dict[str, Any], path: str) -> None:
        for oneof in descriptor.oneofs:
            chosen = [one.name for one in oneof.fields if result.get(one.name) is not None]
            if len(chosen) > 1:
                self._refuse(node, path, f"only one of {', '.join(chosen)} may be given")

    def _mark(self, node: Any, path: str) -> None:
        self._document.positions.setdefault(path, f"{node.start_mark.line + 1}:{node.start_mark.column + 1}")

    def _refuse(self, node: Any, path: str, sentence: str) -> None:
        where = f"{self._document.filename}:{node.start_mark.line + 1}:{node.start_mark.column + 1}: error"
        self.problems.append(Problem(where, f"{path}: {sentence}" if path else sentence))


def _is_null(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _takes_null(descriptor: Any) -> bool:
    """JSON's null means an absent field, except where null is a value."""
    return descriptor.message_type is not None and descriptor.message_type.full_name == "google.protobuf.Value"


def _is_map(descriptor: Any) -> bool:
    return descriptor.message_type is not None and bool(descriptor.message_type.GetOptions().map_entry)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _suggestion(name: str, fields: dict[str, Any]) -> str:
    close = difflib.get_close_matches(name, fields, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _leaf_sentence(value: Any, descriptor: Any, reason: str) -> str:
    if descriptor.enum_type is not None:
        names = [one.name for one in descriptor.enum_type.values]
        close = difflib.get_close_matches(str(value), names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "one of " + ", ".join(names)
        return f"{value!r} is not a {descriptor.enum_type.name} ({hint})"
    reason = reason.replace(f"Failed to parse {descriptor.name} field: ", "").partition(" at ")[0].rstrip(".")
    return f"{value!r} does not fit: {reason}"
