"""The namespaces whose routes may attach to a listener, or whose ListenerSets to a Gateway."""

from typing import Any

from ..namespaces import Namespaces


def admits(rule: Any, owner: str, namespace: str, known: Namespaces) -> bool:
    """Whether a namespace is one of those that a rule (`from`, `selector`) of an object of `owner` means."""
    match rule.from_.value:
        case "All":
            return True
        case "Same":
            return owner == namespace
        case "Selector":
            conditions = [(one.key, one.operator.value, one.values) for one in rule.selector.match_expressions]
            return known.match(namespace, rule.selector.match_labels, conditions)
    return False
