"""Clusters whose endpoints are names: resolved again and again, with the last good answer kept through failures."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pymesh.address import is_ip

from .cluster import Cluster
from .config import Assignment, Discovery, EndpointConfig

if TYPE_CHECKING:
    import dns.asyncresolver

_log = logging.getLogger("pymesh.proxy.dns")

_FAMILY = {"V4_ONLY": socket.AF_INET, "V6_ONLY": socket.AF_INET6}


async def time_to_live(name: str, kind: str, resolver: "dns.asyncresolver.Resolver | None" = None) -> float:
    """Seconds for which DNS lets the `A` or `AAAA` records of a name be used; 0 when it does not say, as for names of a hosts file.

    The addresses themselves come from the system (getaddrinfo), which knows more than DNS but tells no time.
    """
    import dns.asyncresolver  # here: a proxy without such clusters is spared its memory
    import dns.exception

    try:
        answer = await (resolver or dns.asyncresolver.Resolver()).resolve(name, kind, search=True)
    except (dns.exception.DNSException, OSError):
        return 0.0
    return float(answer.chaining_result.minimum_ttl)


class Resolver:
    """Keeps one STRICT_DNS or LOGICAL_DNS cluster's endpoints fresh."""

    def __init__(self, cluster: Cluster, ttl: Callable[[str, str], Awaitable[float]] = time_to_live) -> None:
        self._cluster = cluster
        self._ttl = ttl
        self._last: dict[tuple[str, int], list[str]] = {}

    async def run(self) -> None:
        """Resolve, assign, wait, for as long as the cluster lives."""
        while True:
            await self._refresh()
            await asyncio.sleep(await self.pause())

    async def pause(self) -> float:
        """Seconds until the next look-up: the refresh rate, or with respect_dns_ttl the shortest time to live where DNS tells one."""
        config = self._cluster.config
        if not config.respect_dns_ttl or config.assignment is None:
            return config.dns_refresh
        kind = "AAAA" if config.dns_family == "V6_ONLY" else "A"
        names = {endpoint.host for endpoint in config.assignment.endpoints if not is_ip(endpoint.host)}
        times = await asyncio.gather(*(self._ttl(name, kind) for name in names))
        return min(filter(None, times), default=config.dns_refresh)

    async def _refresh(self) -> None:
        config = self._cluster.config
        assert config.assignment is not None
        found: list[EndpointConfig] = []
        for endpoint in config.assignment.endpoints:
            addresses = await self._resolve(endpoint)
            if config.discovery is Discovery.LOGICAL_DNS:
                addresses = addresses[:1]
            hostname = endpoint.hostname or endpoint.host
            found += [replace(endpoint, host=address, hostname=hostname) for address in addresses]
        former = self._cluster.assignment
        if former is None or former.endpoints != tuple(found):
            for gone in self._cluster.assign(Assignment(cluster=config.name, endpoints=tuple(found))):
                if gone.pool is not None:
                    gone.pool.close()

    async def _resolve(self, endpoint: EndpointConfig) -> list[str]:
        key = (endpoint.host, endpoint.port)
        family = _FAMILY.get(self._cluster.config.dns_family, socket.AF_UNSPEC)
        try:
            answers = await asyncio.get_running_loop().getaddrinfo(*key, family=family, type=socket.SOCK_STREAM)
        except OSError as error:
            _log.warning("cluster %s: cannot resolve %s: %s", self._cluster.config.name, endpoint.host, error)
            return self._last.get(key, [])
        self._last[key] = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        return self._last[key]
