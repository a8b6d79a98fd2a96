"""Snapshots from Istio's YAML."""

from collections.abc import Callable, Sequence

import pytest

from pymesh.api import Problem, parse_text
from pymesh_control.analyze.run import warnings
from pymesh_control.model import support
from pymesh_control.model.assembly import build
from pymesh_control.model.snapshot import Snapshot
from pymesh_control.model.workload import Workload


@pytest.fixture
def built() -> Callable[..., tuple[Snapshot, list[Problem]]]:
    """The snapshot of a YAML text, and the problems found while building it."""

    def make(text: str, workloads: Sequence[Workload] = ()) -> tuple[Snapshot, list[Problem]]:
        parsed = parse_text(text, "mesh.yaml")
        assert not [str(problem) for problem in parsed.problems if problem.severity == "error"]
        snapshot, refused = build(parsed.resources, workloads, 7)
        accepted = [one for one in parsed.resources if not support.refusals(one)]
        return snapshot, refused + warnings(accepted, snapshot)

    return make
