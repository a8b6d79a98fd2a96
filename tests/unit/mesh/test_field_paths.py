"""The models know exactly the fields that Istio's published schemas list."""

import typing
from pathlib import Path

import pytest
import yaml

from pymesh.api.kinds import KINDS
from pymesh.api.shape import fields_of
from pymesh.api.tree import json_name
from pymesh.api.types import Model

SCHEMAS = Path(__file__).parents[5] / "shared" / "data" / "istio-crds.yaml"

# Fields newer than the schemas, and one that the schemas list in both spellings.
NEWER = {"Gateway": {"spec.servers.tls.ecdhCurves"}}
TWICE = {"VirtualService": {"spec.http.mirror_percent"}}


def model_paths(model: type[Model], prefix: str) -> set[str]:
    paths = set()
    for attribute, info in model.model_fields.items():
        path = f"{prefix}.{json_name(info.alias or attribute)}"
        field = fields_of(model)[info.alias or attribute]
        paths |= {path} | (model_paths(field.below, path) if field.below else set())
    return paths


def schema_paths(schema: dict[str, typing.Any], prefix: str) -> set[str]:
    paths = set()
    for name, below in schema.get("properties", {}).items():
        paths |= {f"{prefix}.{name}"} | schema_paths(below, f"{prefix}.{name}")
    for below in (schema.get("items"), schema.get("additionalProperties")):
        paths |= schema_paths(below, prefix) if isinstance(below, dict) else set()
    return paths


@pytest.fixture(scope="module")
def schemas():
    if not SCHEMAS.exists():
        pytest.skip("Istio's schemas are not at hand")
    definitions = [document["spec"] for document in yaml.load_all(SCHEMAS.read_text(), Loader=yaml.CSafeLoader) if document]
    return {definition["names"]["kind"]: definition for definition in definitions}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_model_has_the_fields_of_the_published_schema(schemas, kind):
    definition = schemas[kind.name]
    published = schema_paths(definition["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec")
    assert model_paths(kind.model, "spec") - NEWER.get(kind.name, set()) == published - TWICE.get(kind.name, set())


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_served_versions_are_those_published(schemas, kind):
    assert {version["name"] for version in schemas[kind.name]["versions"] if version["served"]} == set(kind.versions)
    assert schemas[kind.name]["group"] == kind.group
