"""Namespaces by their labels, as Kubernetes' selectors choose among them."""

from collections.abc import Iterable, Mapping, Sequence

from pymesh.api import Resource

from .workload import selects

NAME_LABEL = "kubernetes.io/metadata.name"
"""A label that Kubernetes puts on every namespace: its name. So selectors work, too, where no Namespace objects are at hand."""

Requirement = tuple[str, str, Sequence[str]]
"""An entry of matchExpressions: key, operator, values."""


class Namespaces:
    """The labels of all namespaces."""

    def __init__(self, declared: Iterable[Resource]) -> None:
        self._labels = {one.name: one.labels for one in declared}

    def match(self, name: str, labels: Mapping[str, str], conditions: Iterable[Requirement]) -> bool:
        """Whether a namespace has all the labels and meets all the conditions; nothing asked for is everything."""
        known = {**self._labels.get(name, {}), NAME_LABEL: name}
        return selects(labels, known) and all(_holds(operator, values, known.get(key)) for key, operator, values in conditions)


def _holds(operator: str, values: Sequence[str], value: str | None) -> bool:
    match operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
    return value is None  # DoesNotExist, the last that validation lets through
