"""Policies that contend for workloads: those of which the older one wins, and the other does nothing."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pymesh.api import Resource

Selector = Callable[[Any], Mapping[str, str] | None]
"""The labels that a spec selects; None for all workloads of the namespace."""


def for_all(resources: Iterable[Resource], selector: Selector) -> Iterator[tuple[Resource, Resource]]:
    """Each resource that selects nothing in particular, with the older one of its namespace that does the same."""
    first: dict[str, Resource] = {}
    for one in resources:
        if not selector(one.spec):
            held = first.setdefault(one.namespace, one)
            if held is not one:
                yield one, held


def for_some(resources: Iterable[Resource], selector: Selector) -> Iterator[tuple[Resource, Resource]]:
    """Each resource with a selector, with the older one of its namespace that has the same."""
    first: dict[object, Resource] = {}
    for one in resources:
        labels = selector(one.spec)
        if labels:
            held = first.setdefault((one.namespace, frozenset(labels.items())), one)
            if held is not one:
                yield one, held


def both(pairs: Iterable[tuple[Resource, Resource]]) -> Iterator[tuple[Resource, Resource]]:
    """The pairs, and the older ones with a rival of theirs: istioctl tells of a conflict wherever it is."""
    told: set[int] = set()
    for one, first in pairs:
        if id(first) not in told:
            told.add(id(first))
            yield first, one
        yield one, first


def match_labels(spec: Any) -> Mapping[str, str] | None:
    return spec.selector.match_labels if spec.selector else None


def labels(spec: Any) -> Mapping[str, str] | None:
    return spec.workload_selector.labels if spec.workload_selector else None
