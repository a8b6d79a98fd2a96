"""Host names: wildcards against a slow model, short names, the most specific pattern."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh.api import hosts

names = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map(".".join)
patterns = st.one_of(names, st.just("*"), names.map("*.{}".format), names.map("*{}".format))


def language(pattern):
    return re.compile(".*" + re.escape(pattern[1:]) if pattern.startswith("*") else re.escape(pattern))


@given(names, patterns)
def test_a_host_matches_a_pattern_as_the_regular_expression_says(host, pattern):
    expected = language(pattern).fullmatch(host) is not None
    assert hosts.matches(host, pattern) is hosts.matches(pattern, host) is expected
    assert hosts.subset_of(host, pattern) is expected


@given(patterns, patterns)
def test_two_patterns_match_when_the_shortest_host_of_one_belongs_to_the_other(one, other):
    shortest = [pattern.removeprefix("*") for pattern in (one, other)]
    expected = bool(language(one).fullmatch(shortest[1]) or language(other).fullmatch(shortest[0])) if "*" in one + other else one == other
    assert hosts.matches(one, other) is hosts.matches(other, one) is expected


@given(patterns, patterns, names)
def test_a_subset_holds_no_host_that_the_larger_pattern_lacks(inner, outer, host):
    if hosts.subset_of(inner, outer) and language(inner).fullmatch(host):
        assert language(outer).fullmatch(host)


def test_a_wildcard_does_not_match_its_own_domain():
    assert not hosts.matches("foo.com", "*.foo.com")
    assert not hosts.subset_of("*.com", "*.foo.com")


@pytest.mark.parametrize(
    ("host", "full"),
    [
        ("reviews", "reviews.ml.svc.cluster.local"),
        ("reviews.other", "reviews.other"),
        ("reviews.other.svc.cluster.local", "reviews.other.svc.cluster.local"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_only_a_bare_word_is_a_short_name(host, full):
    assert hosts.expand(host, "ml") == full


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("mesh", "mesh"),
        ("edge", "ml/edge"),
        ("./edge", "ml/edge"),
        ("infra/edge", "infra/edge"),
        ("edge.infra.svc.cluster.local", "infra/edge"),
        ("edge.infra", "infra/edge"),
    ],
)
def test_a_gateway_name_is_completed_with_the_rules_namespace(name, full):
    assert hosts.expand_gateway(name, "ml") == full


def test_the_equal_pattern_speaks_first_and_then_the_longest_wildcard():
    known = ["*", "*.com", "*.foo.com", "a.foo.com"]
    assert hosts.most_specific("a.foo.com", known) == "a.foo.com"
    assert hosts.most_specific("b.foo.com", known) == "*.foo.com"
    assert hosts.most_specific("*.b.foo.com", known) == "*.foo.com"
    assert hosts.most_specific("bar.org", known) == "*"
    assert hosts.most_specific("bar.org", known[1:]) is None
