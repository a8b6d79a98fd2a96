"""discoverySelectors: the namespaces that the mesh looks at, as MeshConfig selects them by label."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pymesh.api import Resource

NAME_LABEL = "kubernetes.io/metadata.name"
"""A label that Kubernetes puts on every namespace: its name. So selectors work, too, where no Namespace objects are at hand."""


def looked_at(selectors: Sequence[Any], namespaces: Iterable[Resource]) -> Callable[[str], bool]:
    """Whether a namespace is looked at, as a function of its name; without selectors every one is. `""` is no namespace."""
    if not selectors:
        return lambda _name: True
    labels = {one.name: one.labels for one in namespaces}

    def admits(name: str) -> bool:
        known = {**labels.get(name, {}), NAME_LABEL: name}
        return not name or any(_selects(selector, known) for selector in selectors)

    return admits


def _selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Kubernetes' rule: all labels and all conditions; nothing asked for is everything."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    return all(_holds(one, labels) for one in selector.match_expressions)


def _holds(requirement: Any, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
    return value is None  # DoesNotExist, the last that validation lets through
