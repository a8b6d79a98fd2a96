import json
import textwrap

import pytest

from pymesh.api import parse_text
from pymesh.api.kinds import KINDS


@pytest.fixture
def told():
    """What validation says about a spec, given as YAML: lines `severity path: message`, the path without `spec.`."""

    def check(kind, spec, namespace="ml"):
        head = {"apiVersion": KINDS[kind].api_versions[0], "kind": KINDS[kind].written, "metadata": {"name": "x", "namespace": namespace}}
        text = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items())
        parsed = parse_text(f"{text}\nspec:\n{textwrap.indent(textwrap.dedent(spec), '  ')}", "f")
        prefix = f"{KINDS[kind].written} x: "
        return [f"{problem.severity} {problem.message.removeprefix(prefix).removeprefix('spec.')}" for problem in parsed.problems]

    return check
