"""No parsed input makes analysis fail, and a mesh ten times as large takes about ten times as long."""

# ruff: noqa: E501  (one object a line)

import json
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesh.api import parse_text
from pymesh.api.kinds import KINDS
from pymesh_control.analyze.catalogue import RULES
from pymesh_control.analyze.run import of_files, warnings
from pymesh_control.analyze.subject import Subject
from pymesh_control.model import support
from pymesh_control.model.assembly import build
from tests.unit.mesh.test_any_spec import specs

from .examples import CASES
from .meshes import subject, thing

NAMES = st.sampled_from(["a", "b", "reviews", "mesh", "istio"])
OBJECTS = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.builds(
        lambda name, namespace, spec: {
            "apiVersion": KINDS[kind].api_versions[0],
            "kind": KINDS[kind].written,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        },
        NAMES,
        NAMES,
        specs(KINDS[kind].model),
    )
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(OBJECTS, max_size=8))
def test_analysis_judges_whatever_can_be_read(objects):
    parsed = parse_text(json.dumps({"kind": "List", "items": objects}), "f")
    accepted = [one for one in parsed.resources if not support.refusals(one)]
    told = of_files(accepted)
    assert told == sorted(set(told))
    assert {one.code for one in told} <= {rule.code for rule in RULES}
    snapshot, _ = build(accepted, (), 1)
    assert all(problem.severity != "error" for problem in warnings(accepted, snapshot))


OBJECTS_OF_THE_EXAMPLES = sorted({part for bad, good, _ in CASES.values() for part in (bad + good).split("---\n") if part})


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(OBJECTS_OF_THE_EXAMPLES), min_size=2, max_size=12, unique=True))
def test_a_stranger_changes_nothing_of_what_is_found(parts):
    resources = parse_text("---\n".join(parts), "f").resources
    told = of_files(resources)
    assert of_files(resources) == told
    stranger = parse_text(thing("WorkloadGroup", "stranger", "{template: {}}"), "g").resources
    assert {one for one in of_files([*resources, *stranger]) if one.file == "f"} == set(told)


def mesh(size):
    """As many services, each with a rule, routes, workloads and policies, half of them with a mistake."""
    parts = []
    for number in range(size):
        host, namespace = f"s{number}.n{number % 10}.svc.cluster.local", f"n{number % 10}"
        parts += (
            thing("ServiceEntry", f"s{number}", f"{{hosts: [{host}], location: MESH_INTERNAL, resolution: STATIC, "
                  f"workloadSelector: {{labels: {{app: s{number}}}}}, ports: [{{number: 80, name: http}}]}}", namespace),
            thing("WorkloadEntry", f"w{number}", f"{{address: 10.0.{number // 250}.{number % 250}, labels: {{app: s{number}, version: v1}}}}", namespace),
            thing("DestinationRule", f"s{number}", f"{{host: s{number + number % 2}, subsets: [{{name: v1, labels: {{version: v1}}}}]}}", namespace),
            thing("VirtualService", f"s{number}", f"{{hosts: [s{number}], http: [{{route: [{{destination: {{host: s{number}, subset: v1}}}}]}}]}}", namespace),
            thing("Sidecar", f"s{number}", f"{{workloadSelector: {{labels: {{app: s{number}}}}}, egress: [{{hosts: ['./{host}']}}]}}", namespace),
        )  # fmt: skip
    return "".join(parts)


def seconds(size):
    """The quickest of three analyses; the snapshot is made before."""
    whole = subject(mesh(size))
    best = float("inf")
    for _ in range(3):
        whole = Subject(whole.resources, whole.snapshot)
        start = time.process_time()
        found = [one for rule in RULES for one in rule.diagnostics(whole)]
        best = min(best, time.process_time() - start)
        assert len(found) >= size / 2
    return best


def test_a_mesh_of_a_thousand_services_is_analysed_in_linear_time():
    small, large = seconds(100), seconds(1000)
    assert large < 30 * small, (small, large)
