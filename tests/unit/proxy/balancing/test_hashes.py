"""Hashes against values that other implementations gave."""

import pytest

from pymesh_proxy.upstream.balancing.bounded import twister
from pymesh_proxy.upstream.balancing.hashes import murmur_hash_2, xx_hash


def test_xx_hash_is_the_published_one():
    assert xx_hash(b"") == 0xEF46DB3751D8E999
    assert xx_hash(b"a", 1) != xx_hash(b"a")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"", 6142509188972423790),
        (b"a", 4993892634952068459),
        (b"12345678", 10113836418918046885),
        (b"127.0.0.1:21100_0", 11030922923926400521),
        (b"127.0.0.1:21101_341", 2435608976063482887),
        (b"[::1]:80_12345678901", 14144271117836776367),
    ],
)
def test_murmur_hash_is_that_of_libstdcxx(text, value):
    """The values are those of std::hash<std::string> as g++ 12 compiles it."""
    assert murmur_hash_2(text) == value


def test_the_twister_draws_what_the_cxx_standard_says():
    """[rand.predef]: the 10000th draw of a default-constructed std::mt19937, whose seed is 5489, is 4123659995."""
    draw = twister(5489)
    draws = [draw() for _ in range(10_000)]
    assert (draws[0], draws[-1]) == (3499211612, 4123659995)
    assert twister(5489 + 2**32)() == draws[0], "a seed counts modulo 2^32"
