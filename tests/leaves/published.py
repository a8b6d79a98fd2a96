"""The fields that Istio publishes: read from the schemas of its CRDs once, and kept as a list of ours."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

LIST = Path(__file__).with_name("published.txt")


@dataclass(frozen=True, slots=True, order=True)
class Field:
    """A field of a kind's spec: `path` begins with the kind; lists and maps add nothing to it."""

    path: str
    type: str

    @property
    def kind(self) -> str:
        return self.path.partition(".")[0]

    @property
    def inner(self) -> str:
        """The path below the spec."""
        return self.path.partition(".")[2]


def lines_of(text: str) -> list[str]:
    """`apiVersion Kind` for every served version and `Kind.path type` for every field below `spec`, sorted."""
    lines = set()
    for definition in (document["spec"] for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document):
        kind = definition["names"]["kind"]
        lines |= {f"{definition['group']}/{version['name']} {kind}" for version in definition["versions"] if version["served"]}
        spec = definition["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        lines |= {f"{field.path} {field.type}" for field in _below(spec, kind)}
    return sorted(lines)


def fields() -> list[Field]:
    """All listed fields, in the order of their paths."""
    return [Field(*line.split(" ", 1)) for line in LIST.read_text().splitlines() if "/" not in line]


def served() -> list[str]:
    """`apiVersion Kind` for every served version."""
    return [line for line in LIST.read_text().splitlines() if "/" in line]


def _below(schema: dict[str, Any], prefix: str) -> Iterator[Field]:
    for name, below in schema.get("properties", {}).items():
        yield Field(f"{prefix}.{name}", _type(below))
        yield from _below(below, f"{prefix}.{name}")
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from _below(inner, prefix)


def _type(schema: dict[str, Any]) -> str:
    if isinstance(schema.get("items"), dict):
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(schema['additionalProperties'])}"
    if "enum" in schema:
        return "enum"
    return str(schema.get("type", "object"))
