"""What a policy attaches to: a selector of workloads, or references to resources, and only one of the two."""

from collections.abc import Sequence

from ..models.serviceentry import WorkloadSelector
from ..problem import Severity
from ..types import PolicySelector, PolicyTargetReference
from . import common
from .finding import Finding, Findings, below

_MOST = 16
_TARGETS = {
    ("", "Service"),
    ("core", "Service"),
    ("networking.istio.io", "ServiceEntry"),
    ("gateway.networking.k8s.io", "Gateway"),
    ("gateway.networking.k8s.io", "GatewayClass"),
}
ROOT_NAMESPACE = "istio-system"
"""Where a policy may speak of a class of gateways, unless the mesh is told otherwise."""


def check(
    selector: PolicySelector | WorkloadSelector | None,
    references: Sequence[PolicyTargetReference],
    namespace: str,
    *,
    single: PolicyTargetReference | None = None,
    kinds: Severity = "error",
) -> Findings:
    """Selector and references of one policy.

    `single` is the field of the days when there could be one reference; `kinds` how bad it is to refer to what no policy attaches to.
    """
    if isinstance(selector, PolicySelector):
        yield from below("selector", common.policy_selector(selector))
    elif selector is not None:
        yield from below("workload_selector", workload_selector(selector))
    named = [name for name, value in (("target_ref", single), ("target_refs", references)) if value]
    if len(named) + (selector is not None) > 1:
        yield Finding((named[-1],), "only one of a selector and target references can be set")
    if single is not None:
        yield from below("target_ref", _reference(single, namespace, kinds))
    if len(references) > _MOST:
        yield Finding(("target_refs",), f"at most {_MOST} references, found {len(references)}")
    for index, reference in enumerate(references):
        yield from below(("target_refs", index), _reference(reference, namespace, kinds))


def _reference(reference: PolicyTargetReference, namespace: str, kinds: Severity) -> Findings:
    if not reference.name:
        yield Finding(("name",), "a reference needs a name")
    if reference.namespace:
        yield Finding(("namespace",), "references into other namespaces are not supported")
    if (reference.group or "", reference.kind) not in _TARGETS:
        yield Finding(("kind",), f'"{reference.group or "core"}/{reference.kind}" is nothing that a policy can attach to', kinds)
    elif reference.kind == "GatewayClass" and namespace != ROOT_NAMESPACE:
        sentence = f"only policies of the root namespace attach to a GatewayClass, which is {ROOT_NAMESPACE} unless the mesh says otherwise"
        yield Finding(("kind",), sentence, "warning")


def workload_selector(selector: WorkloadSelector) -> Findings:
    """A networking selector: labels without wildcards; one without labels selects everything in the namespace."""
    if not selector.labels:
        yield Finding((), common.SELECTS_ALL, "warning")
    for key, value in selector.labels.items():
        if not key:
            yield Finding(("labels", key), "a label key must not be empty")
        if "*" in key or "*" in value:
            yield Finding(("labels", key), "wildcards are not supported in a selector")
