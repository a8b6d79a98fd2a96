"""What was made from a snapshot, kept for the next as far as the facts are still the same.

Whoever makes a value reads facts, and reading is noted. When the mesh changes, a value stays as long as none of the facts
that it was made from has changed: nobody has to list by hand which change concerns what, and so nobody can forget to.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST = 16
"""Memories for which a value is kept that nobody asks for."""


class Same:
    """An object as a part of a key: two keys are equal if they mean the very same object."""

    __slots__ = ("_one",)

    def __init__(self, one: object) -> None:
        self._one = one

    def __hash__(self) -> int:
        return id(self._one)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._one is other._one


class _Entry:
    __slots__ = ("age", "reads", "value")

    def __init__(self, value: Any, reads: int) -> None:
        self.value = value
        self.reads = reads
        """The facts that it was made from, as bits."""
        self.age = 0
        """How many memories ago it was last asked for."""


class Memory:
    """Values by key, with the facts that each was made from. `former` is the memory of the mesh as it was before."""

    def __init__(self, former: "Memory | None" = None, changed: int = 0) -> None:
        """`changed`: the facts (as bits) that are not what they were."""
        self._entries: dict[Any, _Entry] = {}
        self._former = dict(former._handed_on()) if former else {}
        self._changed = changed
        self._reads = [0]

    def _handed_on(self) -> Iterator[tuple[Any, _Entry]]:
        """What the next memory may use: what was asked for here, and for a while what was not, because what was made of it was kept."""
        for key, entry in self._former.items():
            if key not in self._entries and entry.age < LONGEST and not entry.reads & self._changed:
                entry.age += 1
                yield key, entry
        yield from self._entries.items()

    def note(self, fact: int) -> None:
        """What is being made now has read a fact."""
        self._reads[-1] |= fact

    def value(self, key: Any, make: Callable[[], T]) -> T:
        """The value of a key, made once. The key must hold all that `make` reads besides facts.

        None is not kept: clients may ask for any name, and what is not there must not fill memory.
        """
        entry = self._entries.get(key)
        if entry is None:
            entry = self._still(key) or self._made(key, make)
        self._reads[-1] |= entry.reads
        value: T = entry.value
        return value

    def _still(self, key: Any) -> _Entry | None:
        """The value that the key had before, if it still holds."""
        former: _Entry | None = self._former.get(key)
        if former is None or former.reads & self._changed:
            return None
        former.age = 0
        self._entries[key] = former
        return former

    def _made(self, key: Any, make: Callable[[], Any]) -> _Entry:
        self._reads.append(0)
        try:
            value = make()
        finally:
            reads = self._reads.pop()
        former = self._former.get(key)
        if former is not None and former.value == value:
            value = former.value  # what is made of it, and whoever holds it, need not look inside to see that it is the same
        entry = _Entry(value, reads)
        if value is not None:
            self._entries[key] = entry
        return entry
