"""Exact, longest suffix, longest prefix, anything: against a model that tries every domain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh_proxy.route.hosts import HostMap


def look_up(domains, host, **options):
    return HostMap({domain: domain for domain in domains}, **options).finder()(host)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"www.foo.com", "www.foo.com"),
        (b"WWW.FOO.COM", "www.foo.com"),
        (b"api.foo.com", "*.foo.com"),
        (b"a.b.foo.com", "*.b.foo.com"),
        (b".foo.com", "*"),
        (b"x-bar.foo.com", "*-bar.foo.com"),
        (b"foo.org", "foo.*"),
        (b"foo.", "*"),
        (b"foo.bar.net", "foo.bar.*"),
        (b"www.foo.com:80", "*"),
        (b"", "*"),
    ],
)
def test_the_most_specific_domain_takes_the_host(host, expected):
    domains = ["www.foo.com", "*.foo.com", "*.b.foo.com", "*-bar.foo.com", "foo.*", "foo.bar.*", "*"]
    assert look_up(domains, host) == expected


@pytest.mark.parametrize("host", [b"a.com:80", b"a.com", b"A.com:8443"])
def test_the_port_can_be_left_out_of_the_comparison(host):
    assert look_up(["a.com"], host, ignore_port=True) == "a.com"


@pytest.mark.parametrize(("host", "expected"), [(b"[::1]:80", "[::1]"), (b"[::1]", "[::1]"), (b"::1", None)])
def test_the_colons_of_an_ipv6_address_are_no_port(host, expected):
    assert look_up(["[::1]"], host, ignore_port=True) == expected


def test_a_host_that_no_domain_takes_leads_nowhere():
    assert look_up(["a.com"], b"b.com") is None


LABEL = st.sampled_from(["a", "b", "a.b", "b.a", "ab", ".a", "b."])
DOMAIN = st.one_of(LABEL, LABEL.map("*".__add__), LABEL.map(lambda label: label + "*"), st.just("*"))


@given(st.sets(DOMAIN, max_size=8), st.lists(LABEL, max_size=3).map("".join))
def test_the_map_agrees_with_trying_every_domain(domains, host):
    assert look_up(domains, host.encode()) == slow(domains, host)


def slow(domains, host):
    suffixes = [name for name in domains if name.startswith("*") and name != "*" and host.endswith(name[1:]) and len(host) >= len(name)]
    prefixes = [name for name in domains if name.endswith("*") and name != "*" and host.startswith(name[:-1]) and len(host) >= len(name)]
    if host in domains and "*" not in host:
        return host
    if suffixes:
        return max(suffixes, key=len)
    if prefixes:
        return max(prefixes, key=len)
    return "*" if "*" in domains else None
