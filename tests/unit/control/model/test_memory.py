"""What was made is kept exactly as long as what it was made from is the same."""

import gc
import weakref

from pymesh_control.model.memory import Memory

ONE, OTHER = 1, 2


class Town:
    """Someone who has a memory, and answers where in the phone book."""

    def __init__(self, book, former=None, changed=0):
        self.book = book
        self.made = []
        self.memory = Memory(weakref.WeakMethod(self._answer), former.memory if former else None, changed)

    def _answer(self, name):
        self.memory.note(ONE)  # the whole book is read, but nobody who asks depends on that
        return self.book.get(name)

    def greeting(self, name):
        def make():
            self.made.append(name)
            return ["hello", self.memory.told(name)]

        return self.memory.value(("greeting", name), make)

    def card(self, name):
        return self.memory.value(("card", name), lambda: ["card", self.greeting(name)])


ANNA, BERT = object(), object()


def test_what_read_a_fact_is_made_anew_when_that_changes_and_kept_when_another_does():
    first = Town({})

    def make(town):
        town.memory.note(ONE)
        return [object()]

    made = first.memory.value("key", lambda: make(first))
    second = Town({}, first, OTHER)
    assert second.memory.value("key", lambda: make(second)) is made
    third = Town({}, second, ONE)
    assert third.memory.value("key", lambda: make(third)) is not made


def test_who_asked_for_one_thing_is_not_concerned_by_others():
    first = Town({"anna": ANNA})
    greeting, card = first.greeting("anna"), first.card("anna")
    second = Town({"anna": ANNA, "bert": BERT}, first, ONE)
    assert second.card("anna") is card
    assert second.greeting("anna") is greeting
    assert second.made == []


def test_another_answer_makes_all_anew_that_came_of_the_first():
    first = Town({"anna": ANNA})
    card = first.card("anna")
    second = Town({"anna": BERT}, first, ONE)
    assert second.card("anna") == ["card", ["hello", BERT]] != card


def test_what_was_not_there_is_an_answer_too():
    first = Town({})
    assert first.card("anna") == ["card", ["hello", None]]
    second = Town({"bert": BERT}, first, ONE)
    second.card("anna")
    assert second.made == []
    third = Town({"anna": ANNA}, second, ONE)
    assert third.card("anna") == ["card", ["hello", ANNA]]


def test_what_nobody_asked_for_in_between_is_judged_by_what_is_so_now():
    first = Town({"anna": ANNA})
    card = first.card("anna")
    second = Town({"anna": BERT}, first, ONE)
    third = Town({"anna": ANNA}, second, ONE)
    assert third.card("anna") is card


def test_a_memory_does_not_keep_its_owner():
    gc.disable()
    try:
        town = Town({"anna": ANNA})
        town.card("anna")
        gone = weakref.ref(town)
        del town
        assert gone() is None
    finally:
        gc.enable()
