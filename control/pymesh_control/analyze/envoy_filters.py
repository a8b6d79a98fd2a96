"""EnvoyFilters that hang on one another."""

from collections.abc import Iterator
from typing import Any

from pymesh.api import Resource

from .rule import Found, rule
from .subject import Subject

_ADDING = frozenset({"ADD", "INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER"})
_RELATIVE = frozenset({"INSERT_BEFORE", "INSERT_AFTER"})
_FILTERS = frozenset({"HTTP_FILTER", "NETWORK_FILTER"})


@rule(
    "IST0151", "warning", "an EnvoyFilter inserts beside a filter that another EnvoyFilter of the same priority adds",
    why="Of equal priorities the older is applied first: made again in another order, this one finds nothing to stand beside.",
    fix="Give it a higher `priority` than the other, or use INSERT_FIRST.",
)  # fmt: skip
def relative_operation(subject: Subject) -> Iterator[Found]:
    added: dict[tuple[str, str], list[Resource]] = {}
    for resource, _, kind, change in _changes(subject):
        value = change.patch.value
        if change.patch.operation.value in _ADDING and isinstance(value, dict):
            added.setdefault((kind, str(value.get("name", ""))), []).append(resource)
    for resource, index, kind, change in _changes(subject):
        anchor = _anchor(kind, change.match)
        if change.patch.operation.value not in _RELATIVE or not anchor:
            continue
        rank = _rank(subject, resource)
        other = next((one for one in added.get((kind, anchor), ()) if one is not resource and _rank(subject, one) == rank), None)
        if other:
            text = f"stands beside {anchor}, which EnvoyFilter {other.namespace}/{other.name} adds with the same priority"
            yield Found(resource, ("configPatches", index, "patch", "operation"), text)


RULES = (relative_operation,)


def _changes(subject: Subject) -> Iterator[tuple[Resource, int, str, Any]]:
    """The changes to filters, with their places and what they apply to."""
    for resource in subject.of("EnvoyFilter"):
        for index, change in enumerate(resource.spec.config_patches):
            if change.patch and change.patch.operation and change.apply_to and change.apply_to.value in _FILTERS:
                yield resource, index, change.apply_to.value, change


def _anchor(kind: str, match: Any) -> str:
    """The name of the filter beside which a change is made."""
    chain = match.listener.filter_chain if match and match.listener else None
    outer = chain.filter if chain else None
    inner = outer.sub_filter if outer and kind == "HTTP_FILTER" else outer
    return (inner.name or "") if inner else ""


def _rank(subject: Subject, resource: Resource) -> tuple[bool, int]:
    """What goes before age: those of the root namespace come first, then those of lower priority."""
    return resource.namespace != subject.snapshot.mesh.root_namespace, resource.spec.priority or 0
