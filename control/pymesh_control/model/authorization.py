"""AuthorizationPolicies: which of them hold for a workload."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pymesh.api.models.authorizationpolicy import Action
from pymesh.bootstrap.environment import is_on

from .origin import Origin
from .workload import selects

DRY_RUN = "istio.io/dry-run"
"""Istio's annotation of a policy that is only tried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationPolicy:
    """One AuthorizationPolicy."""

    name: str
    namespace: str
    action: Action = Action.ALLOW
    rules: tuple[Any, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    attached: bool = False
    """Whether it is for what it names (`targetRefs`) rather than for workloads by their labels."""
    dry_run: bool = False

    @property
    def origin(self) -> Origin:
        return Origin("AuthorizationPolicy", self.namespace, self.name)


class Authorization:
    """Every AuthorizationPolicy, oldest first."""

    def __init__(self, policies: Iterable[AuthorizationPolicy], root_namespace: str) -> None:
        self._root = root_namespace
        self._policies = tuple(policies)

    def of(self, namespace: str, labels: Mapping[str, str], action: Action) -> list[AuthorizationPolicy]:
        """The policies of one action that a workload's server enforces: those of the root namespace and its own, added up."""
        return [
            one
            for one in self._policies
            if one.action is action
            and not one.attached
            and not one.dry_run
            and one.namespace in (self._root, namespace)
            and selects(one.selector, labels)
        ]


def from_resource(resource: Any) -> AuthorizationPolicy:
    spec = resource.spec
    return AuthorizationPolicy(
        name=resource.name,
        namespace=resource.namespace,
        action=spec.action or Action.ALLOW,
        rules=tuple(spec.rules),
        selector=dict(spec.selector.match_labels) if spec.selector else {},
        attached=bool(spec.target_ref or spec.target_refs),
        dry_run=is_on(resource.annotations.get(DRY_RUN)),
    )
