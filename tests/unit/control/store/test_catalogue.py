"""Which resources count when files are good, bad, gone, or contradict each other."""

from pymesh.api import parse_text
from pymesh_control.store.catalogue import Catalogue

from .texts import BROKEN, hosts, service_entry


def catalogue(**files):
    made = Catalogue()
    for name, text in files.items():
        load(made, name, text)
    return made


def load(made, name, text):
    made.load(f"{name}.yaml", parse_text(text, f"{name}.yaml"))


def test_a_bad_file_keeps_its_last_good_resources_and_says_why():
    made = catalogue(a=service_entry("a", "one.example"))
    load(made, "a", BROKEN)
    contents = made.contents()
    assert hosts(contents) == {"a": "one.example"}
    assert str(contents.problems[0]).startswith("a.yaml:3:1: error: ")


def test_of_a_file_with_one_bad_document_the_good_ones_are_taken_in():
    made = catalogue(a=service_entry("a", "one.example") + "---\n" + service_entry("b", "two.example"))
    load(made, "a", service_entry("a", "new.example") + "---\n" + service_entry("b", "two.example").replace("hosts", "hostz"))
    assert hosts(made.contents()) == {"a": "new.example", "b": "two.example"}


def test_a_good_file_drops_what_it_no_longer_defines():
    made = catalogue(a=service_entry("a", "one.example") + "---\n" + service_entry("b", "two.example"))
    load(made, "a", service_entry("b", "two.example"))
    assert hosts(made.contents()) == {"b": "two.example"}


def test_a_file_that_was_bad_from_the_start_disturbs_no_other():
    made = catalogue(a=BROKEN, b=service_entry("b", "two.example"))
    contents = made.contents()
    assert hosts(contents) == {"b": "two.example"}
    assert [problem.file for problem in contents.problems] == ["a.yaml"]


def test_a_mended_file_has_no_problems_any_more():
    made = catalogue(a=BROKEN)
    load(made, "a", service_entry("a", "one.example"))
    assert made.contents().problems == ()


def test_a_forgotten_file_takes_its_resources_and_problems_with_it():
    made = catalogue(a=service_entry("a", "one.example"), b=BROKEN)
    made.forget("a.yaml")
    made.forget("b.yaml")
    assert made.contents() == Catalogue().contents()


def test_two_files_with_one_resource_are_an_error_that_names_both_and_the_first_stays():
    made = catalogue(b=service_entry("x", "first.example"))
    made.contents()
    load(made, "a", service_entry("x", "second.example"))
    contents = made.contents()
    assert hosts(contents) == {"x": "first.example"}
    assert [str(problem) for problem in contents.problems] == [
        "a.yaml:1:1: error: ServiceEntry default/x is already defined at b.yaml:1:1, which stays"
    ]


def test_the_second_file_takes_over_when_the_first_gives_the_resource_up():
    made = catalogue(b=service_entry("x", "first.example"))
    made.contents()
    load(made, "a", service_entry("x", "second.example"))
    made.contents()
    made.forget("b.yaml")
    contents = made.contents()
    assert hosts(contents) == {"x": "second.example"}
    assert contents.problems == ()


def test_the_same_name_in_two_namespaces_is_two_resources():
    made = catalogue(a=service_entry("x", "a.example", namespace="a"), b=service_entry("x", "b.example", namespace="b"))
    contents = made.contents()
    assert [resource.namespace for resource in contents.resources] == ["a", "b"]
    assert contents.problems == ()
