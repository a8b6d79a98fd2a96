"""What was made from a snapshot, kept for the next as far as the facts are still the same.

Whoever makes a value reads facts, and reading is noted. When the mesh changes, a value stays as long as none of the facts
that it was made from has changed: nobody has to list by hand which change concerns what, and so nobody can forget to.
"""

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST = 16
"""Memories for which a value is kept that nobody asks for."""


class Same:
    """An object as a part of a key: two keys are equal if they mean the very same object."""

    __slots__ = ("one",)

    def __init__(self, one: Any) -> None:
        self.one = one

    def __hash__(self) -> int:
        return id(self.one)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.one is other.one


_NO_ANSWERS: dict[Any, Any] = {}
"""Nearly every value asked nothing, and there are a hundred thousand values."""


class _Entry:
    __slots__ = ("age", "answers", "reads", "value")

    def __init__(self, value: Any, reads: int, answers: dict[Any, Any]) -> None:
        self.value = value
        self.reads = reads
        """The facts that it was made from, as bits."""
        self.answers = answers
        """What it was told, by question."""
        self.age = 0
        """How many memories ago it was last asked for."""


class Memory:
    """Values by key, with the facts that each was made from. `former` is the memory of the mesh as it was before."""

    def __init__(self, answer: "weakref.WeakMethod[Callable[[Any], Any]]", former: "Memory | None" = None, changed: int = 0) -> None:
        """`changed`: the facts (as bits) that are not what they were. `answer` answers questions (`told`);
        its owner has this memory, and must not be kept by it.
        """
        self._answer = answer
        self._entries: dict[Any, _Entry] = {}
        self._former = former._handed_on() if former else {}
        """What was made before and has not been asked for here."""
        self._changed = changed
        self._reads = [0]
        self._answers: list[dict[Any, Any]] = [{}]

    def _handed_on(self) -> dict[Any, _Entry]:
        """What the next memory may use: what was asked for here, and for a while what was not, because what was made of it was kept."""
        held = self._entries.copy()
        for key, entry in self._former.items():
            if entry.age < LONGEST and not entry.reads & self._changed:
                entry.age += 1
                held[key] = entry
        return held

    def note(self, fact: int) -> None:
        """What is being made now has read a fact."""
        self._reads[-1] |= fact

    def told(self, question: Any) -> Any:
        """The answer to a question about one thing among many. Whatever is made of it stays as long as the answer is the same object,
        though the facts that hold the thing change: a new service does not concern who asked for another."""
        answer = self._asked(question)
        self._note_answers({question: answer})
        return answer

    def _asked(self, question: Any) -> Any:
        self._reads.append(0)
        self._answers.append({})
        try:
            answer = self._answer()
            assert answer is not None
            return answer(question)
        finally:
            self._reads.pop()
            self._answers.pop()

    def _note_answers(self, answers: dict[Any, Any]) -> None:
        if len(self._answers) > 1:  # else nothing is being made
            self._answers[-1].update(answers)

    def value(self, key: Any, make: Callable[[], T]) -> T:
        """The value of a key, made once. The key must hold all that `make` reads besides facts.

        None is not kept: clients may ask for any name, and what is not there must not fill memory.
        """
        entry = self._entries.get(key)
        if entry is None:
            former = self._former.pop(key, None)
            if former is not None and self._holds(former):
                entry = self._entries[key] = former
                entry.age = 0
            else:
                entry = self._made(key, make, former)
        self._reads[-1] |= entry.reads
        if entry.answers:
            self._note_answers(entry.answers)
        value: T = entry.value
        return value

    def _holds(self, entry: _Entry) -> bool:
        """Whether a value that was made before is still what would be made now."""
        if entry.reads & self._changed:
            return False
        return not entry.answers or all(self._asked(question) is answer for question, answer in entry.answers.items())

    def _made(self, key: Any, make: Callable[[], Any], former: _Entry | None) -> _Entry:
        self._reads.append(0)
        self._answers.append({})
        try:
            value = make()
        finally:
            reads, answers = self._reads.pop(), self._answers.pop()
        if former is not None and former.value == value:
            value = former.value  # what is made of it, and whoever holds it, need not look inside to see that it is the same
        entry = _Entry(value, reads, answers or _NO_ANSWERS)
        if value is not None:
            self._entries[key] = entry
        return entry
