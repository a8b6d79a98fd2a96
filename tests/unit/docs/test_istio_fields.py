"""Every field of Istio's networking kinds changes what proxies are sent, is refused, or is said to do nothing."""

import pytest

from tests.leaves import page
from tests.leaves.cases import cases, leaves
from tests.leaves.observed import changes, observe

CASES = cases()


def test_every_published_field_is_shown():
    assert set(CASES) == {leaf.path for leaf in leaves()}


@pytest.mark.parametrize("path", [path for path, case in CASES.items() if not case.refused and not case.unused])
def test_a_field_changes_what_proxies_are_sent(path):
    without, with_it = observe(CASES[path].without_it), observe(CASES[path].with_it)
    assert (without.errors, with_it.errors) == ((), ())
    assert changes(without, with_it)


@pytest.mark.parametrize("path", [path for path, case in CASES.items() if case.refused])
def test_a_field_that_cannot_be_honoured_is_refused(path):
    case = CASES[path]
    assert [one for one in observe(case.with_it).errors if case.refused in one]


@pytest.mark.parametrize("path", [path for path, case in CASES.items() if case.unused])
def test_a_field_that_does_nothing_is_said_to(path):
    case = CASES[path]
    without, with_it = observe(case.without_it), observe(case.with_it)
    assert (without.errors, with_it.errors, changes(without, with_it)) == ((), (), {})
    assert not case.warns or [one for one in with_it.warnings if case.warns in one]


def test_the_page_says_what_becomes_of_each_field():
    assert page.PAGE.read_text() == page.text(), "run `python -m tests.leaves`"
