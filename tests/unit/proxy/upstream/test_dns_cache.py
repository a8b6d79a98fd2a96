"""The cache of hosts that requests name: who waits, who is turned away, when a host is looked up again and when it is forgotten."""

import asyncio
from collections import Counter

import pytest

from pymesh.address import Address
from pymesh_proxy.errors import ConfigError
from pymesh_proxy.upstream.dns_cache import UNTOLD_TTL, DnsCache, DnsCaches, Host, Refused
from pymesh_proxy.upstream.dns_config import DnsCacheConfig, Family
from pymesh_proxy.upstream.lookup import Answer, LookupFailed

WHERE = Address("a.test", 80)


class World:
    """A cache, its time, the answers to its questions, and a cluster that follows it."""

    def __init__(self, **settings):
        self.now = 0.0
        self.sleeping: list[tuple[float, asyncio.Future[None]]] = []
        self.answers: dict[str, Answer] = {"a.test": Answer(("10.0.0.1",), 30.0)}
        self.asked: Counter[str] = Counter()
        self.events: list[tuple[str, str]] = []
        self.held: asyncio.Event | None = None
        self.cache = DnsCache(DnsCacheConfig(name="c", **settings), lambda: self.find, lambda: self.now, self.sleep)
        self.cache.follow(self)

    async def sleep(self, seconds):
        over = asyncio.get_running_loop().create_future()
        self.sleeping.append((self.now + seconds, over))
        await over

    async def find(self, name):
        self.asked[name] += 1
        if self.held is not None:
            await self.held.wait()
        if name not in self.answers:
            raise LookupFailed("SERVFAIL or so")
        return self.answers[name]

    def changed(self, host):
        self.events.append(("changed", host.key))

    def removed(self, host):
        self.events.append(("removed", host.key))

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)

    async def advance(self, seconds):
        """Time passes, in as many steps as somebody wakes up."""
        until = self.now + seconds
        while True:
            await self.settle()
            self.sleeping = [(at, over) for at, over in self.sleeping if not over.done()]
            due = min(self.sleeping, default=None, key=lambda each: each[0])
            if due is None or due[0] > until:
                break
            self.now = due[0]
            due[1].set_result(None)
        self.now = until

    async def known(self, where=WHERE) -> Host:
        found = self.cache.ask(where)
        return found if isinstance(found, Host) else await found


async def test_a_host_is_looked_up_once_for_all_that_wait():
    world = World()
    first, second = world.cache.ask(WHERE), world.cache.ask(WHERE)
    assert world.cache.pending == 2
    assert await first is await second
    await world.settle()
    assert world.cache.pending == 0
    assert world.asked["a.test"] == 1
    assert world.cache.ask(WHERE).addresses == ("10.0.0.1",)
    assert world.events == [("changed", "a.test:80")]


async def test_ports_are_hosts_of_their_own():
    world = World()
    await world.known()
    await world.known(Address("a.test", 81))
    assert world.cache.counts.num_hosts == 2


async def test_who_leaves_does_not_wait_any_more():
    world = World()
    world.held = asyncio.Event()
    waiting = world.cache.ask(WHERE)
    waiting.cancel()
    await world.settle()
    assert world.cache.pending == 0
    world.held.set()
    await world.settle()
    assert world.cache.ask(WHERE).known


async def test_no_more_wait_than_may():
    world = World(max_pending=1)
    world.held = asyncio.Event()
    waiting = world.cache.ask(WHERE)
    assert world.cache.ask(WHERE) is world.cache.ask(Address("b.test", 80)) is Refused.PENDING
    assert world.cache.counts.dns_rq_pending_overflow == 2
    world.held.set()
    await waiting
    await world.settle()
    assert isinstance(world.cache.ask(WHERE), Host)


async def test_a_full_cache_answers_for_the_hosts_it_has():
    world = World(max_hosts=1)
    await world.known()
    assert world.cache.ask(Address("b.test", 80)) is Refused.FULL
    assert isinstance(world.cache.ask(WHERE), Host)
    assert world.cache.counts.host_overflow == 1


async def test_the_time_to_live_says_when_a_host_is_looked_up_again():
    world = World()
    await world.known()
    await world.advance(29)
    assert world.asked["a.test"] == 1
    await world.advance(1)
    assert world.asked["a.test"] == 2


async def test_short_times_to_live_are_stretched():
    world = World(min_refresh=10.0)
    world.answers["a.test"] = Answer(("10.0.0.1",), 1.0)
    await world.known()
    await world.advance(9)
    assert world.asked["a.test"] == 1
    await world.advance(1)
    assert world.asked["a.test"] == 2


