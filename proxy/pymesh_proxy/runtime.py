"""The process's world: what connections reach for on their way (clusters, routes, secrets, time), in one place per event loop."""

import asyncio
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any
from weakref import WeakValueDictionary

from .dns_proxy.counts import DnsCounts
from .filters.counts import Tallies
from .http.options import HttpStats
from .http.route_slot import RouteSlot
from .listener.manager import Listeners
from .route.table import RouteTable
from .tls.secrets import Secrets
from .upstream.dns_cache import DnsCaches
from .upstream.manager import Clusters, Pools
from .wheel import Wheel


class Routes:
    """Route tables by RDS name. A slot lives as long as a listener holds it, be it one that is drained or not yet in use."""

    __slots__ = ("_slots",)

    def __init__(self) -> None:
        self._slots: WeakValueDictionary[str, RouteSlot] = WeakValueDictionary()

    def __iter__(self) -> Iterator[RouteSlot]:
        return iter(list(self._slots.values()))

    def slot(self, name: str) -> RouteSlot:
        """The slot of a name, made if need be; whoever wants its tables keeps it."""
        return self._slots.setdefault(name, RouteSlot(name))

    def put(self, table: RouteTable) -> None:
        """Swap a table; requests routed from now on see the new one. Without a slot there is nobody to see it."""
        if (slot := self._slots.get(table.name)) is not None:
            slot.table = table


class Runtime:
    """Everything that listeners and clusters of one worker share."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, node: Any = None, concurrency: int = 1) -> None:
        self.loop = loop
        self.node = node
        self.concurrency = concurrency
        self.started_wall = time.time()
        self.wheel = Wheel(loop)
        self.secrets = Secrets()
        self.clusters = Clusters(self)
        self.pools = Pools(self)
        self.routes = Routes()
        self.listeners = Listeners(self)
        self.dns_caches = DnsCaches(loop.time, self.sleep, lambda: self.clusters.name_servers)
        self.filter_counts = Tallies()
        self.dns: DnsCounts | None = None
        """Of a sidecar that answers its application's DNS queries."""
        self._http_stats: dict[str, HttpStats] = {}
        self._date = (0, b"")

    def http_stats(self, prefix: str) -> HttpStats:
        """The counters of a stat prefix, shared by every manager that names it."""
        return self._http_stats.setdefault(prefix, HttpStats(prefix=prefix))

    @property
    def all_http_stats(self) -> list[HttpStats]:
        return list(self._http_stats.values())

    async def sleep(self, seconds: float) -> None:
        """Wait in loop time; nothing is left of it when the waiting task is cancelled."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.loop.call_later(seconds, _wake, over)
        try:
            await over
        finally:
            timer.cancel()

    def date(self) -> bytes:
        """The Date header's value, formatted once a second."""
        now = int(time.time())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]


def _wake(sleeper: "asyncio.Future[None]") -> None:
    if not sleeper.done():
        sleeper.set_result(None)
