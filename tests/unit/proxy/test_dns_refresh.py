"""Clusters whose endpoints are names: what becomes of answers, failures and times to live."""

import asyncio
from collections.abc import Callable

import dns.message
import dns.rcode
import dns.rrset
import pytest

from pymesh_proxy.testing import Mesh
from pymesh_proxy.upstream.cluster import Cluster
from pymesh_proxy.upstream.config import Assignment, ClusterConfig, Discovery, EndpointConfig
from pymesh_proxy.upstream.dns import Resolver, Target
from pymesh_proxy.upstream.dns_config import DnsConfig, Family, NameServers
from pymesh_proxy.upstream.lookup import Answer, LookupFailed, chosen, lookup
from tests.waiting import eventually

V4, V6 = ("10.0.0.1", "10.0.0.2"), ("fd00::1",)


@pytest.mark.parametrize(
    ("family", "both", "only_v4", "only_v6"),
    [
        (Family.AUTO, V6, V4, V6),
        (Family.V4_ONLY, V4, V4, ()),
        (Family.V6_ONLY, V6, (), V6),
        (Family.V4_PREFERRED, V4, V4, V6),
        (Family.ALL, V4 + V6, V4, V6),
    ],
)
def test_the_family_says_which_addresses_are_used(family, both, only_v4, only_v6):
    assert chosen(V4, V6, family) == both
    assert chosen(V4, (), family) == only_v4
    assert chosen((), V6, family) == only_v6


class Names:
    """Answers that a test sets; a name without one fails."""

    def __init__(self, **answers):
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}

    async def __call__(self, name):
        if name not in self.answers:
            raise LookupFailed("SERVFAIL")
        return self.answers[name]


def target(names, host="a.test", **settings):
    return Target(EndpointConfig(host=host, port=80, weight=3), DnsConfig(**settings), names)


async def test_every_address_of_a_name_is_an_endpoint():
    one = target(Names(a_test=Answer(V4)))
    await one.refresh()
    assert [(made.host, made.port, made.hostname, made.weight) for made in one.endpoints] == [
        ("10.0.0.1", 80, "a.test", 3),
        ("10.0.0.2", 80, "a.test", 3),
    ]


async def test_all_addresses_may_be_one_endpoint():
    one = target(Names(a_test=Answer(V4)), one_endpoint=True)
    await one.refresh()
    (made,) = one.endpoints
    assert (made.host, made.additional_addresses) == ("10.0.0.1", (("10.0.0.2", 80),))


@pytest.mark.parametrize(
    ("answer", "settings", "expected"),
    [
        (Answer(V4, 9.0), {"respect_ttl": True}, 9.0),
        (Answer(V4, 0.0), {"respect_ttl": True}, 60.0),
        (Answer(V4, 9.0), {}, 60.0),
        (Answer((), 0.0), {"respect_ttl": True}, 60.0),
    ],
)
async def test_the_next_look_up_comes_after_the_time_to_live_if_it_is_respected(answer, settings, expected):
    assert await target(Names(a_test=answer), refresh=60.0, **settings).refresh() == expected


async def test_jitter_only_delays():
    one = target(Names(a_test=Answer(V4)), refresh=60.0, jitter=10.0)
    pauses = [await one.refresh() for _ in range(50)]
    assert all(60 <= pause <= 70 for pause in pauses)
    assert max(pauses) - min(pauses) > 1


async def test_failures_keep_the_last_answer_and_back_off():
    names = Names(a_test=Answer(V4))
    one = target(names, refresh=60.0, failure_base=1.0, failure_max=8.0)
    await one.refresh()
    answer = names.answers.pop("a.test")
    pauses = [await one.refresh() for _ in range(100)]
    assert [made.host for made in one.endpoints] == [*V4]
    assert pauses[0] <= 1
    assert 2 < max(pauses) <= 8
    names.answers["a.test"] = answer
    assert await one.refresh() == 60.0
    del names.answers["a.test"]
    assert await one.refresh() <= 1, "the back-off begins again"


async def test_failures_without_a_rate_of_their_own_keep_the_refresh_rate():
    assert await target(Names(), refresh=7.0, jitter=5.0).refresh() == 7.0