async def test_changed_addresses_are_told_and_turned_ones_are_not():
    world = World()
    world.answers["a.test"] = Answer(("10.0.0.1", "10.0.0.2"), 5.0)
    await world.known()
    world.answers["a.test"] = Answer(("10.0.0.2", "10.0.0.1"), 5.0)
    await world.advance(5)
    assert len(world.events) == 1
    world.answers["a.test"] = Answer(("10.0.0.3",), 5.0)
    await world.advance(5)
    assert len(world.events) == 2
    assert world.cache.counts.host_address_changed == 2


@pytest.mark.parametrize("answer", [None, Answer()])
async def test_a_look_up_that_finds_nothing_takes_nothing_away(answer):
    world = World()
    host = await world.known()
    world.answers = {} if answer is None else {"a.test": answer}
    await world.advance(30)
    assert world.asked["a.test"] == 2
    assert host.addresses == ("10.0.0.1",)


async def test_what_was_not_found_is_known_until_the_refresh_rate_is_over():
    world = World(refresh=20.0)
    world.answers = {}
    host = await world.known()
    assert host.details == "dns_resolution_failure{SERVFAIL_or_so}"
    assert await world.known() is host
    assert world.asked["a.test"] == 1
    world.answers["a.test"] = Answer(("10.0.0.1",))
    await world.advance(20)
    assert host.addresses == ("10.0.0.1",)
    assert world.events == [("changed", "a.test:80")]


async def test_failures_have_a_back_off_of_their_own():
    world = World(failure_base=1.0, failure_max=2.0, refresh=60.0)
    world.answers = {}
    await world.known()
    await world.advance(20)
    assert world.asked["a.test"] > 8


async def test_a_failed_host_may_be_looked_up_when_it_is_asked_for_again():
    world = World(refreshes_failed=False, refresh=1.0)
    world.answers = {}
    await world.known()
    await world.advance(30)
    assert world.asked["a.test"] == 1
    world.answers["a.test"] = Answer(("10.0.0.1",))
    assert (await world.known()).addresses == ("10.0.0.1",)
    assert world.asked["a.test"] == 2


async def test_a_host_that_nothing_is_sent_to_is_forgotten():
    world = World(host_ttl=100.0)
    await world.known()
    await world.advance(80)
    world.cache.touch("a.test:80")
    await world.advance(90)
    assert world.cache.hosts
    await world.advance(60)
    assert not world.cache.hosts
    assert world.events[-1] == ("removed", "a.test:80")
    assert (world.cache.counts.host_removed, world.cache.counts.num_hosts) == (1, 0)


async def test_a_cache_that_no_cluster_follows_is_empty():
    world = World()
    world.held = asyncio.Event()
    waiting = world.cache.ask(WHERE)
    world.cache.leave(world)
    assert not (await waiting).addresses
    assert not world.cache.hosts


async def test_hosts_can_be_looked_up_before_anybody_asks():
    world = World(preresolved=(("a.test", 80),))
    await world.settle()
    assert isinstance(world.cache.ask(WHERE), Host)


async def test_a_look_up_that_takes_too_long_has_failed():
    world = World(query_timeout=0.01)
    world.held = asyncio.Event()
    host = await world.known()
    assert host.details == "dns_resolution_failure{resolve_timeout}"
    assert world.cache.counts.dns_query_timeout == world.cache.counts.dns_query_failure == 1


@pytest.mark.parametrize("name", ["", "a..test", "a" * 64 + ".test", "a b", "sch\xf6n.test", "a.test:1", "a/b", ".".join(["a" * 60] * 5)])
async def test_what_is_no_name_is_not_looked_up(name):
    world = World()
    host = await world.known(Address(name, 80))
    assert host.why == "misformatted name"
    assert not world.asked


@pytest.mark.parametrize(
    ("family", "name", "found"),
    [
        (Family.V4_ONLY, "10.0.0.9", ("10.0.0.9",)),
        (Family.V4_ONLY, "fd00::1", ()),
        (Family.AUTO, "fd00::1", ("fd00::1",)),
        (Family.V6_ONLY, "10.0.0.9", ()),
    ],
)
async def test_addresses_stand_for_themselves(family, name, found):
    world = World(family=family)
    assert (await world.known(Address(name, 80))).addresses == found
    assert not world.asked


async def test_one_name_means_one_cache_and_one_configuration():
    caches = DnsCaches()
    known = caches.of(DnsCacheConfig(name="c"))
    assert caches.of(DnsCacheConfig(name="c")) is known
    assert caches.of(DnsCacheConfig(name="d")) is not known
    with pytest.raises(ConfigError, match="'c' is in use with different settings"):
        caches.of(DnsCacheConfig(name="c", max_hosts=1))
    del known
    assert caches.of(DnsCacheConfig(name="c", max_hosts=1)).config.max_hosts == 1


async def test_the_systems_addresses_are_used_for_a_minute():
    cache = DnsCaches().of(DnsCacheConfig(name="c", family=Family.V4_ONLY))
    assert await cache._make_find()("localhost") == Answer(("127.0.0.1",), UNTOLD_TTL)
