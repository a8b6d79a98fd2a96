"""Hosts that requests name (Envoy's dynamic forward proxy): each is looked up when it is first asked for, and kept fresh while it is used.

A cache may be shared by clusters and by the filters in front of them; who names the same cache means the same one.
"""

import asyncio
import enum
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, fields
from typing import Protocol
from weakref import WeakValueDictionary

from pymesh.address import Address, is_ip
from pymesh.tasks import spawn

from ..discovery.backoff import Backoff
from ..errors import ConfigError, Problem
from .dns_config import DnsCacheConfig, DnsConfig, NameServers
from .lookup import Answer, Lookup, LookupFailed, chosen, lookup

_log = logging.getLogger("pymesh.proxy.dns")

UNTOLD_TTL = 60.0
"""Seconds for which addresses are used when nobody tells their time to live: those of the system's resolver, as in Envoy."""

_NAME = re.compile(r"(?=.{1,254}$)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


@dataclass(slots=True)
class DnsCacheCounts:
    """`dns_cache.<name>.*`; `num_hosts` is a gauge."""

    dns_query_attempt: int = 0
    dns_query_success: int = 0
    dns_query_failure: int = 0
    dns_query_timeout: int = 0
    dns_rq_pending_overflow: int = 0
    host_added: int = 0
    host_removed: int = 0
    host_address_changed: int = 0
    host_overflow: int = 0
    num_hosts: int = 0

    def reset(self) -> None:
        """Set every counter to zero."""
        for one in fields(self):
            if one.name != "num_hosts":
                setattr(self, one.name, 0)


class Refused(enum.Enum):
    """Why a host is not even looked up."""

    FULL = "the cache holds as many hosts as it may"
    PENDING = "as many wait for look-ups as may"


class Host:
    """One host of a cache, and what its name stands for now."""

    __slots__ = ("addresses", "failed", "key", "known", "name", "port", "task", "used", "waiting", "why")

    def __init__(self, where: Address, used: float) -> None:
        self.key = str(where)
        self.name = where.host
        self.port = where.port
        self.addresses: tuple[str, ...] = ()
        """The last that were found: a look-up that fails takes nothing away."""
        self.known = False
        """Whether it has been looked up, with whatever result."""
        self.failed = False
        """Whether the last look-up had no answer."""
        self.why = ""
        """Why there are no addresses."""
        self.used = used
        """When something was sent to it last, or it was added."""
        self.waiting: list[asyncio.Future[Host]] = []
        self.task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Host {self.key} {' '.join(self.addresses) or self.why or 'not looked up yet'}>"

    @property
    def details(self) -> str:
        """Envoy's response code details where there are no addresses."""
        return f"dns_resolution_failure{{{'_'.join(self.why.split())}}}"


class Follower(Protocol):
    """A cluster that makes endpoints of a cache's hosts."""

    def changed(self, host: Host) -> None:
        """A host has addresses, or others than before."""

    def removed(self, host: Host) -> None:
        """A host is forgotten."""


class DnsCache:
    """One cache. Its hosts are forgotten when no cluster follows it any more."""

    def __init__(
        self, config: DnsCacheConfig, find: Callable[[], Lookup], clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        """`find` makes the look-up when it is first needed; `clock` and `sleep` are in seconds."""
        self.config = config
        self.hosts: dict[str, Host] = {}
        self.pending = 0
        self.counts = DnsCacheCounts()
        self._followers: list[Follower] = []
        self._make_find = find
        self._find: Lookup | None = None
        self._clock = clock
        self._sleep = sleep

    def __repr__(self) -> str:
        return f"<DnsCache {self.config.name} hosts={len(self.hosts)} pending={self.pending}>"

    def follow(self, follower: Follower) -> None:
        """Tell a cluster of every host from now on; those that are known it finds in `hosts`."""
        self._followers.append(follower)
        for name, port in self.config.preresolved:
            where = Address(name, port)
            if str(where) not in self.hosts:
                self._add(where)

    def leave(self, follower: Follower) -> None:
        """The cluster is gone."""
        if follower in self._followers:
            self._followers.remove(follower)
        if not self._followers:
            for host in list(self.hosts.values()):
                self._remove(host)

    def ask(self, where: Address) -> "Host | Refused | asyncio.Future[Host]":
        """The host at once if it has been looked up before; else what to wait for, or why it is not looked up."""
        if self.pending >= self.config.max_pending:  # before anything else, as in Envoy
            self.counts.dns_rq_pending_overflow += 1
            return Refused.PENDING
        host = self.hosts.get(str(where))
        stale = host is not None and host.failed and not self.config.refreshes_failed
        if host is not None and host.known and not stale:
            return host
        if len(self.hosts) >= self.config.max_hosts:
            self.counts.host_overflow += 1
            return Refused.FULL
        if host is not None and host.known:
            self._remove(host)
            host = None
        return self._wait(host or self._add(where))

    def _wait(self, host: Host) -> "asyncio.Future[Host]":
        waiting: asyncio.Future[Host] = asyncio.get_running_loop().create_future()
        self.pending += 1
        waiting.add_done_callback(self._waited)
        host.waiting.append(waiting)
        return waiting

    def _waited(self, _: "asyncio.Future[Host]") -> None:
        self.pending -= 1

    def touch(self, key: str) -> None:
        """Something is sent to a host."""
        host = self.hosts.get(key)
        if host is not None:
            host.used = self._clock()

    def _add(self, where: Address) -> Host:
        host = self.hosts[str(where)] = Host(where, self._clock())
        self.counts.host_added += 1
        self.counts.num_hosts += 1
        host.task = spawn(self._keep(host), name=f"dns cache {self.config.name}: {host.key}")
        return host

    def _remove(self, host: Host) -> None:
        del self.hosts[host.key]
        self.counts.host_removed += 1
        self.counts.num_hosts -= 1
        if host.task is not None:
            host.task.cancel()
        if host.addresses:
            for follower in self._followers:
                follower.removed(host)
        host.why = host.why or "host removed"
        _release(host)

    async def _keep(self, host: Host) -> None:
        """Look a host up, again and again, until nobody has used it for a while."""
        config = self.config
        failures = Backoff(config.failure_base, config.failure_max) if config.failure_base else None
        while True:
            await self._sleep(await self._refresh(host, failures))
            if self._clock() - host.used > config.host_ttl:
                break
        host.task = None
        self._remove(host)

    async def _refresh(self, host: Host, failures: Backoff | None) -> float:
        """Look a host up; the seconds until that is to be done again."""
        config, counts = self.config, self.counts
        counts.dns_query_attempt += 1
        try:
            answer = await self._look_up(host.name)
        except LookupFailed as failed:
            counts.dns_query_failure += 1
            self._settle(host, (), str(failed), failed=True)
            if not config.refreshes_failed:
                return config.host_ttl
            return failures.next() if failures is not None else config.refresh
        counts.dns_query_success += 1
        if failures is not None:
            failures.reset()
        self._settle(host, answer.addresses, "no records", failed=False)
        return max(config.min_refresh, answer.ttl) if answer.addresses else config.refresh

    async def _look_up(self, name: str) -> Answer:
        """The addresses of a name. Raises LookupFailed."""
        if is_ip(name):
            v4, v6 = ((), (name,)) if ":" in name else ((name,), ())
            return Answer(chosen(v4, v6, self.config.family), UNTOLD_TTL)
        if _NAME.fullmatch(name) is None:  # it came from a client, and says what it likes
            raise LookupFailed("misformatted name")
        if self._find is None:
            self._find = self._make_find()
        try:
            async with asyncio.timeout(self.config.query_timeout or None):
                return await self._find(name)
        except TimeoutError:
            self.counts.dns_query_timeout += 1
            raise LookupFailed("resolve timeout") from None

    def _settle(self, host: Host, addresses: tuple[str, ...], why: str, *, failed: bool) -> None:
        """What a look-up has found; those that wait for it go on."""
        host.failed = failed
        if addresses and set(addresses) != set(host.addresses):
            host.addresses = addresses
            self.counts.host_address_changed += 1
            for follower in self._followers:
                follower.changed(host)
        elif not host.addresses:
            host.why = why
            _log.warning("%s: no address for %s: %s", self.config.name, host.name, why)
        host.known = True
        _release(host)


def _release(host: Host) -> None:
    waiting, host.waiting = host.waiting, []
    for each in waiting:
        if not each.done():
            each.set_result(host)


class DnsCaches:
    """The caches of a process by name; one lives as long as a cluster or a filter means it."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        servers: Callable[[], NameServers | None] = lambda: None,
    ) -> None:
        """Both in seconds. `servers`: whom caches ask that name no servers of their own; None is the system."""
        self._clock = clock
        self._sleep = sleep
        self._servers = servers
        self._known: WeakValueDictionary[str, DnsCache] = WeakValueDictionary()

    def __iter__(self) -> Iterator[DnsCache]:
        return iter(list(self._known.values()))

    def of(self, config: DnsCacheConfig) -> DnsCache:
        """The cache of a configuration. Raises ConfigError while there is one of this name with other settings, as Envoy does."""
        known = self._known.get(config.name)
        if known is None:
            known = self._known[config.name] = DnsCache(config, lambda: self._lookup(config), self._clock, self._sleep)
        if known.config != config:
            raise ConfigError(Problem("", f"the DNS cache {config.name!r} is in use with different settings"))
        return known

    def _lookup(self, config: DnsCacheConfig) -> Lookup:
        servers = config.servers if config.servers is not None else self._servers()
        found = lookup(DnsConfig(family=config.family, servers=servers))
        return found if servers is not None else _untold(found)


def _untold(find: Lookup) -> Lookup:
    async def found(name: str) -> Answer:
        return Answer((await find(name)).addresses, UNTOLD_TTL)

    return found
