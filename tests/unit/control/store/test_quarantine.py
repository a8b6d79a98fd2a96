"""Resources that parse but cannot be honoured."""

from pymesh.api import Problem, parse_text
from pymesh_control.store.quarantine import Quarantine, blame

from .texts import service_entry

TWO = service_entry("a", "one.example") + "---\n" + service_entry("b", "two.example")


def resources(text, file="f.yaml"):
    return parse_text(text, file).resources


def error(line, file="f.yaml", severity="error"):
    return Problem(file, line, 3, severity, "not supported")


def test_the_resource_around_the_line_is_blamed():
    a, b = resources(TWO)
    assert blame([error(a.where.line + 5)], [a, b]) == {("ServiceEntry", "default", "a")}
    assert blame([error(b.where.line)], [a, b]) == {("ServiceEntry", "default", "b")}


def test_warnings_and_errors_of_other_files_blame_nobody():
    assert blame([error(5, severity="warning"), error(5, file="other.yaml")], resources(TWO)) == set()


def test_a_blamed_resource_is_replaced_by_its_last_accepted_version_and_only_that_one():
    quarantine = Quarantine()
    old = resources(TWO)
    assert quarantine.replace(old, set()) == old
    new = resources(TWO.replace("one.example", "1.example").replace("two.example", "2.example"))
    used = quarantine.replace(new, {("ServiceEntry", "default", "a")})
    assert [one.spec.hosts for one in used] == [["one.example"], ["2.example"]]


def test_a_resource_that_was_never_good_is_left_out_until_it_is():
    quarantine = Quarantine()
    [a, b] = resources(TWO)
    assert quarantine.replace([a, b], {("ServiceEntry", "default", "a")}) == [b]
    assert quarantine.replace([a, b], set()) == [a, b]


def test_a_deleted_resource_does_not_come_back_as_its_own_substitute():
    quarantine = Quarantine()
    [a, b] = resources(TWO)
    quarantine.replace([a, b], set())
    quarantine.replace([b], set())
    assert quarantine.replace([a, b], {("ServiceEntry", "default", "a")}) == [b]
