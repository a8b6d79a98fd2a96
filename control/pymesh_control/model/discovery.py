"""discoverySelectors: the namespaces that the mesh looks at, as MeshConfig selects them by label."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pymesh.api import Resource

from .namespaces import Namespaces, Requirement


def looked_at(selectors: Sequence[Any], namespaces: Iterable[Resource]) -> Callable[[str], bool]:
    """Whether a namespace is looked at, as a function of its name; without selectors every one is. `""` is no namespace."""
    if not selectors:
        return lambda _name: True
    known = Namespaces(namespaces)
    asked = [(one.match_labels, _conditions(one)) for one in selectors]
    return lambda name: not name or any(known.match(name, *one) for one in asked)


def _conditions(selector: Any) -> list[Requirement]:
    return [(one.key, one.operator, one.values) for one in selector.match_expressions]
