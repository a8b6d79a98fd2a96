"""Which route takes a request; the header and query tables were measured on Envoy 1.40."""

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesh_proxy.compile.routes import compile_routes
from pymesh_proxy.http.headers import RequestHead


def head(path="/", headers=(), method=b"GET", authority=b"a.com"):
    return RequestHead(method, path.encode(), authority, [(name.encode(), value.encode()) for name, value in headers])


def table(parse, *matches):
    """A table whose routes are named by their position."""
    routes = [{"name": str(index), "match": match, "direct_response": {"status": 200}} for index, match in enumerate(matches)]
    return compile_routes(
        parse("routes", yaml.safe_dump({"name": "r", "virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]}))
    )


@pytest.fixture
def taken(parse):
    """Whether a single match takes a request."""

    def ask(match, request, random=0):
        return table(parse, match).match(request, random) is not None

    return ask


@pytest.mark.parametrize(
    ("match", "path", "expected"),
    [
        ({"prefix": "/a"}, "/ab?x", True),
        ({"prefix": ""}, "*", True),
        ({"prefix": "/a?"}, "/a?x", False),
        ({"prefix": "/A", "case_sensitive": False}, "/aB", True),
        ({"path": "/exact"}, "/exact?q=1", True),
        ({"path": "/exact"}, "/exact/", False),
        ({"path": "/Exact", "case_sensitive": False}, "/eXact?Q", True),
        ({"path": "/e?q"}, "/e?q", False),
        ({"path_separated_prefix": "/sep"}, "/sep", True),
        ({"path_separated_prefix": "/sep"}, "/sep/", True),
        ({"path_separated_prefix": "/sep"}, "/sep?x", True),
        ({"path_separated_prefix": "/sep"}, "/sepx", False),
        ({"path_separated_prefix": "/SEP", "case_sensitive": False}, "/sep/X", True),
        ({"safe_regex": {"regex": "/a/[0-9]+"}}, "/a/12?q", True),
        ({"safe_regex": {"regex": "/a/[0-9]+"}}, "/a/12x", False),
        ({"safe_regex": {"regex": "/a"}}, "/ab", False),
    ],
)
def test_paths(taken, match, path, expected):
    assert taken(match, head(path)) is expected


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"connect_matcher": {}}, True),
        ({"prefix": ""}, False),
        ({"prefix": "/"}, False),
        ({"safe_regex": {"regex": ".*"}}, False),
        ({"connect_matcher": {}, "headers": [{"name": "x-a"}]}, False),
    ],
)
def test_only_its_own_matcher_takes_connect(taken, match, expected):
    assert taken(match, head("", method=b"CONNECT", authority=b"a.com:443")) is expected


def test_its_matcher_takes_nothing_but_connect(taken):
    assert not taken({"connect_matcher": {}}, head("/"))


VALUES = [(), ("1",), ("2",), ("2", "1"), ("1", "2"), ("",), ("007",), ("+7",), ("-3",), ("7_0",), ("9" * 22,)]


@pytest.mark.parametrize(
    ("matcher", "taken_by"),
    [
        ({"string_match": {"exact": "1"}, "invert_match": True}, "no no yes no no yes yes yes yes yes yes"),
        ({"string_match": {"exact": "1"}}, "no yes no yes yes no no no no no no"),
        ({"present_match": False}, "yes no no no no no no no no no no"),
        ({"present_match": True, "invert_match": True}, "yes no no no no no no no no no no"),
        ({"present_match": False, "invert_match": True}, "no yes yes yes yes yes yes yes yes yes yes"),
        ({}, "no yes yes yes yes yes yes yes yes yes yes"),
        ({"invert_match": True}, "yes no no no no no no no no no no"),
        (
            {"string_match": {"exact": ""}, "invert_match": True, "treat_missing_header_as_empty": True},
            "no yes yes yes yes no yes yes yes yes yes",
        ),
        ({"range_match": {"start": -5, "end": 10}}, "no yes yes yes yes no yes yes yes no no"),
    ],
)
def test_header_matchers_test_every_line(taken, matcher, taken_by):
    match = {"prefix": "/", "headers": [{"name": "X-A", **matcher}]}
    answers = [taken(match, head(headers=[("x-a", value) for value in values])) for values in VALUES]
    assert answers == [word == "yes" for word in taken_by.split()]


