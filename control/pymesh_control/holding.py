"""What a client holds of one type: parts that it shares with others and parts of its own, compared by part instead of by name.

A thousand clients with a thousand resources each are a million comparisons for every change. But most of them hold the same, and
move from the same to the same: a difference between two parts is found once, for whoever makes that step first.
"""

import hashlib
import weakref
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from .built import Built


class Versioned(Protocol):
    """Content by its version alone."""

    @property
    def version(self) -> str: ...


Held = Mapping[str, Versioned]
"""What a client holds, by name."""


class Difference:
    """A step from one state to another: what to tell of, and what to take away. Clients that make the same step share it."""

    __slots__ = ("_delta", "_names", "changed", "gone")

    def __init__(self, changed: Mapping[str, Built], gone: frozenset[str] = frozenset()) -> None:
        self.changed = changed
        self.gone = gone
        self._names: frozenset[str] | None = None
        self._delta: tuple[bytes, ...] | None = None

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)

    @property
    def names(self) -> frozenset[str]:
        """Every name that it is about."""
        if self._names is None:
            self._names = self.gone.union(self.changed)
        return self._names

    @property
    def delta(self) -> tuple[bytes, ...]:
        """The changed resources as fields of a delta response."""
        if self._delta is None:
            self._delta = tuple(built.in_delta(name) for name, built in sorted(self.changed.items()))
        return self._delta


class _Steps(Difference):
    """Steps of several parts as one."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Sequence[Difference], gone: frozenset[str]) -> None:
        super().__init__(ChainMap(*(step.changed for step in steps)), gone)  # type: ignore[arg-type]
        self._steps = steps

    @property
    def delta(self) -> tuple[bytes, ...]:
        return tuple(field for step in self._steps for field in step.delta)


NOTHING = Difference({})


class Part(dict[str, Built]):
    """Resources by name, which nobody changes once they are made; so whoever holds this very object needs no look into it."""

    __slots__ = ("__weakref__", "_digest", "_everything", "_former", "_selected")

    def __init__(self, content: Mapping[str, Built] | Iterable[tuple[str, Built]] = ()) -> None:
        super().__init__(content)
        self._digest: str | None = None
        self._everything: Difference | None = None
        self._former: tuple[weakref.ref[Part], Difference] | None = None
        self._selected: weakref.WeakKeyDictionary[frozenset[str], Part] | None = None

    @property
    def everything(self) -> Difference:
        """The step of a client that holds nothing yet."""
        if self._everything is None:
            self._everything = Difference(self)
        return self._everything

    @property
    def digest(self) -> str:
        """A text that is equal for equal content, also after a restart."""
        if self._digest is None:
            self._digest = digest(self)
        return self._digest

    def since(self, former: "Part") -> Difference:
        """How to get here from another part. The last answer is kept: clients that are together move together."""
        if former is self:
            return NOTHING
        if self._former is None or self._former[0]() is not former:
            self._former = (weakref.ref(former), compared(former, self))
        return self._former[1]

    def only(self, names: frozenset[str]) -> "Part":
        """What of it has one of these names; made once for all that give the very same set (`shared`)."""
        if self._selected is None:
            self._selected = weakref.WeakKeyDictionary()
        found = self._selected.get(names)
        if found is None:
            found = self if names.issuperset(self) else Part((name, self[name]) for name in names if name in self)
            self._selected[names] = found
        return found


class Holding(Mapping[str, Built]):
    """Parts that have no name in common, as one mapping."""

    __slots__ = ("parts",)

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def __getitem__(self, name: str) -> Built:
        for part in self.parts:
            if name in part:
                return part[name]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        for part in self.parts:
            yield from part

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    @property
    def digest(self) -> str:
        """Equal for equal parts."""
        return self.parts[0].digest if len(self.parts) == 1 else _hash(part.digest for part in self.parts)

    def since(self, former: "Holding") -> Difference:
        """How to get here from another holding of the same client."""
        if not former.parts:
            return _joined([part.everything for part in self.parts], self)
        if len(former.parts) != len(self.parts):
            return compared(former, self)
        return _joined([step for now, then in zip(self.parts, former.parts, strict=True) if (step := now.since(then))], self)


EMPTY = Holding()


def _joined(steps: Sequence[Difference], now: Holding) -> Difference:
    """The steps of parts as one; what has only moved to another part is not gone."""
    gone = frozenset(name for step in steps for name in step.gone if name not in now)
    if len(steps) == 1 and len(gone) == len(steps[0].gone):
        return steps[0]
    return _Steps(steps, gone) if steps else NOTHING


_sets: weakref.WeakValueDictionary[int, frozenset[str]] = weakref.WeakValueDictionary()


def shared(names: Iterable[str]) -> frozenset[str]:
    """The names as a set, and for equal names the same set: a thousand clients ask for the same thousand."""
    made = frozenset(names)
    found = _sets.setdefault(hash(made), made)
    return found if found == made else made


def holding(shared: Part, own: Mapping[str, Built]) -> Holding:
    """What all clients of a kind have, and what one of them has besides or instead."""
    if not own:
        return Holding(shared)
    mine = own if isinstance(own, Part) else Part(own)
    return Holding(shared, mine) if shared.keys().isdisjoint(mine) else Holding(Part({**shared, **mine}))


def merged(held: Held, step: Difference) -> Held:
    """What is held after a step that does not lead to anything shared."""
    return {**{name: one for name, one in held.items() if name not in step.gone}, **step.changed}


def difference(held: Held, current: Mapping[str, Built]) -> Difference:
    """How a client that holds the one comes to hold the other. What it refused counts as held, until the content changes."""
    if isinstance(held, Holding) and isinstance(current, Holding):
        return current.since(held)
    return compared(held, current)


def compared(held: Held, current: Mapping[str, Built]) -> Difference:
    """The same, name by name."""
    changed = {name: built for name, built in current.items() if name not in held or held[name].version != built.version}
    return Difference(changed, frozenset(held.keys() - current.keys()))


def digest(held: Held) -> str:
    """A text that is equal for equal content, also after a restart."""
    if isinstance(held, Holding):
        return held.digest
    return _hash(f"{name}={one.version}" for name, one in sorted(held.items()))


def _hash(parts: Iterable[str]) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()
