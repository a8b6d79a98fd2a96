"""When a cluster of names looks them up again."""

import asyncio

import dns.asyncresolver
import dns.message
import dns.rrset
import pytest

from pymesh_proxy.upstream.cluster import Cluster
from pymesh_proxy.upstream.config import Assignment, ClusterConfig, Discovery, EndpointConfig
from pymesh_proxy.upstream.dns import Resolver, time_to_live

NAMES = ("a.test", "b.test", "10.0.0.1")


def resolver_of(times, **settings):
    endpoints = tuple(EndpointConfig(host=name, port=80) for name in NAMES)
    assignment = Assignment(cluster="c", endpoints=endpoints)
    config = ClusterConfig(name="c", discovery=Discovery.STRICT_DNS, assignment=assignment, dns_refresh=60.0, **settings)

    async def told(name, kind):
        return times[kind, name]

    return Resolver(Cluster(config, None, ()), told)


@pytest.mark.parametrize(
    ("times", "settings", "expected"),
    [
        ({("A", "a.test"): 9.0, ("A", "b.test"): 30.0}, {"respect_dns_ttl": True}, 9.0),
        ({("AAAA", "a.test"): 9.0, ("AAAA", "b.test"): 8.0}, {"respect_dns_ttl": True, "dns_family": "V6_ONLY"}, 8.0),
        ({("A", "a.test"): 0.0, ("A", "b.test"): 90.0}, {"respect_dns_ttl": True}, 90.0),
        ({("A", "a.test"): 0.0, ("A", "b.test"): 0.0}, {"respect_dns_ttl": True}, 60.0),
        ({}, {}, 60.0),
    ],
)
async def test_the_pause_is_the_shortest_time_to_live_if_it_is_respected(times, settings, expected):
    assert await resolver_of(times, **settings).pause() == expected


class NameServer(asyncio.DatagramProtocol):
    """Answers every question with an alias that lives longer than the address behind it."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        if str(query.question[0].name) == "a.test.":
            reply.answer.append(dns.rrset.from_text("a.test.", 300, "IN", "CNAME", "b.test."))
            reply.answer.append(dns.rrset.from_text("b.test.", 7, "IN", "A", "10.0.0.9"))
        self.transport.sendto(reply.to_wire(), addr)


@pytest.fixture
async def resolver():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    yield resolver
    transport.close()


async def test_the_time_to_live_is_the_shortest_of_the_chain(resolver):
    assert await time_to_live("a.test", "A", resolver) == 7.0


async def test_a_name_that_dns_does_not_know_has_no_time_to_live(resolver):
    assert await time_to_live("unknown.test", "A", resolver) == 0.0
