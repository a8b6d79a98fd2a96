"""URI templates against the paths that were measured on Envoy 1.40, and which templates there are."""

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymesh_proxy.route.templates import Malformed, replacement, template


def taken(text, path):
    return re2.compile(template(text).pattern).fullmatch(path.encode())


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("/a/{x}", ["/a/b", "/a/%20x", "/a/b@c", "/a/b*c", "/a/b;c=d"], ["/a", "/a/", "/a/b/c", "/a/b{c", '/a/"']),
        ("/a/*", ["/a/b"], ["/a/", "/a/b/"]),
        ("/a/**", ["/a/", "/a/b/c", "/a/b//c"], ["/a"]),
        ("/b/{x=**}", ["/b/", "/b/x/y", "/b/x//y"], ["/b"]),
        ("/c/{x=*}/b", ["/c/x/b"], ["/c/x/y/b", "/c//b"]),
        ("/d/**/b", ["/d/x/b", "/d/x/y/b", "/d//b"], ["/d/b"]),
        ("/e/{x=b/**}", ["/e/b/", "/e/b/c/d"], ["/e/b", "/e/c"]),
        ("/f/", ["/f/"], ["/f"]),
        ("/g/{x=d/*}/{y=**}", ["/g/d/x/y/z", "/g/d/x/"], ["/g/d/x"]),
        ("/", ["/"], ["/a", ""]),
        ("/a.b", ["/a.b"], ["/aXb"]),
    ],
)
def test_paths(text, yes, no):
    assert [path for path in [*yes, *no] if taken(text, path)] == yes


@pytest.mark.parametrize(
    "text",
    ["a/b", "/a//b", "/{x}/{x}", "/{1x}", "/{x}{y}", "/{a}/{b}/{c}/{d}/{e}/{f}", "/a?b", "/a b", "/é", "/a#b", "/{abcdefghijklmnopq}",
     "/a/{x=}", "/a/{x=*", "/{x=*.js}", "", "/{}", "/a}b", "/a*b", "/{x}b", "/***"],
)  # fmt: skip
def test_what_is_no_template(text):
    with pytest.raises(Malformed):
        template(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("/b/{x}", [b"/b/", 1]), ("/{y}/{x}", [b"/", 2, b"/", 1]), ("/b{x}c", [b"/b", 1, b"c"]), ("/", [b"/"])],
)
def test_replacements(text, expected):
    assert replacement(text, ("x", "y")) == expected


@pytest.mark.parametrize("text", ["/b/{z}", "b/{x}", "/b//{x}", "/b/{x}?q", "", "/{x", "/x}"])
def test_what_is_no_replacement(text):
    with pytest.raises(Malformed):
        replacement(text, ("x", "y"))


_SEGMENTS = st.lists(st.sampled_from(["a", "b.c", "*", "**"]), min_size=1, max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_SEGMENTS, st.lists(st.sampled_from(["a", "b.c", "x", ""]), min_size=1, max_size=5))
def test_a_template_takes_what_a_slow_reading_takes(segments, path):
    """Segment by segment: a star stands for one that is not empty, two stars for one or more, empty ones too."""

    def slowly(wanted, given):
        if not wanted:
            return not given
        if wanted[0] == "**":
            return any(slowly(wanted[1:], given[count:]) for count in range(1, len(given) + 1))
        return bool(given) and (given[0] == wanted[0] or (wanted[0] == "*" and given[0] != "")) and slowly(wanted[1:], given[1:])

    assert bool(taken("/" + "/".join(segments), "/" + "/".join(path))) is slowly(segments, path)
