"""Meshes in a few words: objects by kind, name and spec, and what the rules say of them."""

from pymesh.api import parse_text
from pymesh.api.kinds import KINDS, KUBERNETES_KINDS
from pymesh_control.analyze.subject import Subject
from pymesh_control.model import support
from pymesh_control.model.assembly import build


def thing(kind, name, spec, namespace="default", annotations="{}"):
    """One object as YAML."""
    known = None if kind == "ConfigMap" else (KINDS | KUBERNETES_KINDS)[kind]
    version, word = (known.api_versions[0], known.written) if known else ("v1", kind)
    head = f"---\napiVersion: {version}\nkind: {word}\nmetadata: {{name: {name}, namespace: {namespace}, annotations: {annotations}}}\n"
    return head + (spec if kind == "ConfigMap" else f"spec: {spec}\n")


def subject(text, workloads=(), credentials=None):
    """What the rules look at, of a text in which nothing is refused."""
    parsed = parse_text(text, "mesh.yaml")
    assert not [str(one) for one in parsed.problems if one.severity == "error"]
    assert not [str(one) for resource in parsed.resources for one in support.refusals(resource)]
    snapshot, _ = build(parsed.resources, workloads, 1, credentials or {})
    return Subject(parsed.resources, snapshot)
