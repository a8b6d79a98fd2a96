"""The page of rules is what the rules say."""

from pymesh_control.analyze.catalogue import RULES

from . import analysis


def test_the_page_is_not_stale():
    assert analysis.PAGE.read_text() == analysis.text(), "run `python -m tests.unit.docs.analysis`"


def test_no_code_is_both_a_rule_and_left_out():
    left_out = analysis.text().partition("## What is left out")[2]
    assert not [rule.code for rule in RULES if rule.code in left_out or (rule.also and rule.also in left_out)]


def test_rules_are_told_apart_by_their_names():
    assert len({rule.name for rule in RULES}) == len(RULES) > 45
