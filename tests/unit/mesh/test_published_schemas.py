"""What Istio's published schemas refuse by type, size, pattern or enumeration is refused here, at every field, one mistake at a time.

The schemas are read where they are at hand. Their expressions are not evaluated: what those say stands in the tests of each kind.
"""

import functools
import json
from pathlib import Path

import pytest
import yaml

from pymesh.api import parse_text
from pymesh.api.kinds import KINDS

SCHEMAS = Path(__file__).parents[4] / "shared" / "data" / "istio-crds.yaml"
LONGEST = 5000  # characters or entries of a value that is made
NAMED = {
    "host": "a.example.com", "address": "10.0.0.1", "kind": "Service", "group": "", "url": "oci://a/b", "key": "source.ip",
    "sha256": "a" * 64,
}  # fmt: skip
REFUSED_ANYWAY = {("Sidecar", "ingress.[].tls.credentialNames"), ("Sidecar", "ingress.[].tls.tlsCertificates")}


@functools.cache
def published():
    """By kind, the apiVersion and the schema of the first served version's spec."""
    found = {}
    for crd in filter(None, yaml.load_all(SCHEMAS.read_text(), yaml.CSafeLoader)):
        version = next(one for one in crd["spec"]["versions"] if one["served"])
        schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        found[crd["spec"]["names"]["kind"]] = (f"{crd['spec']['group']}/{version['name']}", schema)
    return found


def fields(schema, path=()):
    yield path, schema
    for key, below in schema.get("properties", {}).items():
        yield from fields(below, (*path, key))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from fields(schema["additionalProperties"], (*path, "{}"))
    if "items" in schema:
        yield from fields(schema["items"], (*path, "[]"))


def good(schema, name=""):
    """A value of the right form, with what is required below it."""
    if "enum" in schema:
        return schema["enum"][0]
    if any("duration" in one["rule"] for one in schema.get("x-kubernetes-validations", ())):
        return "1s"
    kind = schema.get("type")
    if kind == "object":
        return {key: good(schema["properties"][key], key) for key in schema.get("required", ())}
    simple = {"array": [], "string": NAMED.get(name, "a"), "integer": 1, "number": 1.0, "boolean": True}
    return [good(schema["items"], name)] if kind == "array" else simple.get(kind, {})


def bad(schema):
    """Values that break the schema, each in one respect."""
    kind = schema.get("type")
    wrong = {"string": 5, "integer": "a", "number": "a", "boolean": "a", "array": "a", "object": []}
    if kind in wrong and not schema.get("x-kubernetes-int-or-string"):
        yield wrong[kind]
    for limit, over in (("maximum", 1), ("minimum", -1)):
        if limit in schema:
            yield schema[limit] + over
    for limit, over in (("maxLength", 1), ("minLength", -1)):
        if schema.get(limit, LONGEST) < LONGEST:
            yield "a" * (schema[limit] + over)
    if "enum" in schema:
        yield "NOBODY"
    if "pattern" in schema:
        yield "_ "
    if schema.get("maxItems", LONGEST) < LONGEST:
        yield [good(schema["items"])] * (schema["maxItems"] + 1)
    if schema.get("maxProperties", LONGEST) < LONGEST:
        yield {f"k{number}": good(schema["additionalProperties"]) for number in range(schema["maxProperties"] + 1)}


def around(schema, path, value, name=""):
    """The whole spec, in which a value stands at its path."""
    if not path:
        return value
    key, *rest = path
    if key == "[]":
        return [around(schema["items"], rest, value, name)]
    if key == "{}":
        return {"8080": around(schema["additionalProperties"], rest, value, name)}
    whole = good(schema, name)
    return {**whole, key: around(schema["properties"][key], rest, value, key)}


def refusals(kind, api_version, spec):
    resource = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    return {problem.message for problem in parse_text(json.dumps(resource), "f").problems if problem.severity == "error"}


@pytest.mark.skipif(not SCHEMAS.exists(), reason="Istio's schemas are not at hand")
@pytest.mark.parametrize("kind", [one.name for one in KINDS.values() if one.group.endswith("istio.io")])
def test_what_the_schema_refuses_is_refused(kind):
    api_version, schema = published()[kind]
    for path, below in fields(schema):
        before = refusals(kind, api_version, around(schema, path, good(below, path[-1] if path else "")))
        taken = [value for value in (bad(below) if path else ()) if not refusals(kind, api_version, around(schema, path, value)) - before]
        assert not taken or (kind, ".".join(path)) in REFUSED_ANYWAY, ".".join(path)
