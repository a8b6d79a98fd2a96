"""The clusters of a process by name, and who keeps their endpoints fresh."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pymesh.address import parse
from pymesh.tasks import spawn

from ..tls.config import UpstreamTls
from ..tls.contexts import ClientTls
from ..tls.counts import Handshakes
from .cluster import Cluster
from .config import Assignment, ClusterConfig, Discovery, EndpointConfig, SourceAddress, UpstreamProtocol
from .dns import Resolver
from .dns_config import NameServers
from .dynamic_hosts import DynamicHosts
from .endpoint import Endpoint, Overridden
from .exclusive import ExclusivePool
from .host_set import HostSet
from .lookup import lookup
from .negotiated import NegotiatedPool
from .shared import SharedPool
from .watchman import Watchman
from .zones import LocalCluster, Zones

if TYPE_CHECKING:
    from ..http.exchange import Downstream
    from ..http.headers import RequestHead
    from ..runtime import Runtime
    from ..tls.override import TlsOverride


_DNS = (Discovery.STRICT_DNS, Discovery.LOGICAL_DNS)


class Clusters:
    """Every cluster. Replacing one keeps the endpoints it knew until its own assignment arrives."""

    __slots__ = (
        "_by_eds_name", "_candidates", "_original", "_original_limit", "_prepared", "_resolving", "_runtime", "_stale", "by_name", "local",
        "name_servers", "outlier_log",
    )  # fmt: skip

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self.by_name: dict[str, Cluster] = {}
        """Read by the hot path; changed only here."""
        self._by_eds_name: dict[str, set[str]] = {}
        self._candidates: dict[str, Cluster] = {}
        """Clusters whose endpoints are checked before they serve."""
        self._resolving: dict[str, asyncio.Task[None]] = {}
        self.outlier_log: Callable[[str], None] | None = None
        """Takes the lines of outlier detection's event log."""
        self.local: LocalCluster | None = None
        """The cluster of this proxy's like, where the bootstrap names one; set before any cluster is put."""
        self.name_servers: NameServers | None = None
        """Whom clusters ask that name no servers of their own; None is the system."""
        self._prepared: dict[str, tuple[Resolver, asyncio.Task[None]]] = {}
        """DNS clusters that are not in use yet, looking up their names."""
        self._stale: dict[str, asyncio.TimerHandle] = {}
        """By EDS name: when its endpoints are not to be used any more."""
        self._original: dict[tuple[str, str, int, SourceAddress | None], Endpoint] = {}
        self._original_limit = _ORIGINAL_LIMIT

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
            self._forget_prepared(config.name)  # a version in between that never served
            self._forget_candidate(config.name)
            former.config = config
            return former
        resolver = self._take_prepared(config)
        cluster = self._candidate(config) if resolver is None else resolver.cluster
        if self._candidates.get(config.name) is cluster:
            del self._candidates[config.name]
        self._forget_candidate(config.name)
        if former is not None and former.assignment is not None and cluster.assignment is None and not cluster.per_request:
            cluster.assign(former.assignment)
        if cluster.hosts is not None:
            cluster.hosts.begin()  # before the former version leaves the cache, which would be emptied
        self._drop(config.name)
        self.by_name[config.name] = cluster
        if config.discovery is Discovery.EDS:
            self._by_eds_name.setdefault(config.eds_name or config.name, set()).add(config.name)
        if config.discovery in _DNS:
            self._resolving[config.name] = self._prepared.pop(config.name)[1] if resolver else self._resolve(self._resolver(cluster))
        return cluster

    def _make(self, config: ClusterConfig) -> Cluster:
        handshakes = Handshakes()
        cluster = Cluster(
            config,
            self._tls(config.tls, handshakes),
            tuple((frozenset(match.labels), self._tls(match.tls, handshakes)) for match in config.transport_matches),
        )
        if config.outlier is not None or config.health_check is not None:
            cluster.watchman = Watchman(self._runtime, cluster, self.outlier_log)
        if self.local is not None:
            self._place(cluster, self.local)
        if config.dns_cache is not None:
            cluster.hosts = DynamicHosts(cluster, config.dns_cache)
        return cluster

    def _place(self, cluster: Cluster, local: LocalCluster) -> None:
        """Let a cluster look at zones, unless its balancing looks at keys or it is the local cluster itself."""
        if cluster.config.name == local.name:
            cluster.on_rebalance = self._callers_changed
        elif not cluster.config.balancing.by_key and not cluster.per_request:
            cluster.zones = Zones(local, cluster.config.common_lb)

    def _callers_changed(self, hosts: HostSet) -> None:
        if self.local is not None:
            self.local.hosts = hosts
        prepared = (resolver.cluster for resolver, _ in self._prepared.values())
        for cluster in (*self.by_name.values(), *self._candidates.values(), *prepared):
            if cluster.zones is not None:
                cluster.share()

    def look_up(self, config: ClusterConfig) -> asyncio.Event | None:
        """Begin to look up the names of a cluster that `put` is to follow for; set when the first answer, whatever it is, is there.

        None for a cluster that is warm without.
        """
        self._forget_prepared(config.name)
        if config.discovery not in _DNS or not config.dns.wait:
            return None
        resolver = self._resolver(self._make(config))
        self._prepared[config.name] = resolver, self._resolve(resolver)
        return resolver.first

    def _resolver(self, cluster: Cluster) -> Resolver:
        config = cluster.config.dns
        return Resolver(cluster, lookup(config if config.servers is not None else replace(config, servers=self.name_servers)))

    def _resolve(self, resolver: Resolver) -> asyncio.Task[None]:
        return spawn(resolver.run(), name=f"dns {resolver.cluster.config.name}")

    def _take_prepared(self, config: ClusterConfig) -> Resolver | None:
        """What has begun to look up the names of this very version of a cluster."""
        resolver = self._prepared[config.name][0] if config.name in self._prepared else None
        if resolver is None or resolver.cluster.config is config:
            return resolver
        self._forget_prepared(config.name)
        return None

    def _forget_prepared(self, name: str) -> None:
        resolver, task = self._prepared.pop(name, (None, None))
        if resolver is not None and task is not None:
            task.cancel()
            resolver.first.set()  # whoever waits for it sees that there is a newer version
            if resolver.cluster.watchman is not None:
                resolver.cluster.watchman.close()

    def prepare(self, config: ClusterConfig, assignment: Assignment | None, done: Callable[[], None]) -> bool:
        """Whether the endpoints of a cluster have yet to be checked before it is `put`; if so, `done` is called when they have been.

        `assignment` are the endpoints of an EDS cluster; those of a DNS cluster have been looked up, if that was to be waited for.
        """
        former = self.by_name.get(config.name)
        if config.health_check is None or (former is not None and former.config == config):
            return False
        resolver = self._take_prepared(config)
        cluster = self._candidate(config) if resolver is None else resolver.cluster
        if cluster.assignment is None and assignment is not None:
            cluster.assign(assignment)
        return cluster.watchman is not None and cluster.watchman.when_checked(done)

    def _candidate(self, config: ClusterConfig) -> Cluster:
        """The cluster of a configuration, made if need be, that does not serve yet."""
        known = self._candidates.get(config.name)
        if known is not None and known.config == config:
            return known
        self._forget_candidate(config.name)
        cluster = self._candidates[config.name] = self._make(config)
        if config.assignment is not None and config.discovery is Discovery.STATIC:
            cluster.assign(config.assignment)
        return cluster

    def _forget_candidate(self, name: str) -> None:
        candidate = self._candidates.pop(name, None)
        if candidate is not None and candidate.watchman is not None:
            candidate.watchman.close()

    def _tls(self, config: UpstreamTls | None, handshakes: Handshakes) -> ClientTls | None:
        return None if config is None else ClientTls(config, self._runtime.secrets, self._runtime.wheel, handshakes)

    def remove(self, name: str) -> None:
        """Forget a cluster; exchanges under way finish."""
        self._forget_prepared(name)
        self._forget_candidate(name)
        self._drop(name)

    def _drop(self, name: str) -> None:
        task = self._resolving.pop(name, None)
        if task is not None:
            task.cancel()
        cluster = self.by_name.pop(name, None)
        if cluster is None:
            return
        if cluster.config.discovery is Discovery.EDS:
            self._leave_eds_name(cluster.config.eds_name or name, name)
        if cluster.per_request:
            self._forget_destinations(name)
        cluster.on_rebalance = None  # what becomes of requests under way tells nothing of those that come
        if cluster.hosts is not None:
            cluster.hosts.end()
        if cluster.watchman is not None:
            cluster.watchman.close()
        for endpoint in cluster.endpoints:
            endpoint.leave_connections()

    def _leave_eds_name(self, eds_name: str, name: str) -> None:
        users = self._by_eds_name[eds_name]
        users.discard(name)
        if not users:
            del self._by_eds_name[eds_name]

    def assign(self, assignment: Assignment) -> None:
        """Give the clusters of an EDS name their endpoints, until they are stale (endpoint_stale_after)."""
        if (timer := self._stale.pop(assignment.cluster, None)) is not None:
            timer.cancel()
        if assignment.stale_after:
            self._stale[assignment.cluster] = self._runtime.loop.call_later(assignment.stale_after, self._expire, assignment.cluster)
        for name in self._by_eds_name.get(assignment.cluster, ()):
            for endpoint in self.by_name[name].assign(assignment):
                endpoint.leave_connections()

    def _expire(self, eds_name: str) -> None:
        for name in self._by_eds_name.get(eds_name, ()):
            self.by_name[name].assignment_stale += 1
        self.assign(Assignment(cluster=eds_name, endpoints=()))

    def original_destination(
        self,
        cluster: Cluster,
        destination: tuple[str, int] | None,
        head: "RequestHead | None" = None,
        source: SourceAddress | None = None,
    ) -> Endpoint | None:
        """The endpoint of an ORIGINAL_DST cluster: where its header says, or wherever the client meant to go when it was intercepted.

        With a `source` it is that client's alone, whose connections are of no use to others.
        """
        config = cluster.config.original_dst
        if config.header and head is not None and (value := head.get(config.header)) is not None:
            named = _destination(value)
            if named is None:
                cluster.original_dst_host_invalid += 1
            destination = named or destination
        if destination is None:
            return None
        host, port = destination
        key = (cluster.config.name, host, config.port or port, source)
        endpoint = self._original.get(key)
        if endpoint is None:
            self._forget_unused()
            made = EndpointConfig(host=host, port=config.port or port, source=source)
            endpoint = self._original[key] = Endpoint(made, cluster.tls_for(made))
        return endpoint

    def _forget_unused(self) -> None:
        """Keep only destinations with a connection or a request (Envoy's cleanup_interval, done when a new one comes)."""
        if len(self._original) >= self._original_limit:
            used = {key: endpoint for key, endpoint in self._original.items() if endpoint.cx_active or endpoint.rq_active}
            self._original = used
            self._original_limit = max(_ORIGINAL_LIMIT, 2 * len(used))  # or many in use would be gone through for each new one

    def _forget_destinations(self, name: str) -> None:
        """The endpoints of a cluster that serves no longer: a newer version has settings of its own."""
        for key in [key for key in self._original if key[0] == name]:
            self._original.pop(key).leave_connections()