async def test_a_name_without_addresses_has_no_endpoints_but_one_that_stands_for_them_stays():
    for one_endpoint, kept in ((False, 0), (True, 1)):
        names = Names(a_test=Answer(V4))
        one = target(names, one_endpoint=one_endpoint)
        await one.refresh()
        names.answers["a.test"] = Answer()
        await one.refresh()
        assert len(one.endpoints) == kept


def dns_cluster(*hosts, discovery=Discovery.STRICT_DNS, **settings):
    endpoints = tuple(EndpointConfig(host=host, port=80, priority=index) for index, host in enumerate(hosts))
    assignment = Assignment(cluster="c", endpoints=endpoints, overprovisioning_factor=200)
    return Cluster(ClusterConfig(name="c", discovery=discovery, assignment=assignment, dns=DnsConfig(**settings)), None, ())


async def following(resolver, happened: Callable[[], object]):
    """Run a resolver until something has happened."""

    async def look():
        return happened()

    task = asyncio.get_running_loop().create_task(resolver.run())
    await eventually(look)
    task.cancel()


async def test_names_and_addresses_keep_their_priorities_and_the_policy():
    cluster = dns_cluster("a.test", "10.9.9.9", "b.test")
    resolver = Resolver(cluster, Names(a_test=Answer(V4), b_test=Answer(V6)))
    await following(resolver, lambda: len(cluster.endpoints) == 4)
    assert sorted((one.config.host, one.config.priority) for one in cluster.endpoints) == [
        ("10.0.0.1", 0),
        ("10.0.0.2", 0),
        ("10.9.9.9", 1),
        ("fd00::1", 2),
    ]
    assert cluster.overprovisioning_factor == 200


async def test_an_address_of_two_names_is_one_endpoint():
    cluster = dns_cluster("a.test", "b.test")
    resolver = Resolver(cluster, Names(a_test=Answer(V4), b_test=Answer(V4)))
    await following(resolver, lambda: resolver.first.is_set() and all(one.endpoints for one in resolver._targets))
    assert [one.config.host for one in cluster.endpoints] == [*V4]


async def test_the_same_addresses_in_another_order_are_no_change():
    cluster = dns_cluster("a.test", refresh=0.001)
    asked = []

    async def other_order(name):
        asked.append(name)
        return Answer(V4[:: -1 if len(asked) % 2 else 1])

    await following(Resolver(cluster, other_order), lambda: len(asked) > 3)
    assert cluster.update_success == 1


async def test_the_endpoints_of_a_former_version_serve_until_there_is_an_answer():
    cluster = dns_cluster("a.test", refresh=0.001)
    cluster.assign(Assignment(cluster="c", endpoints=(EndpointConfig(host="10.0.0.7", port=80),)))
    names = Names()
    resolver = Resolver(cluster, names)
    await following(resolver, resolver.first.is_set)
    assert [one.config.host for one in cluster.endpoints] == ["10.0.0.7"]
    names.answers["a.test"] = Answer(V4)
    await following(resolver, lambda: len(cluster.endpoints) == 2)


async def test_a_cluster_is_warm_when_a_look_up_has_failed_as_well():
    resolver = Resolver(dns_cluster("a.test"), Names())
    await following(resolver, resolver.first.is_set)


class NameServer(asyncio.DatagramProtocol):
    """Knows an alias that lives longer than the addresses behind it."""

    def __init__(self):
        self.asked = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        name, kind = str(query.question[0].name), query.question[0].rdtype.name
        self.asked.append((name, kind))
        if name == "broken.test.":
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif name == "unknown.test.":
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif kind == "A" and name in ("a.test.", "both.test."):
            reply.answer.append(dns.rrset.from_text(name, 300, "IN", "CNAME", "b.test."))
            reply.answer.append(dns.rrset.from_text("b.test.", 7, "IN", "A", *V4))
        elif kind == "AAAA" and name in ("six.test.", "both.test."):
            reply.answer.append(dns.rrset.from_text(name, 5, "IN", "AAAA", *V6))
        self.transport.sendto(reply.to_wire(), addr)


@pytest.fixture
async def server():
    transport, made = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    made.addresses = (transport.get_extra_info("sockname"),)
    yield made
    transport.close()