@pytest.mark.parametrize(
    ("string_match", "value", "expected"),
    [
        ({"prefix": "ab"}, "abc", True),
        ({"suffix": "bc"}, "abc", True),
        ({"contains": "b"}, "abc", True),
        ({"contains": "B", "ignore_case": True}, "abc", True),
        ({"exact": "ABC"}, "abc", False),
        ({"safe_regex": {"regex": "a.c"}}, "abc", True),
        ({"safe_regex": {"regex": "a"}}, "abc", False),
    ],
)
def test_string_matchers(taken, string_match, value, expected):
    assert taken({"prefix": "/", "headers": [{"name": "x", "string_match": string_match}]}, head(headers=[("X", value)])) is expected


def test_pseudo_headers_come_from_the_request_line(taken):
    match = {
        "prefix": "/",
        "headers": [{"name": ":method", "string_match": {"exact": "POST"}}, {"name": ":path", "string_match": {"suffix": "?q"}}],
    }
    assert taken(match, head("/x?q", method=b"POST"))
    assert not taken(match, head("/x?q"))
    assert taken({"prefix": "/", "headers": [{"name": "host", "string_match": {"exact": "a.com"}}]}, head())


QUERIES = ["", "?", "?q", "?q=", "?q=a", "?q=a%20b", "?x=1&q=2&q=", "?=", "?&q"]


@pytest.mark.parametrize(
    ("matcher", "taken_by"),
    [
        ({"present_match": False}, "yes yes no no no no no yes no"),
        ({"present_match": True}, "no no yes yes yes yes yes no yes"),
        ({}, "no no yes yes yes yes yes no yes"),
        ({"string_match": {"exact": ""}}, "no no yes yes no no no no yes"),
        ({"string_match": {"exact": "a b"}}, "no no no no no no no no no"),
        ({"string_match": {"exact": "a%20b"}}, "no no no no no yes no no no"),
        ({"string_match": {"exact": "2"}}, "no no no no no no yes no no"),
    ],
)
def test_query_parameters_are_compared_raw_and_by_their_first_value(taken, matcher, taken_by):
    match = {"prefix": "/", "query_parameters": [{"name": "q", **matcher}]}
    assert [taken(match, head(f"/{query}")) for query in QUERIES] == [word == "yes" for word in taken_by.split()]


def test_a_runtime_fraction_takes_its_share_by_the_random_number(taken):
    match = {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 30, "denominator": "HUNDRED"}, "runtime_key": "k"}}
    assert [taken(match, head(), random) for random in (0, 29, 30, 99, 129, 130)] == [True, True, False, False, True, False]


@pytest.mark.parametrize(
    ("content_type", "expected"), [("application/grpc", True), ("application/grpc+proto", True), ("application/grpc-web", False)]
)
def test_grpc_is_told_by_its_content_type(taken, content_type, expected):
    assert taken({"prefix": "/", "grpc": {}}, head(headers=[("Content-Type", content_type)])) is expected


def test_the_first_route_that_matches_wins_whatever_follows(parse):
    routes = table(parse, {"prefix": "/a"}, {"prefix": "/"}, {"path": "/a"})
    assert routes.match(head("/a"), 0).name == "0"
    assert routes.match(head("/b"), 0).name == "1"


PATHS = st.text("/ab", min_size=1, max_size=5)
MATCHES = st.one_of(
    PATHS.map(lambda path: {"path": path}),
    PATHS.map(lambda path: {"prefix": path}),
    PATHS.filter(lambda path: path.startswith("/") and not path.endswith("/")).map(lambda path: {"path_separated_prefix": path}),
    PATHS.map(lambda path: {"safe_regex": {"regex": f"{path}.*"}}),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(matches=st.lists(MATCHES, max_size=5), path=PATHS, query=st.sampled_from(["", "?", "?a/b"]))
def test_routes_agree_with_an_obvious_model(parse, matches, path, query):
    chosen = table(parse, *matches).match(head(path + query), 0)
    expected = next((str(index) for index, match in enumerate(matches) if obvious(match, path)), None)
    assert (chosen.name if chosen else None) == expected


def obvious(match, path):
    (kind, value), *_ = match.items()
    return {
        "path": lambda: path == value,
        "prefix": lambda: path.startswith(value),
        "path_separated_prefix": lambda: path == value or path.startswith(f"{value}/"),
        "safe_regex": lambda: path.startswith(value["regex"].removesuffix(".*")),
    }[kind]()