_ORIGINAL_LIMIT = 1024
"""Original destinations remembered before those without a connection are forgotten."""


def _destination(value: bytes) -> tuple[str, int] | None:
    """IP and port of a header's value; None when it is neither."""
    try:
        address = parse(value.decode("latin-1"))
    except ValueError:
        return None
    return (address.host, address.port) if address.is_ip else None


def _is_told(cluster: Cluster, endpoint: Endpoint, downstream: "Downstream") -> bool:
    """Whether an endpoint learns for whom a connection is made: by a PROXY header, or by the address that it comes from."""
    return cluster.config.proxy_header is not None or downstream.kept_source != endpoint.config.source


def _place(endpoint: Endpoint, override: "TlsOverride | None") -> Endpoint | Overridden:
    """Where the pools of requests are; in plaintext it does not matter what they ask of TLS."""
    return endpoint if override is None or endpoint.tls is None else endpoint.asked_for(override)


class Pools:
    """The pools of an endpoint, made when first needed."""

    __slots__ = ("_runtime",)

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime

    def of(
        self, cluster: Cluster, endpoint: Endpoint, downstream: "Downstream", high: bool = False, override: "TlsOverride | None" = None
    ) -> ExclusivePool:
        """HTTP/1.1 connections; those of the request alone when the endpoint is told for whom a connection is made."""
        breaker = cluster.high_breaker if high else cluster.breaker
        if _is_told(cluster, endpoint, downstream):
            return ExclusivePool(self._runtime, cluster, endpoint, breaker, downstream, override)
        place = _place(endpoint, override)
        pool = place.high_pool if high else place.pool
        if pool is None:
            pool = ExclusivePool(self._runtime, cluster, endpoint, breaker, override=override)
            if high:
                place.high_pool = pool
            else:
                place.pool = pool
        return pool

    def multiplexed(
        self, cluster: Cluster, endpoint: Endpoint, downstream: "Downstream", high: bool = False, override: "TlsOverride | None" = None
    ) -> SharedPool:
        """HTTP/2 connections, or such as may turn out to speak it, likewise."""
        kind = NegotiatedPool if cluster.config.protocol is UpstreamProtocol.AUTO else SharedPool
        breaker = cluster.high_breaker if high else cluster.breaker
        if _is_told(cluster, endpoint, downstream):
            return kind(self._runtime, cluster, endpoint, breaker, downstream, override)
        place = _place(endpoint, override)
        pool = place.high_streams if high else place.streams
        if pool is None:
            pool = kind(self._runtime, cluster, endpoint, breaker, override=override)
            if high:
                place.high_streams = pool
            else:
                place.streams = pool
        return pool
