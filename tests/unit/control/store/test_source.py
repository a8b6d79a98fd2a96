"""Several sources of resources as one."""

from pymesh.api import parse_text
from pymesh_control.store.catalogue import Contents
from pymesh_control.store.source import joined

from .texts import service_entry


class Fixed:
    """A source whose content never changes."""

    def __init__(self, name, text):
        parsed = parse_text(text, name)
        self._contents = Contents(tuple(parsed.resources), tuple(parsed.problems))

    async def start(self):
        raise NotImplementedError

    async def stop(self):
        raise NotImplementedError

    def contents(self):
        return self._contents


def test_the_sources_are_read_in_their_order():
    found = joined([Fixed("b", service_entry("b", "b.example")), Fixed("a", service_entry("a", "a.example") + "---\nkind: [")])
    assert [one.name for one in found.resources] == ["b", "a"]
    assert [problem.file for problem in found.problems] == ["a"]


def test_the_first_source_keeps_what_two_define():
    found = joined([Fixed("b", service_entry("x", "b.example")), Fixed("a", service_entry("x", "a.example"))])
    assert [one.spec.hosts for one in found.resources] == [["b.example"]]
    assert [str(problem) for problem in found.problems] == ["a:1:1: error: ServiceEntry default/x is already defined at b:1:1, which stays"]