async def ask(server, name, family):
    """The server gives the addresses of a family in any order."""
    servers = NameServers(addresses=server.addresses, search=False, timeout=2.0, tries=1)
    answer = await lookup(DnsConfig(servers=servers, family=family))(name)
    return Answer(tuple(sorted(answer.addresses, key=(V4 + V6).index)), answer.ttl)


async def test_the_time_to_live_is_the_shortest_of_the_chain(server):
    assert await ask(server, "a.test", Family.V4_ONLY) == Answer(V4, 7.0)


async def test_the_less_preferred_family_is_asked_for_only_when_it_is_needed(server):
    assert await ask(server, "both.test", Family.AUTO) == Answer(V6, 5.0)
    assert await ask(server, "both.test", Family.V4_PREFERRED) == Answer(V4, 7.0)
    assert [kind for _, kind in server.asked] == ["AAAA", "A"]
    assert await ask(server, "a.test", Family.AUTO) == Answer(V4, 7.0)
    assert await ask(server, "six.test", Family.V4_PREFERRED) == Answer(V6, 5.0)


async def test_both_families_are_asked_for_where_all_addresses_are_wanted(server):
    assert await ask(server, "both.test", Family.ALL) == Answer(V4 + V6, 5.0)


async def test_an_unknown_name_has_no_addresses_and_a_broken_server_no_answer(server):
    assert await ask(server, "unknown.test", Family.AUTO) == Answer()
    with pytest.raises(LookupFailed):
        await ask(server, "broken.test", Family.V4_ONLY)


@pytest.mark.parametrize("whose", ["the cluster's", "the process's"])
async def test_a_prepared_cluster_is_put_with_what_its_names_stand_for(server, whose):
    endpoint = EndpointConfig(host="a.test", port=80)
    servers = NameServers(addresses=server.addresses, search=False)
    nobody = NameServers(addresses=(("192.0.2.1", 53),), search=False)
    config = ClusterConfig(
        name="d",
        discovery=Discovery.STRICT_DNS,
        assignment=Assignment(cluster="d", endpoints=(endpoint,)),
        dns=DnsConfig(servers=servers if whose == "the cluster's" else None, family=Family.V4_ONLY),
    )
    async with Mesh() as mesh:
        clusters = mesh.runtime.clusters
        clusters.name_servers = nobody if whose == "the cluster's" else servers
        async with asyncio.timeout(30):
            await clusters.look_up(config).wait()
        assert clusters.get("d") is None
        assert {one.config.host for one in clusters.put(config).endpoints} == {*V4}
        clusters.remove("d")


async def test_a_newer_version_ends_the_look_up_of_the_older():
    endpoint = EndpointConfig(host="a.test", port=80)
    servers = NameServers(addresses=(("192.0.2.1", 53),), search=False)
    one, other = (
        ClusterConfig(
            name="d",
            discovery=Discovery.STRICT_DNS,
            connect_timeout=seconds,
            assignment=Assignment(cluster="d", endpoints=(endpoint,)),
            dns=DnsConfig(servers=servers),
        )
        for seconds in (1.0, 2.0)
    )
    async with Mesh() as mesh:
        older = mesh.runtime.clusters.look_up(one)
        newer = mesh.runtime.clusters.look_up(other)
        assert older.is_set()
        assert not newer.is_set()
        mesh.runtime.clusters.remove("d")
        assert newer.is_set()


@pytest.mark.parametrize("servers", [None, NameServers(addresses=(("127.0.0.1", 1),))])
async def test_names_below_localhost_are_this_machine_whoever_is_asked(servers):
    found = {family: (await lookup(DnsConfig(family=family, servers=servers))("a.b.LOCALHOST.")).addresses for family in Family}
    assert found[Family.V4_PREFERRED] == found[Family.V4_ONLY] == ("127.0.0.1",)
    assert found[Family.AUTO] == found[Family.V6_ONLY] == ("::1",)
    assert found[Family.ALL] == ("127.0.0.1", "::1")


@pytest.mark.parametrize("name", ["a..test", "x" * 64 + ".test", "."])
async def test_what_cannot_be_a_name_is_a_failed_look_up(name):
    with pytest.raises(LookupFailed):
        await lookup(DnsConfig())(name)
