"""Clusters whose endpoints are names: each name is looked up again and again, with its last good answer kept through failures."""

import asyncio
import logging
import random
from dataclasses import replace

from pymesh.address import is_ip

from ..discovery.backoff import Backoff
from .cluster import Cluster
from .config import EndpointConfig
from .dns_config import DnsConfig
from .lookup import Lookup, LookupFailed, lookup

_log = logging.getLogger("pymesh.proxy.dns")


class Target:
    """One configured endpoint and the addresses that its name stands for now."""

    def __init__(self, endpoint: EndpointConfig, config: DnsConfig, find: Lookup) -> None:
        self._endpoint = endpoint
        self._config = config
        self._find = find
        self._failures = Backoff(config.failure_base, config.failure_max) if config.failure_base else None
        self.is_name = not (endpoint.host.startswith("/") or is_ip(endpoint.host))
        self.answered = not self.is_name
        self.endpoints: tuple[EndpointConfig, ...] = () if self.is_name else (endpoint,)

    async def refresh(self) -> float:
        """Look the name up; the seconds until it is to be done again."""
        config = self._config
        try:
            answer = await self._find(self._endpoint.host)
        except LookupFailed as failed:
            _log.warning("cannot resolve %s: %s", self._endpoint.host, failed)
            return self._failures.next() if self._failures is not None else config.refresh
        if self._failures is not None:
            self._failures.reset()
        self.answered = True
        self.endpoints = self._at(answer.addresses)
        seconds = answer.ttl if config.respect_ttl and answer.ttl else config.refresh
        return seconds + random.random() * config.jitter

    def _at(self, addresses: tuple[str, ...]) -> tuple[EndpointConfig, ...]:
        endpoint = replace(self._endpoint, hostname=self._endpoint.hostname or self._endpoint.host)
        if not self._config.one_endpoint:
            return tuple(replace(endpoint, host=address) for address in addresses)
        if not addresses:
            return self.endpoints  # one that is there stays there: it has nowhere else to go, as in Envoy
        others = tuple((address, endpoint.port) for address in addresses[1:])
        return (replace(endpoint, host=addresses[0], additional_addresses=others),)


class Resolver:
    """Keeps the endpoints of one STRICT_DNS or LOGICAL_DNS cluster fresh."""

    def __init__(self, cluster: Cluster, find: Lookup | None = None) -> None:
        config = cluster.config
        assert config.assignment is not None
        self.cluster = cluster
        self._assignment = config.assignment
        self._targets = [Target(endpoint, config.dns, find or lookup(config.dns)) for endpoint in config.assignment.endpoints]
        self.first = asyncio.Event()
        """Set when one name has been looked up for the first time, with whatever result: the cluster is warm."""

    async def run(self) -> None:
        """Look up all names, each in its own time, for as long as the cluster lives."""
        named = [target for target in self._targets if target.is_name]
        if len(named) < len(self._targets):
            self._take()
        if not named:
            self.first.set()
        async with asyncio.TaskGroup() as group:
            for target in named:
                group.create_task(self._follow(target))

    async def _follow(self, target: Target) -> None:
        while True:
            pause = await target.refresh()
            if target.answered:  # else the endpoints of a cluster's former version, if there was one, go on serving
                self._take()
            self.first.set()
            await asyncio.sleep(pause)

    def _take(self) -> None:
        """Give the cluster what its names stand for now, if that has changed."""
        found: dict[str, EndpointConfig] = {}
        for target in self._targets:
            for endpoint in target.endpoints:
                found.setdefault(endpoint.address, endpoint)
        endpoints = tuple(found.values())
        former = self.cluster.assignment
        if former is None or set(former.endpoints) != set(endpoints):
            for gone in self.cluster.assign(replace(self._assignment, endpoints=endpoints)):
                gone.leave_connections()
