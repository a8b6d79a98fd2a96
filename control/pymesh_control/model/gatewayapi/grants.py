"""ReferenceGrants: which objects may name objects of other namespaces."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from pymesh.api.models.gatewayapi.references import GROUP


class Target(NamedTuple):
    """What is named."""

    group: str
    kind: str
    namespace: str
    name: str


class Grants:
    """All of them. Each speaks for the objects of its own namespace."""

    def __init__(self, resources: Iterable[Any]) -> None:
        self._by_namespace: dict[str, list[Any]] = {}
        for one in resources:
            self._by_namespace.setdefault(one.namespace, []).append(one.spec)

    def allow(self, kind: str, namespace: str, target: Target) -> bool:
        """Whether objects of a kind of the Gateway API and of a namespace may name the target."""
        return namespace == target.namespace or any(
            _from(grant, kind, namespace) and _to(grant, target) for grant in self._by_namespace.get(target.namespace, ())
        )


def _from(grant: Any, kind: str, namespace: str) -> bool:
    return any((one.group, one.kind, one.namespace) == (GROUP, kind, namespace) for one in grant.from_)


def _to(grant: Any, target: Target) -> bool:
    return any((one.group, one.kind) == target[:2] and one.name in (None, "", target.name) for one in grant.to)
