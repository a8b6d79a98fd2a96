"""The clusters of a process by name, and who keeps their endpoints fresh."""

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pymesh.tasks import spawn

from ..tls.config import UpstreamTls
from ..tls.contexts import ClientTls
from ..tls.counts import Handshakes
from .cluster import Cluster
from .config import Assignment, ClusterConfig, Discovery, EndpointConfig, UpstreamProtocol
from .dns import Resolver
from .endpoint import Endpoint
from .exclusive import ExclusivePool
from .negotiated import NegotiatedPool
from .shared import SharedPool
from .watchman import Watchman

if TYPE_CHECKING:
    from ..http.exchange import Downstream
    from ..runtime import Runtime


class Clusters:
    """Every cluster. Replacing one keeps the endpoints it knew until its own assignment arrives."""

    __slots__ = ("_by_eds_name", "_original", "_resolving", "_runtime", "by_name", "outlier_log")

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self.by_name: dict[str, Cluster] = {}
        """Read by the hot path; changed only here."""
        self._by_eds_name: dict[str, set[str]] = {}
        self._resolving: dict[str, asyncio.Task[None]] = {}
        self.outlier_log: Callable[[str], None] | None = None
        """Takes the lines of outlier detection's event log."""
        self._original: dict[tuple[str, str, int], Endpoint] = {}

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return len(self.by_name)

    def get(self, name: str) -> Cluster | None:
        return self.by_name.get(name)

    def put(self, config: ClusterConfig) -> Cluster:
        """Add or replace a cluster."""
        former = self.by_name.get(config.name)
        if former is not None and former.config == config:
            former.config = config
            return former
        handshakes = Handshakes()
        cluster = Cluster(
            config,
            self._tls(config.tls, handshakes),
            tuple((frozenset(match.labels), self._tls(match.tls, handshakes)) for match in config.transport_matches),
        )
        if config.outlier is not None:
            cluster.watchman = Watchman(cluster, self._runtime.wheel, self._runtime.loop.time, self.outlier_log)
        if config.assignment is not None and config.discovery is Discovery.STATIC:
            cluster.assign(config.assignment)
        elif former is not None and former.assignment is not None:
            cluster.assign(former.assignment)
        self._drop(config.name)
        self.by_name[config.name] = cluster
        if config.discovery is Discovery.EDS:
            self._by_eds_name.setdefault(config.eds_name or config.name, set()).add(config.name)
        if config.discovery in (Discovery.STRICT_DNS, Discovery.LOGICAL_DNS):
            self._resolving[config.name] = spawn(Resolver(cluster).run(), name=f"dns {config.name}")
        return cluster

    def _tls(self, config: UpstreamTls | None, handshakes: Handshakes) -> ClientTls | None:
        return None if config is None else ClientTls(config, self._runtime.secrets, self._runtime.wheel, handshakes)

    def remove(self, name: str) -> None:
        """Forget a cluster; exchanges under way finish."""
        self._drop(name)

    def _drop(self, name: str) -> None:
        task = self._resolving.pop(name, None)
        if task is not None:
            task.cancel()
        cluster = self.by_name.pop(name, None)
        if cluster is None:
            return
        if cluster.config.discovery is Discovery.EDS:
            self._by_eds_name[cluster.config.eds_name or name].discard(name)
        if cluster.watchman is not None:
            cluster.watchman.close()
        for endpoint in cluster.endpoints:
            endpoint.leave_connections()

    def assign(self, assignment: Assignment) -> None:
        """Give the clusters of an EDS name their endpoints."""
        for name in self._by_eds_name.get(assignment.cluster, ()):
            for endpoint in self.by_name[name].assign(assignment):
                endpoint.leave_connections()

    def original_destination(self, cluster: Cluster, destination: tuple[str, int] | None) -> Endpoint | None:
        """The endpoint of an ORIGINAL_DST cluster: wherever the client meant to go."""
        if destination is None:
            return None
        key = (cluster.config.name, *destination)
        endpoint = self._original.get(key)
        if endpoint is None:
            self._forget_unused()
            config = EndpointConfig(host=destination[0], port=destination[1])
            endpoint = self._original[key] = Endpoint(config, cluster.tls_for(config))
        return endpoint

    def _forget_unused(self) -> None:
        """Keep only destinations with a connection or a request (Envoy's cleanup_interval, done when a new one comes)."""
        if len(self._original) >= _ORIGINAL_LIMIT:
            used = {key: endpoint for key, endpoint in self._original.items() if endpoint.cx_active or endpoint.rq_active}
            self._original = used


_ORIGINAL_LIMIT = 1024
"""Original destinations remembered before those without a connection are forgotten."""


class Pools:
    """The pools of an endpoint, made when first needed."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def of(self, cluster: Cluster, endpoint: Endpoint, downstream: "Downstream", high: bool = False) -> ExclusivePool:
        """HTTP/1.1 connections; those of the request alone when the endpoint is told for whom a connection is made."""
        breaker = cluster.high_breaker if high else cluster.breaker
        if cluster.config.proxy_header is not None:
            return ExclusivePool(self._runtime, cluster, endpoint, breaker, downstream)
        pool = endpoint.high_pool if high else endpoint.pool
        if pool is None:
            pool = ExclusivePool(self._runtime, cluster, endpoint, breaker)
            if high:
                endpoint.high_pool = pool
            else:
                endpoint.pool = pool
        return pool

    def multiplexed(self, cluster: Cluster, endpoint: Endpoint, downstream: "Downstream", high: bool = False) -> SharedPool:
        """HTTP/2 connections, or such as may turn out to speak it, likewise."""
        kind = NegotiatedPool if cluster.config.protocol is UpstreamProtocol.AUTO else SharedPool
        breaker = cluster.high_breaker if high else cluster.breaker
        if cluster.config.proxy_header is not None:
            return kind(self._runtime, cluster, endpoint, breaker, downstream)
        pool = endpoint.high_streams if high else endpoint.streams
        if pool is None:
            pool = kind(self._runtime, cluster, endpoint, breaker)
            if high:
                endpoint.high_streams = pool
            else:
                endpoint.streams = pool
        return pool
