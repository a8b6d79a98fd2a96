"""Changes to lists whose order means something: filters and routes."""

from collections.abc import Callable
from typing import Any

from pymesh.api.models.envoyfilter import PatchOperation

from ..model.envoyfilter import EnvoyPatch

Wanted = Callable[[Any], bool] | None
"""Whether an item is the one that a change names; None for a change that names none."""


def rearrange(items: Any, patch: EnvoyPatch, wanted: Wanted) -> bool:
    """Add, insert, replace or remove; whether that was done.

    What stands next to nothing named goes to the end of the list that it is nearest to.
    """
    match patch.operation:
        case PatchOperation.ADD:
            items.append(patch.value)
            return True
        case PatchOperation.INSERT_FIRST:
            items.insert(0, patch.value)
            return True
        case PatchOperation.INSERT_BEFORE:
            return _insert(items, patch.value, 0 if wanted is None else _index(items, wanted))
        case PatchOperation.INSERT_AFTER:
            return _insert(items, patch.value, len(items) if wanted is None else _index(items, wanted, after=1))
        case PatchOperation.REPLACE if wanted is not None:
            return _replace(items, patch.value, _index(items, wanted))
        case PatchOperation.REMOVE if wanted is not None:
            before = len(items)
            keep(items, lambda item: not wanted(item))
            return len(items) < before
    return False


def keep(items: Any, good: Callable[[Any], bool]) -> None:
    """Take everything else out of a list of messages."""
    for index in reversed(range(len(items))):
        if not good(items[index]):
            del items[index]


def _index(items: Any, wanted: Callable[[Any], bool], after: int = 0) -> int | None:
    return next((index + after for index, item in enumerate(items) if wanted(item)), None)


def _insert(items: Any, value: Any, index: int | None) -> bool:
    if index is not None:
        items.insert(index, value)
    return index is not None


def _replace(items: Any, value: Any, index: int | None) -> bool:
    if index is not None:
        items[index].CopyFrom(value)
    return index is not None
