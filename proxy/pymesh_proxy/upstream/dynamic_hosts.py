"""The endpoints of a dynamic forward proxy's cluster: one for each host of its cache, and requests say by name which they want."""

import asyncio
from typing import TYPE_CHECKING

from pymesh.address import of_authority

from .config import EndpointConfig
from .dns_cache import DnsCache, Host, Refused
from .endpoint import Endpoint, Standing

if TYPE_CHECKING:
    from .cluster import Cluster

_DETAILS = {Refused.FULL: "dns_cache_overflow", Refused.PENDING: "dns_cache_pending_requests_overflow"}
"""Envoy's response code details where the cluster has to look a host up itself."""


class DynamicHosts:
    """Beside a cluster as long as that serves."""

    def __init__(self, cluster: "Cluster", cache: DnsCache) -> None:
        self._cluster = cluster
        self._cache = cache
        self._endpoints: dict[str, Endpoint] = {}
        self.port = 80 if cluster.tls_for(EndpointConfig(host="", port=0)) is None else 443
        """Where names say none."""

    def __repr__(self) -> str:
        return f"<DynamicHosts of {self._cluster.config.name} {len(self._endpoints)}>"

    def begin(self) -> None:
        """The cluster serves."""
        self._cache.follow(self)
        for host in self._cache.hosts.values():
            if host.addresses:
                self._endpoints[host.key] = self._endpoint(host)
        self._cluster.hold(list(self._endpoints.values()))

    def end(self) -> None:
        """It does not any more."""
        self._cache.leave(self)

    def changed(self, host: Host) -> None:
        """A host has addresses, or others than before: connections that stand stay, as in Envoy."""
        endpoint = self._endpoints.get(host.key)
        if endpoint is not None:
            endpoint.move(_config(host))
            return
        self._endpoints[host.key] = self._endpoint(host)
        self._cluster.hold(list(self._endpoints.values()))

    def removed(self, host: Host) -> None:
        """A host is forgotten."""
        endpoint = self._endpoints.pop(host.key, None)
        if endpoint is not None:
            endpoint.leave_connections()
            self._cluster.hold(list(self._endpoints.values()))

    def _endpoint(self, host: Host) -> Endpoint:
        config = _config(host)
        return Endpoint(config, self._cluster.tls_for(config))

    def find(self, authority: str, port: int = 0) -> Endpoint | None:
        """The endpoint of a host, `port` being its port if the name says none; None if it has no addresses or is not well."""
        key = str(of_authority(authority, port or self.port))
        endpoint = self._endpoints.get(key)
        if endpoint is None or endpoint.standing is Standing.UNHEALTHY:
            return None
        self._cache.touch(key)
        return endpoint

    def look_up(self, authority: str, port: int = 0) -> "asyncio.Future[Host] | str":
        """Begin to look up a host that was not found: what to wait for, or Envoy's details of why there is no endpoint; empty for a host
        that has addresses and is not well."""
        where = of_authority(authority, port or self.port)
        if not where.host:
            return "empty_host_header"
        verdict = self._cache.ask(where)
        if isinstance(verdict, Refused):
            return _DETAILS[verdict]
        if isinstance(verdict, Host):
            return "" if verdict.addresses else verdict.details
        return verdict


def _config(host: Host) -> EndpointConfig:
    first, *others = host.addresses
    further = tuple((address, host.port) for address in others)
    return EndpointConfig(host=first, port=host.port, hostname=host.key, additional_addresses=further)
