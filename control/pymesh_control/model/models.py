"""What resources became, for the next time that the mesh is put together: most of them will be the same objects then."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pymesh.api import Resource

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Held:
    inputs: Sequence[object]
    value: Any
    parts: "Models | None" = None
    """What the value was put together from."""

    def came_from(self, inputs: Sequence[object]) -> bool:
        return len(inputs) == len(self.inputs) and all(now is then for now, then in zip(inputs, self.inputs, strict=True))


class Models:
    """Values by name, each with the objects that it was made from. What nobody asks for again is forgotten."""

    def __init__(self, former: "Models | None" = None) -> None:
        self._former = former._kept if former else {}
        self._kept: dict[Hashable, _Held] = {}

    def settle(self) -> None:
        """Everything has been asked for: forget the rest."""
        self._former = {}

    def of(self, name: Hashable, inputs: Sequence[object], make: Callable[[], T]) -> T:
        """The value made from inputs: the former one if these are the very same objects."""
        return self.put_together(name, inputs, lambda _: make())

    def put_together(self, name: Hashable, inputs: Sequence[object], make: "Callable[[Models], T]") -> T:
        """The same for a value of many parts, of which most will stay when it is made anew."""
        held = self._former.get(name)
        if held is None or not held.came_from(inputs):
            parts = Models(held.parts if held else None)
            held = _Held(tuple(inputs), make(parts), parts)
            parts.settle()
        self._kept[name] = held
        value: T = held.value
        return value

    def one(self, make: Callable[[Resource], T], resource: Resource) -> T:
        """What a resource becomes."""
        held = self._former.get((make, id(resource)))
        if held is None or held.inputs[0] is not resource:
            held = _Held((resource,), make(resource))
        self._kept[make, id(resource)] = held
        value: T = held.value
        return value

    def each(self, make: Callable[[Resource], T], resources: Sequence[Resource]) -> tuple[T, ...]:
        """What resources become, the whole tuple the same as long as they are."""
        return self.same(make, tuple(self.one(make, resource) for resource in resources))

    def same(self, name: Hashable, values: tuple[T, ...]) -> tuple[T, ...]:
        """The tuple, the former one if it holds the same objects."""
        return self.of(name, values, lambda: values)

    def equal(self, name: Hashable, value: T) -> T:
        """The value, the former one if they are equal: whoever holds that need not look inside."""
        held = self._former.get(name)
        if held is None or held.value != value:
            held = _Held((), value)
        self._kept[name] = held
        kept: T = held.value
        return kept
