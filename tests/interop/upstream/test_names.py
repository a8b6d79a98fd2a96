"""Endpoints that are names, or have several addresses: a real Envoy and our proxy ask one DNS server and reach the same hosts."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST
from tests.interop.connections.twins import Twin, Twins, twins
from tests.interop.health.hosts import Host, serving
from tests.waiting import eventually

from .named import answers, bootstrap, named_hosts
from .names import BROKEN, Names, names

pytestmark = pytest.mark.asyncio(loop_scope="session")

ONE, TWO, THREE = "127.30.0.1", "127.30.0.2", "127.30.0.3"
REFUSING, ANSWERING = "127.30.1.1", "127.30.1.2"
V6 = "::1"

RECORDS: dict[str, tuple[str, ...] | str] = {
    "two.test": (ONE, TWO),
    "both.test": (ONE, V6),
    "six.test": (V6,),
    "four.test": (ONE,),
    "stumbling.test": (REFUSING, ANSWERING),
    "moving.test": (ONE,),
    "leaving.test": (ONE,),
    "failing.test": (ONE,),
    "following.test": (ONE, TWO),
    "checked.test": (HOST,),
    "unheeded.test": (HOST,),
}

CHECKS = (
    "type: STRICT_DNS\n    health_checks: [{timeout: 20s, interval: 0.1s, no_traffic_interval: 0.1s, unhealthy_threshold: 1,"
    " healthy_threshold: 1, http_health_check: {path: /}}]"
)
FAMILIES = ("AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL")


def resolver(port: int) -> str:
    return f"""
    typed_dns_resolver_config:
      name: c
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
        resolvers: [{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}]
        dns_resolver_options: {{no_default_search_domain: true}}"""


def at(host: str, port: int, more: str = "") -> str:
    address = f"address: {{socket_address: {{address: {host}, port_value: {port}}}}}"
    return f"endpoints: [{{lb_endpoints: [{{endpoint: {{{address}{more}}}}}]}}]"


@dataclass(frozen=True)
class Ports:
    named: int
    partial: int
    """Where only ANSWERING listens, of REFUSING and ANSWERING."""
    checked: int
    dns: int


def clusters(ports: Ports) -> dict[str, str]:
    made = {}

    def add(name: str, settings: str, endpoints: str) -> None:
        made[name] = f"""
  - name: {name}
    {settings}
    load_assignment: {{cluster_name: {name}, {endpoints}}}"""

    def named(name: str, host: str, settings: str = "type: STRICT_DNS", port: int = ports.named) -> None:
        add(name, settings + "\n    dns_refresh_rate: 0.1s" + resolver(ports.dns), at(host, port))

    named("two", "two.test")
    for family in FAMILIES:
        for name in ("both", "six", "four"):
            named(f"{name}-{family}", f"{name}.test", f"type: STRICT_DNS\n    dns_lookup_family: {family}")
        named(f"logical-{family}", "both.test", f"type: LOGICAL_DNS\n    dns_lookup_family: {family}")
    named("stumbling", "stumbling.test", "type: LOGICAL_DNS\n    dns_lookup_family: V4_ONLY", ports.partial)
    named("moving", "moving.test")
    named("leaving", "leaving.test")
    named("failing", "failing.test")
    named("checked", "checked.test", CHECKS, ports.checked)
    named("unheeded", "unheeded.test", f"{CHECKS}\n    ignore_health_on_host_removal: true", ports.checked)
    named("following", "following.test", "type: LOGICAL_DNS\n    dns_lookup_family: V4_ONLY")
    more = f", additional_addresses: [{{address: {{socket_address: {{address: {ANSWERING}, port_value: {ports.partial}}}}}}}]"
    add("several", "type: STATIC", at(REFUSING, ports.partial, more))
    source = "source_address: {address: 127.0.0.5, port_value: 0}, extra_source_addresses: [{address: {address: '::1', port_value: 0}}]"
    for name, host in (("bound", ONE), ("bound-six", "'::1'")):
        add(name, f"type: STATIC\n    upstream_bind_config: {{{source}}}", at(host, ports.named))
    extension = """cluster_type:
      name: envoy.cluster.dns
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster
        dns_lookup_family: V4_ONLY"""
    indented = resolver(ports.dns).replace("\n    ", "\n        ")
    add("extension", extension + indented, at("two.test", ports.named))
    made["original"] = f"""
  - name: original
    type: ORIGINAL_DST
    lb_policy: CLUSTER_PROVIDED
    original_dst_lb_config: {{use_http_header: true, http_header_name: x-to, upstream_port_override: {ports.named}}}"""
    return made


@dataclass(frozen=True)
class World:
    pair: Twins
    server: Names
    checked: Host

    @property
    def both(self) -> tuple[Twin, Twin]:
        return self.pair.envoy, self.pair.ours

    async def answers(self, name: str, requests: int = 20, **options: str) -> list[Counter[str]]:
        return [await answers(twin.ports["HTTP"], f"/{name}", requests, 1, **options) for twin in self.both]

    async def eventually(self, name: str, expected: set[str]) -> None:
        await eventually(lambda: self.answers(name, 2), lambda found: all({*one} == expected for one in found))

    async def many_look_ups(self) -> None:
        """Until everybody must have asked again."""
        before = self.server.asked.total()

        async def more() -> int:
            return self.server.asked.total() - before

        await eventually(more, lambda count: count > 4 * len(clusters(Ports(0, 0, 0, 0))))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    checked = Host()
    async with named_hosts("0.0.0.0", "::1") as named, named_hosts(ANSWERING) as partial, names() as server, serving(checked):
        server.records = dict(RECORDS)
        made = clusters(Ports(named, partial, checked.port, server.port))
        async with twins(tmp_path_factory.mktemp("names"), bootstrap(made.values(), made), "HTTP") as pair:
            yield World(pair, server, checked)


async def test_every_address_of_a_name_is_reached(world: World) -> None:
    for name in ("two", "extension"):
        envoy, ours = await world.answers(name)
        assert {*envoy} == {*ours} == {ONE, TWO}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["both", "six", "four", "logical"])
async def test_the_family_chooses_as_in_envoy(world: World, family: str, name: str) -> None:
    envoy, ours = await world.answers(f"{name}-{family}")
    assert {*envoy} == {*ours}


async def test_the_next_address_is_tried_when_one_refuses(world: World) -> None:
    for name in ("several", "stumbling"):
        envoy, ours = await world.answers(name)
        assert {*envoy} == {*ours} == {ANSWERING}, name


async def test_connections_come_from_the_address_of_their_family(world: World) -> None:
    for name, source in (("bound", "127.0.0.5"), ("bound-six", "::1")):
        envoy, ours = await world.answers(name, 2, header="x-peer")
        assert {*envoy} == {*ours} == {source}


async def test_a_changed_answer_moves_the_requests(world: World) -> None:
    await world.eventually("moving", {ONE})
    world.server.records["moving.test"] = (TWO, THREE)
    await world.eventually("moving", {TWO, THREE})


async def test_a_logical_endpoint_is_replaced_when_its_address_changes(world: World) -> None:
    await world.eventually("following", {ONE})
    world.server.records["following.test"] = (THREE,)
    await world.eventually("following", {THREE})
    del world.server.records["following.test"]
    await world.many_look_ups()
    envoy, ours = await world.answers("following", 2)
    assert {*envoy} == {*ours} == {THREE}, "one that is there stays while there is no other"


async def test_a_name_that_is_gone_has_no_endpoints(world: World) -> None:
    await world.eventually("leaving", {ONE})
    del world.server.records["leaving.test"]
    await world.eventually("leaving", {"503"})


async def test_a_name_that_is_gone_keeps_what_checks_call_well(world: World) -> None:
    for name in ("checked", "unheeded"):
        await world.eventually(name, {str(world.checked.port)})
        del world.server.records[f"{name}.test"]
    await world.eventually("unheeded", {"503"})
    await world.many_look_ups()
    await world.eventually("checked", {str(world.checked.port)})
    world.checked.act = "500"
    await world.eventually("checked", {"503"})
    world.checked.act = "200"
    await world.many_look_ups()
    await world.eventually("checked", {"503"})


async def test_a_server_that_fails_takes_nothing_away(world: World) -> None:
    await world.eventually("failing", {ONE})
    world.server.records["failing.test"] = BROKEN
    await world.many_look_ups()
    envoy, ours = await world.answers("failing")
    assert {*envoy} == {*ours} == {ONE}


@pytest.mark.parametrize("header", [f"x-to: {TWO}:1\r\n", "x-to: nonsense\r\n", "x-to: a.test:80\r\n", ""])
async def test_a_header_names_the_destination(world: World, header: str) -> None:
    stat = "cluster.original.original_dst_host_invalid"
    before = [(await twin.stats())[stat] for twin in world.both]
    envoy, ours = await world.answers("original", 2, asking=header)
    assert envoy == ours
    grown = [(await twin.stats())[stat] - count for twin, count in zip(world.both, before, strict=True)]
    assert grown[0] == grown[1]
