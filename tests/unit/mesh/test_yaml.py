"""YAML as Kubernetes' users write it, and as nobody should."""

# ruff: noqa: E501  (tables of one case a line)

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pymesh.api import document, parse_text
from pymesh.api.tree import Mapping, Scalar, Sequence, find, plain


def value_of(text):
    (read,) = document.read(text, "f")
    assert not read.problems
    return plain(read.root)


def problems_of(text):
    return [str(problem) for read in document.read(text, "f") for problem in read.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", True), ("NO", False), ("true", True), ("'on'", "on"), ("!!str on", "on"), ("~", None), ("null", None), ("", None),
        ("0x1F", 31), ("010", 8), ("0b11", 3), ("1_000", 1000), ("-5", -5), ("+5", 5), ("0", 0), ("0.25", 0.25), ("1e3", 1000.0), ("'1e3'", "1e3"),
        ("12:30", "12:30"), ("1:30.5", "1:30.5"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"), ("=", "="), ("- .inf", [float("inf")]),
    ],
)
def test_a_scalar_has_the_value_that_kubernetes_reads(text, value):
    assert value_of(f"- {text}" if not text.startswith("- ") else text) == (value if isinstance(value, list) else [value])


def test_keys_are_always_text():
    assert value_of("{on: 1, 8080: 2, null: 3}") == {"on": 1, "8080": 2, "null": 3}


def test_anchors_aliases_and_merge_keys_are_resolved():
    assert value_of("base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: [*b, {z: 4}]}\n") == {
        "base": {"x": 1, "y": 2},
        "one": {"y": 3, "x": 1},
        "two": {"x": 1, "y": 2, "z": 4},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", 'f:3:1: error: duplicate key "a" (first on line 1)'),
        ("x:\n  - {a: 1, a: 2}\n", 'f:2:12: error: duplicate key "a" (first on line 2)'),
        ("? [a]\n: 1\n", "f:1:3: error: a key must be a plain word, not a list or an object"),
        ("a: !secret x\n", "f:1:4: error: the YAML tag !secret is not supported"),
        ("a: !!binary eA==\n", "f:1:4: error: the YAML tag tag:yaml.org,2002:binary is not supported"),
        ("a: !!set {x}\n", "f:1:4: error: the YAML tag tag:yaml.org,2002:set is not supported"),
        ("a: !!int zwei\n", 'f:1:4: error: "zwei" is not a number'),
        ("<<: 5\n", "f:1:5: error: only objects can be merged with <<"),
        ("a: *nowhere\n", "f:1:4: error: not valid YAML: found undefined alias"),
        ("a: [1, 2\nb: 3\n", "f:2:2: error: not valid YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        ("a:\n\tb: 1\n", "f:2:1: error: not valid YAML: while scanning for the next token, found character that cannot start any token"),
        ("a: 1\né: \x00", "f:2:4: error: not valid YAML: control characters are not allowed"),
        ("a: 1\né: \ud800", "f:2:4: error: not valid YAML: surrogates not allowed"),
    ],
)
def test_bad_yaml_is_a_problem_with_a_place(text, expected):
    assert any(line.startswith(expected) for line in problems_of(text)), problems_of(text)


def test_an_alias_bomb_is_refused_before_it_grows():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (line,) = problems_of("\n".join(levels))
    assert "aliases repeat more than 100000 values" in line


def test_an_alias_that_contains_itself_is_refused():
    assert "an alias that contains itself" in problems_of("a: &a [*a]")[0]
    assert "an alias that contains itself" in problems_of("a: &a {<<: *a}")[0]


@pytest.mark.parametrize("depth", [102, 999, 5000])
def test_deep_nesting_is_refused_without_exhausting_the_stack(depth):
    assert len(problems_of("[" * depth + "]" * depth)) == 1
    assert len(problems_of("- " * depth)) == 1


def test_the_documents_before_a_syntax_error_are_kept():
    assert [read.root is not None for read in document.read("a: 1\n---\nb: [\n", "f")] == [True, False]


def test_a_resource_whose_yaml_is_ambiguous_is_not_used():
    parsed = parse_text("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nkind: Gateway\nmetadata: {name: a}\n", "f")
    assert not parsed.resources
    assert [problem.line for problem in parsed.problems] == [3]


words = st.sampled_from(
    ["apiVersion", "kind", "metadata", "spec", "items", "data", "name", "hosts", "http", "route", "match", "port", "timeout", "mesh", "tls"]
)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), words, st.text(max_size=5),
    st.sampled_from(["networking.istio.io/v1", "security.istio.io/v1", "v1", "VirtualService", "DestinationRule", "Gateway", "ServiceEntry", "ConfigMap", "List", "istio", "1s"]),
)
trees = st.recursive(scalars, lambda below: st.lists(below, max_size=3) | st.dictionaries(words, below, max_size=4), max_leaves=12)
objects = st.fixed_dictionaries({"apiVersion": scalars, "kind": scalars, "metadata": trees, "spec": trees})


def flow(value):
    """A tree as YAML's flow style, with no quotes where that gives the text a chance to mean something else."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(below)}" for key, below in value.items()) + "}"
    return "[" + ", ".join(map(flow, value)) + "]" if isinstance(value, list) else str(value)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), trees.map(flow), objects.map(flow)))
@example("kind: List\nitems: [&a {kind: List, items: [*a]}]")
@example("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata: {mesh: '['}")
@example("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: []\nspec: x")
def test_any_text_becomes_resources_and_problems(text):
    parsed = parse_text(text, "f")
    lines = text.count("\n") + 2
    for problem in parsed.problems:
        assert 1 <= problem.line <= lines + 5
        assert problem.column >= 1
        assert "\n" not in problem.message


@settings(deadline=None)
@given(st.recursive(st.integers() | st.just("x"), lambda below: st.lists(below) | st.dictionaries(words, below), max_leaves=20), st.booleans())
def test_every_token_stands_where_its_mark_says(value, block):
    text = yaml.safe_dump(value, default_flow_style=not block, sort_keys=False)
    (read,) = document.read(text, "f")
    lines = text.splitlines()

    def check(node):
        here = lines[node.mark.line - 1][node.mark.column - 1 :]
        if isinstance(node, Scalar):
            assert here.startswith(node.text)
        elif isinstance(node, Sequence):
            for item in node.items:
                check(item)
        else:
            for entry in node.entries.values():
                assert lines[entry.mark.line - 1][entry.mark.column - 1 :].startswith(f"{entry.key}:")
                check(entry.node)

    check(read.root)


def test_a_path_is_followed_as_far_as_the_file_goes():
    (read,) = document.read("spec:\n  fooBar:\n  - x: 1\n", "f")
    assert isinstance(read.root, Mapping)
    assert find(read.root, ("spec", "foo_bar", 0, "x")).mark == (3, 5)
    assert find(read.root, ("spec", "fooBar", 0, "y", "z")).shown == ("spec", "fooBar", 0)
    assert find(read.root, ("spec", "fooBar", 7)).mark == (2, 3)
    assert find(read.root, ("spec", "fooBar", -1)).mark == (2, 3)
