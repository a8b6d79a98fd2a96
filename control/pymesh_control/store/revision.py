"""Which configuration is this control plane's: Istio's label `istio.io/rev` leaves a resource to the control plane of that revision."""

from collections.abc import Iterable, Sequence

from pymesh.api import Problem, Resource
from pymesh.api.kinds import KINDS

LABEL = "istio.io/rev"


def own(resources: Iterable[Resource], revision: str) -> tuple[Sequence[Resource], list[Problem]]:
    """The resources that concern a revision, and what there is to say of the others. A control plane of none reads everything.

    On objects of Kubernetes the label chooses who injects their sidecars: they are what there is, whoever has done that.
    """
    kept, told = [], []
    for one in resources:
        wanted = one.labels.get(LABEL, revision)
        if not revision or wanted == revision or one.kind not in KINDS:
            kept.append(one)
        else:
            text = f"is left alone: it is for revision {wanted!r}, and this control plane's is {revision!r}"
            where = one.position_of("metadata", "labels", LABEL)
            told.append(Problem.at(where, f"{one.kind} {one.namespace}/{one.name}: {text}", "info"))
    return kept, told
