"""Namespaces by their labels, as listeners choose those whose routes may attach."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..workload import selects

_NAME_LABEL = "kubernetes.io/metadata.name"
"""The label that every namespace has, whether or not it is declared."""


class Places:
    """The labels of all namespaces."""

    def __init__(self, namespaces: Iterable[Any]) -> None:
        self._labels = {one.name: one.labels for one in namespaces}

    def admit(self, rule: Any, owner: str, namespace: str) -> bool:
        """Whether a namespace is one of those that a rule (`from`, `selector`) of an object of `owner` means."""
        match rule.from_.value:
            case "All":
                return True
            case "Same":
                return owner == namespace
            case "Selector":
                labels = {_NAME_LABEL: namespace, **self._labels.get(namespace, {})}
                return selects(rule.selector.match_labels, labels) and all(_holds(one, labels) for one in rule.selector.match_expressions)
        return False


def _holds(requirement: Any, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator.value:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
    return value is None
