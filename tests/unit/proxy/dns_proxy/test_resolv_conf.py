"""What is read of resolv.conf."""

import pytest

from pymesh_proxy.dns_proxy.resolv_conf import ResolvConf, parse


def test_servers_and_search_domains():
    text = "# cluster DNS\nnameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:1\n"
    assert parse(text) == ResolvConf((("10.96.0.10", 53),), ("shop.svc.cluster.local", "svc.cluster.local"))


@pytest.mark.parametrize(
    ("line", "server"),
    [
        ("nameserver ::1", ("::1", 53)),
        ("nameserver fe80::1%eth0", ("fe80::1%eth0", 53)),
        ("nameserver\t10.0.0.1\t# why", ("10.0.0.1", 53)),
        ("nameserver [10.0.0.1]:5353", ("10.0.0.1", 5353)),
        ("nameserver [::1]:5353", ("::1", 5353)),
        ("nameserver [::1]", ("::1", 53)),
    ],
)
def test_the_forms_of_a_server(line, server):
    assert parse(line).servers == (server,)


@pytest.mark.parametrize(
    "line",
    ["nameserver", "nameserver localhost", "nameserver [::1]:0", "nameserver [::1]:x", "nameserver [::1]:65536", "nameserver [x]:53",
     "nameserver [::1]53", "; nameserver 10.0.0.1", "#nameserver 10.0.0.1", "search"],
)  # fmt: skip
def test_what_is_no_servers_address_is_left_out(line):
    assert parse(line) == ResolvConf()


def test_no_more_than_three_servers_count():
    text = "".join(f"nameserver 10.0.0.{n}\n" for n in range(5))
    assert [host for host, _ in parse(text).servers] == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]


def test_the_last_of_search_and_domain_counts():
    assert parse("domain a.com\nsearch b.com c.com\n").search == ("b.com", "c.com")
    assert parse("search b.com c.com\ndomain a.com\n").search == ("a.com",)
