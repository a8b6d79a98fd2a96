"""Lists the field paths of published CRD schemas, Istio's or the Gateway API's; run here as

python list_istio_fields.py CRDS.yaml > istio_fields.txt
"""

import sys
from pathlib import Path
from typing import Any

import yaml


def paths_below(schema: dict[str, Any], prefix: str) -> set[str]:
    """The paths of all fields below a schema; lists and maps add nothing to a path."""
    paths = set()
    for name, below in schema.get("properties", {}).items():
        paths |= {f"{prefix}.{name}"} | paths_below(below, f"{prefix}.{name}")
    for below in (schema.get("items"), schema.get("additionalProperties")):
        paths |= paths_below(below, prefix) if isinstance(below, dict) else set()
    return paths


def lines_of(text: str) -> list[str]:
    """`apiVersion Kind` for every served version and `Kind.path` for every field below `spec`, sorted."""
    lines = set()
    for definition in (document["spec"] for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document):
        kind = definition["names"]["kind"]
        lines |= {f"{definition['group']}/{version['name']} {kind}" for version in definition["versions"] if version["served"]}
        lines |= paths_below(definition["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], kind)
    return sorted(lines)


if __name__ == "__main__":
    print("\n".join(lines_of(Path(sys.argv[1]).read_text())))
