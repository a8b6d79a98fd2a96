"""The TCP proxy filter: choose a cluster, connect (trying again within max_connect_attempts), then relay."""

import asyncio
import random
import time
from typing import TYPE_CHECKING, cast

from pymesh.address import Address, of_authority
from pymesh.tasks import spawn

from ..errors import Cause
from ..http.exchange import Downstream
from ..route.hashing import ip_hash
from ..tls.layer import TlsLayer
from ..upstream.dial import DialFailed, dial
from ..upstream.dns_cache import Refused
from ..wheel import NEVER
from .config import SniLookup, TcpOptions
from .post_tunnel import PostTunnel
from .relay import Relay
from .session import Phase, Session
from .tunnel import HttpTunnel, TunnelOptions

if TYPE_CHECKING:
    from ..listener.scope import Scope
    from ..runtime import Runtime
    from ..upstream.cluster import Cluster
    from ..upstream.dynamic_hosts import DynamicHosts
    from ..upstream.endpoint import Endpoint


_LOGGED = {"UC": "UR", "DT": "DT"}
"""Of the ends that a relay tells, those that Envoy's log shows for TCP, and how: a client that leaves is nothing special."""


class _Upstream(asyncio.Protocol):
    """Holds what the upstream says between its connection and the relay: server-first protocols speak at once."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.early = b""
        self.ended = False
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self.early += data
        if self.transport is not None:
            self.transport.pause_reading()  # again: uvloop begins to read after connection_made whatever was said in it

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class TcpConnection(asyncio.Protocol):
    """A client's connection until it is joined with an upstream's."""

    def __init__(self, runtime: "Runtime", options: TcpOptions, scope: "Scope", facts: Downstream) -> None:
        self._runtime = runtime
        self._options = options
        self._scope = scope
        self._early = b""
        self._ended = False
        """The client has sent its FIN before there was someone to pass it on to."""
        self._lost = False
        self._relay: Relay | None = None
        self.session = Session(downstream=facts, started=time.monotonic(), started_wall=time.time())
        self._tunnel: HttpTunnel | None = None
        self._ends = self._log_at = NEVER
        """Loop times at which the connection has lasted long enough, and at which logs have another line."""
        self.deadline = self.wake = NEVER

    def __repr__(self) -> str:
        return f"<TcpConnection {self.session.downstream.remote_address} {self.session.phase.name}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        limit = self._scope.buffer_limit
        self._transport.set_write_buffer_limits(high=limit, low=limit // 2)
        self._scope.add(self)
        self._observe()
        self._transport.pause_reading()  # nothing is read from the client before there is someone to give it to
        if self._options.tunnel is not None and self._options.lookup is None:
            self._open_tunnel(self._options.tunnel)
            return
        spawn(self._open(), name=f"tcp {self.session.downstream.remote_address}")

    def data_received(self, data: bytes) -> None:
        self._early += data
        self._transport.pause_reading()  # again: uvloop begins to read after connection_made whatever was said in it

    def eof_received(self) -> bool:
        self._ended = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if not self.session.flags:
            self.session.flag("DC")
        if self._tunnel is not None and self._relay is None:
            self._tunnel.client_left()
        self._end()

    async def _open(self) -> None:
        """Find an upstream and join; every way to fail closes the client's connection and says why in the session."""
        session = self.session
        if self._options.lookup is not None and not await self._know_host(self._options.lookup):
            return
        if self._options.tunnel is not None:
            self._open_tunnel(self._options.tunnel)
            return
        session.cluster_name = self._options.choose(random.getrandbits(32))
        for _ in range(self._options.max_connect_attempts):
            if await self._attempt() or self._lost:
                return
            session.flag("UF")
        if session.cluster is not None:
            session.cluster.upstream_cx_connect_attempts_exceeded += 1
        self._fail("URX", "upstream_connection_failure")

    async def _attempt(self) -> bool:
        """One try, at what the cluster is now: it may have been replaced since the last one. False if there may be another."""
        session = self.session
        cluster = session.cluster = self._runtime.clusters.get(session.cluster_name)
        if cluster is None:
            session.cluster_name = ""
            self._fail("NC", "cluster_not_found")
            return True
        endpoint = self._pick(cluster)
        if endpoint is None:
            self._fail("UH", "no_healthy_upstream")
            return True
        if not cluster.breaker.admits_connection(endpoint.cx_active):  # not even one: nobody waits for another to end
            cluster.upstream_cx_overflow += 1
            self._fail("UO", "overflow")
            return True
        return await self._dial(cluster, endpoint)

    async def _know_host(self, lookup: SniLookup) -> bool:
        """Wait until the server's name has been looked up, with whatever result; False if the connection has ended instead."""
        name = self.session.downstream.sni
        if not name:
            return True
        verdict = lookup.cache.ask(of_authority(name, lookup.port))
        if isinstance(verdict, Refused):
            self._end()  # as in Envoy, the log does not say why
            self._transport.abort()
            return False
        if isinstance(verdict, asyncio.Future):
            await verdict
        return not self._lost

    def _open_tunnel(self, options: TunnelOptions) -> None:
        facts = self.session.downstream
        kind = PostTunnel if options.post_path else HttpTunnel
        self._tunnel = tunnel = kind(self._runtime, options, facts, opened=self._tunnelled, failed=self._not_tunnelled)
        tunnel.open()

    def _tunnelled(self, upstream: asyncio.Transport, early: bytes) -> None:
        self._tell_upstream()
        heard = _Upstream()
        heard.early = early
        self._join(upstream, heard)

    def _not_tunnelled(self) -> None:
        if self._lost:
            return
        self._tell_upstream()
        exchange = self._tunnel.exchange if self._tunnel is not None else None
        flags = exchange.flags.split(",") if exchange is not None and exchange.flags else ["UF"]
        self.session.flag(*flags, *(["URX"] if "UF" in flags else []))
        self.session.details = exchange.details if exchange is not None else ""
        self._transport.abort()

    def _tell_upstream(self) -> None:
        """What the CONNECT's exchange knows of its upstream is what the session's log tells."""
        if self._tunnel is None:
            return
        session, exchange = self.session, self._tunnel.exchange
        session.cluster, session.cluster_name, session.endpoint = exchange.cluster, exchange.cluster_name, exchange.endpoint
        session.upstream_local_address, session.upstream_failure = exchange.upstream_local_address, exchange.upstream_failure

    def _pick(self, cluster: "Cluster") -> "Endpoint | None":
        if cluster.hosts is not None:
            return self._named(cluster.hosts)
        if cluster.per_request:
            return self._runtime.clusters.original_destination(cluster, self.session.downstream.restored_destination)
        key = ip_hash(self.session.downstream.remote_address) if self._options.hashes_source else None
        return cluster.pick(key=key)

    def _named(self, hosts: "DynamicHosts") -> "Endpoint | None":
        """The endpoint of the server name; one that nobody has looked up yet is found by later connections, as in Envoy."""
        name = self.session.downstream.sni
        port = self._options.lookup.port if self._options.lookup is not None else 0
        endpoint = hosts.find(name, port) if name else None
        if endpoint is None and name:
            hosts.look_up(name, port)
        return endpoint

    async def _dial(self, cluster: "Cluster", endpoint: "Endpoint") -> bool:
        session = self.session
        upstream = _Upstream()
        cluster.breaker.connections += 1
        cluster.upstream_cx_total += 1
        endpoint.cx_active += 1
        endpoint.cx_total += 1
        session.endpoint = endpoint
        try:
            await dial(self._runtime, cluster, endpoint, upstream, session.downstream)
        except DialFailed as failed:
            self._uncount(cluster, endpoint)
            if endpoint.watch is not None:
                endpoint.watch.failed(failed.cause)
            endpoint.cx_connect_fail += 1
            cluster.upstream_cx_connect_fail += 1
            if failed.cause is Cause.CONNECT_TIMEOUT:
                cluster.upstream_cx_connect_timeout += 1
            else:
                session.upstream_failure = failed.reason
            return False
        assert upstream.transport is not None
        if endpoint.watch is not None:
            endpoint.watch.joined()
        if self._lost or upstream.lost:
            upstream.transport.abort()
            self._uncount(cluster, endpoint)
            return self._lost
        self._join(upstream.transport, upstream)
        return True

    def _uncount(self, cluster: "Cluster", endpoint: "Endpoint") -> None:
        cluster.breaker.connections -= 1
        endpoint.cx_active -= 1
        cluster.upstream_cx_destroy += 1

    def _join(self, upstream: asyncio.Transport, heard: _Upstream) -> None:
        session = self.session
        name = upstream.get_extra_info("sockname")
        session.upstream_local_address = str(Address(name[0], name[1])) if isinstance(name, tuple) else ""
        session.upstream_peer = upstream.peer if isinstance(upstream, TlsLayer) else None
        if session.endpoint is not None and self._tunnel is None:
            session.endpoint.rq_active += 1  # a connection is what least-request balancing has to go by (Envoy's streams of TCP pools)
            session.endpoint.rq_total += 1
        limit = session.cluster.config.buffer_limit if session.cluster else self._scope.buffer_limit
        upstream.set_write_buffer_limits(high=limit, low=limit // 2)
        self._relay = Relay(self._runtime, idle_timeout=self._options.idle_timeout, count=self, on_end=self._relay_ended)
        self._keep_time(self._runtime.loop.time())
        held, self._early = self._early, b""
        self._relay.join(
            self._transport,
            upstream,
            to_client=heard.early,
            to_upstream=held,
            client_ended=self._ended,
            upstream_ended=heard.ended,
        )

    def on_relayed(self, *, received: int = 0, sent: int = 0) -> None:
        """The relay moved bytes."""
        session = self.session
        session.bytes_received += received
        session.bytes_sent += sent
        cluster = session.cluster
        if cluster is not None:
            cluster.upstream_cx_tx_bytes_total += received
            cluster.upstream_cx_rx_bytes_total += sent

    def _keep_time(self, now: float) -> None:
        """The upstream is connected: from here on the connection's length counts, and logs have their lines."""
        options = self._options
        if options.max_duration:
            self._ends = now + options.max_duration
        if options.log_interval:
            self._log_at = now + options.log_interval
        if options.log_connected:
            self._log("TcpUpstreamConnected")
        self._rearm()

    def _rearm(self) -> None:
        deadline = min(self._ends, self._log_at)
        if deadline != NEVER:
            self._runtime.wheel.arm(self, deadline)

    def on_deadline(self, now: float) -> None:
        """max_downstream_connection_duration is over, or it is time for another line."""
        if self._relay is None:
            return
        if now >= self._ends:
            self._relay.close("DT")
            return
        if now >= self._log_at:
            self._log_at = now + self._options.log_interval
            self._log("TcpPeriodic")
        self._rearm()

    def _log(self, kind: str) -> None:
        self.session.log_type = kind
        for log in self._options.logs:
            log(self.session)
        self.session.log_type = ""

    def _relay_ended(self, flags: str) -> None:
        session = self.session
        if self._tunnel is not None:
            self._tunnel.ended(flags)
        elif session.cluster is not None and session.endpoint is not None:
            self._uncount(session.cluster, session.endpoint)
            session.endpoint.rq_active -= 1
        if flags in _LOGGED:
            session.flag(_LOGGED[flags])
        self._end()

    def _fail(self, flag: str, details: str) -> None:
        self.session.flag(flag)
        self.session.details = details
        self._transport.abort()

    def _end(self) -> None:
        session = self.session
        if session.phase is Phase.CLOSED:
            return
        self._runtime.wheel.arm(self, NEVER)
        session.ended = time.monotonic()
        session.phase = Phase.CLOSED
        self._scope.discard(self)
        self._observe()

    def _observe(self) -> None:
        for observe in self._options.observers:
            observe(self.session)

    def drain(self) -> None:
        """A tunnel cannot be told to end politely; it lives until the drain time is over."""
