"""Cookies as a real Envoy was seen to read and write them."""

import pytest

from pymesh_proxy.http.headers import RequestHead
from pymesh_proxy.route.cookies import NewCookie, cookie_value


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([], b""),
        ([b"s=abc"], b"abc"),
        ([b't=1;  s="abc"'], b"abc"),
        ([b"s=abc; s=def"], b"abc"),
        ([b"t=1", b"s=abc"], b"abc"),
        ([b"s;s=abc"], b"abc"),
        ([b"s = abc"], b""),
        ([b"S=abc"], b""),
        ([b"s"], b""),
        ([b's="'], b'"'),
        ([b"s=a=b"], b"a=b"),
    ],
)
def test_a_cookie_is_the_first_of_its_name(lines, value):
    head = RequestHead(b"GET", b"/", b"a", [(b"Cookie", line) for line in lines])
    assert cookie_value(head, b"s") == value


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"ttl": 0}, b's="v"; HttpOnly'),
        ({"ttl": 60, "path": "/p"}, b's="v"; Max-Age=60; Path=/p; HttpOnly'),
        ({"ttl": 0, "attributes": (("SameSite", "Lax"), ("Secure", ""))}, b's="v"; SameSite=Lax; Secure; HttpOnly'),
    ],
)
def test_a_new_cookie_says_how_long_it_lasts_and_where(settings, line):
    assert NewCookie(name="s", **settings).line("v") == line
