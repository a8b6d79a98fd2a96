"""Active health checks: one coroutine an endpoint, whose methods are the states; and the cluster's view of them all."""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from pymesh.tasks import spawn

from ..http.headers import Fields
from ..http2.settings import Http2Options
from ..tls.contexts import ClientTls
from .checkup import COUNTERS, Checkup, Outcome, State
from .dial import DialFailed, dial
from .endpoint import Endpoint
from .grpc_health import GRPC_FIELDS, GRPC_PATH, check_request, is_serving
from .health_config import IMMEDIATE, EndpointCheck, GrpcProbe, HealthCheckConfig, HttpProbe, TcpProbe
from .probes import Http1Wire, Http2Wire, ProbeAnswer, TcpWire, Wire, contains

if TYPE_CHECKING:
    from ..runtime import Runtime
    from .cluster import Cluster

_DEGRADED = b"x-envoy-degraded"
_CHECKED_CLUSTER = b"x-envoy-upstream-healthchecked-cluster"


class Target(Protocol):
    """Where a check's connection goes, and what may be said there."""

    async def check(self) -> Outcome:
        """One check, without a limit of time. Raises OSError when there is no connection, or one that breaks."""

    def hang_up(self) -> None:
        """No connection is kept."""


class _Dialler:
    """Connections for checks: the address and the TLS may be others than those of the traffic."""

    def __init__(self, runtime: "Runtime", cluster: "Cluster", endpoint: Endpoint, config: HealthCheckConfig) -> None:
        self._runtime = runtime
        self._cluster = cluster
        own = endpoint.config.check or EndpointCheck()
        reached = dataclasses.replace(
            endpoint.config,
            host=own.host or endpoint.config.host,
            port=own.port or endpoint.config.port,
            additional_addresses=() if own.host or own.port else endpoint.config.additional_addresses,
            transport_match=endpoint.config.transport_match if config.transport_match is None else config.transport_match,
        )
        tls = cluster.tls_for(reached)
        if tls is not None and config.alpn:
            tls = ClientTls(dataclasses.replace(tls.config, alpn=config.alpn), runtime.secrets, runtime.wheel, tls.handshakes)
        self._reached = Endpoint(reached, tls)
        self._timeout = config.timeout
        self.scheme = b"http" if tls is None else b"https"

    async def open(self, protocol: asyncio.Protocol) -> None:
        """Raises OSError."""
        try:
            await dial(self._runtime, self._cluster, self._reached, protocol, within=self._timeout)
        except DialFailed as failed:
            raise ConnectionError(failed.reason) from failed


class HttpTarget:
    """Checks by requests, those of gRPC's health service among them."""

    def __init__(
        self, runtime: "Runtime", cluster: "Cluster", checkup: Checkup, config: HealthCheckConfig, counts: dict[str, int]
    ) -> None:
        """`counts` are the cluster's, by Envoy's names."""
        probe = config.probe
        assert isinstance(probe, HttpProbe | GrpcProbe)
        self._loop = runtime.loop
        self._dialler = _Dialler(runtime, cluster, checkup.endpoint, config)
        self._checkup = checkup
        self._counts = counts
        self._probe = probe
        self._reuse = config.reuse
        self._wire: Wire | None = None
        own = checkup.endpoint.config.check or EndpointCheck()
        given = probe.host if isinstance(probe, HttpProbe) else probe.authority
        self._fields = self._request((own.hostname or given or cluster.config.name).encode())
        self._body = check_request(probe.service) if isinstance(probe, GrpcProbe) else b""

    def _request(self, host: bytes) -> Fields:
        probe = self._probe
        method, path = (probe.method, probe.path) if isinstance(probe, HttpProbe) else (b"POST", GRPC_PATH)
        rest: Fields = [] if isinstance(probe, HttpProbe) else [*GRPC_FIELDS]
        rest.append((b"user-agent", b"Envoy/HC"))
        if probe.add is not None:
            probe.add(rest)
        return [(b":method", method), (b":scheme", self._dialler.scheme), (b":authority", host), (b":path", path), *rest]

    async def check(self) -> Outcome:
        wire = self._wire
        if wire is None or not wire.usable:
            wire = self._wire = await self._connect()
        limit = self._probe.buffer if isinstance(self._probe, HttpProbe) else 0
        answer = await wire.ask(self._fields, self._body, limit)
        if not (self._reuse and answer.keep):
            self.hang_up()
        return self._judge(answer)

    async def _connect(self) -> Wire:
        speaks_http2 = isinstance(self._probe, GrpcProbe) or self._probe.http2
        wire = Http2Wire(self._loop, Http2Options()) if speaks_http2 else Http1Wire()
        await self._dialler.open(wire)
        return wire

    def hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _judge(self, answer: ProbeAnswer) -> Outcome:
        if isinstance(self._probe, GrpcProbe):
            return Outcome.SUCCESS if is_serving(answer) else Outcome.FAILURE
        outcome = self._as_expected(self._probe, answer)
        if outcome in (Outcome.FAILURE, Outcome.RETRIABLE) and IMMEDIATE in answer.headers:
            self._checkup.told = True
        return outcome

    def _as_expected(self, probe: HttpProbe, answer: ProbeAnswer) -> Outcome:
        if probe.receive and not contains(answer.body, probe.receive):
            return Outcome.FAILURE
        if not any(answer.status in span for span in probe.expected):
            return Outcome.RETRIABLE if any(answer.status in span for span in probe.retriable) else Outcome.FAILURE
        if probe.service_name is not None:
            self._counts["verify_cluster"] += 1
            if not probe.service_name(answer.headers.get(_CHECKED_CLUSTER, b"")):
                return Outcome.FAILURE
        return Outcome.DEGRADED if _DEGRADED in answer.headers else Outcome.SUCCESS


class TcpTarget:
    """Checks by connections, and by what is said on them."""

    def __init__(self, runtime: "Runtime", cluster: "Cluster", checkup: Checkup, config: HealthCheckConfig) -> None:
        assert isinstance(config.probe, TcpProbe)
        self._dialler = _Dialler(runtime, cluster, checkup.endpoint, config)
        self._probe = config.probe
        self._reuse = config.reuse and bool(config.probe.receive)
        self._wire: TcpWire | None = None

    async def check(self) -> Outcome:
        wire = self._wire
        if wire is None or not wire.usable:
            wire = self._wire = TcpWire()
            await self._dialler.open(wire)
        await wire.talk(self._probe.send, self._probe.receive)
        if not self._reuse:
            self.hang_up()
        return Outcome.SUCCESS

    def hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


class EndpointChecks:
    """The checks of one endpoint, one after the other: wait, check, judge."""

    def __init__(self, checks: "ClusterChecks", checkup: Checkup, target: Target) -> None:
        self._checks = checks
        self.checkup = checkup
        self.told = checkup.endpoint.config.check
        """What the endpoint said of its checks when they began."""
        self._target = target
        self._task = spawn(self._run(), name=f"health check {checkup.endpoint.address}")

    def __repr__(self) -> str:
        return f"<EndpointChecks {self.checkup!r}>"

    async def _run(self) -> None:
        jitter = self._checks.config.initial_jitter
        if jitter:
            await self._pause(random.random() * jitter)
        while True:
            outcome = await self._check()
            self._checks.judge(self.checkup, outcome)
            await self._pause(self.checkup.wait(traffic=self._checks.cluster.upstream_cx_total > 0, draw=random.random))

    async def _pause(self, seconds: float) -> None:
        over = asyncio.get_running_loop().create_future()
        handle = self._checks.runtime.loop.call_later(seconds, over.set_result, None)
        try:
            await over
        finally:
            handle.cancel()

    async def _check(self) -> Outcome:
        self._checks.counts["attempt"] += 1
        try:
            outcome = await self._in_time(self._target.check())
        except OSError:
            outcome = Outcome.NETWORK
        if outcome in (Outcome.NETWORK, Outcome.TIMEOUT):
            self._target.hang_up()
        return outcome

    async def _in_time(self, checking: Coroutine[Any, Any, Outcome]) -> Outcome:
        """The time is the loop's that the runtime has, which in tests is not the one that runs the task."""
        task = spawn(_caught(checking), name=f"probe {self.checkup.endpoint.address}")
        handle = self._checks.runtime.loop.call_later(self._checks.config.timeout, task.cancel)
        try:
            await asyncio.wait([task])
        finally:
            handle.cancel()
            task.cancel()
        return Outcome.TIMEOUT if task.cancelled() else task.result()

    def stop(self) -> None:
        """Nobody asks for this endpoint any more."""
        self._task.cancel()
        self._target.hang_up()


async def _caught(checking: Coroutine[Any, Any, Outcome]) -> Outcome:
    try:
        return await checking
    except OSError:
        return Outcome.NETWORK


class ClusterChecks:
    """All endpoints of a cluster under checks, as they come and go."""

    def __init__(
        self, runtime: "Runtime", cluster: "Cluster", config: HealthCheckConfig, on_checked: Callable[[Checkup, Outcome], None]
    ) -> None:
        """`on_checked` is told of each outcome, after it has been judged."""
        self.runtime = runtime
        self.cluster = cluster
        self.config = config
        self.counts = dict.fromkeys(COUNTERS, 0)
        self._on_checked = on_checked
        self._running: dict[Endpoint, EndpointChecks] = {}

    def __repr__(self) -> str:
        return f"<ClusterChecks of {self.cluster.config.name}: {len(self._running)}>"

    @property
    def checkups(self) -> list[Checkup]:
        return [running.checkup for running in self._running.values()]

    @property
    def done(self) -> bool:
        """Whether each endpoint has been looked at."""
        return all(checkup.state is not State.NEW for checkup in self.checkups)

    def watch(self, endpoints: Iterable[Endpoint]) -> None:
        """These are the cluster's endpoints now."""
        wanted = [one for one in endpoints if one.config.check is None or not one.config.check.disabled]
        for endpoint in self._running.keys() - set(wanted):
            self._end(endpoint)
        for endpoint in wanted:
            running = self._running.get(endpoint)
            if running is not None and running.told != endpoint.config.check:  # to Envoy it is another endpoint
                self._end(endpoint)
            if endpoint not in self._running:
                self._running[endpoint] = self._begin(endpoint)

    def _begin(self, endpoint: Endpoint) -> EndpointChecks:
        checkup = Checkup(endpoint, self.config, self.counts)
        endpoint.unjudged = self.cluster.config.common_lb.ignore_new
        if isinstance(self.config.probe, TcpProbe):
            return EndpointChecks(self, checkup, TcpTarget(self.runtime, self.cluster, checkup, self.config))
        return EndpointChecks(self, checkup, HttpTarget(self.runtime, self.cluster, checkup, self.config, self.counts))

    def _end(self, endpoint: Endpoint) -> None:
        """Nobody looks at it any more: what checks have found says nothing of it from now on."""
        self._running.pop(endpoint).stop()
        endpoint.failed_check = endpoint.degraded_check = endpoint.unjudged = False

    def of(self, endpoint: Endpoint) -> Checkup | None:
        running = self._running.get(endpoint)
        return running.checkup if running is not None else None

    def tell_sick(self, endpoint: Endpoint) -> None:
        """An answer to a client has said that the endpoint wants no more traffic."""
        checkup = self.of(endpoint)
        if checkup is not None:
            checkup.told = True
            self.judge(checkup, Outcome.PASSIVE)

    def judge(self, checkup: Checkup, outcome: Outcome) -> None:
        """A check has ended."""
        changed = checkup.judge(outcome)
        if checkup.endpoint.leaving and checkup.state is State.SICK:
            self.cluster.let_go(checkup.endpoint)
        elif changed:
            self.cluster.rebalance()
        self._on_checked(checkup, outcome)

    def statistics(self) -> dict[str, int]:
        """What is counted, and how many endpoints are well and degraded, by Envoy's names."""
        checkups = self.checkups
        well = sum(checkup.state is State.WELL for checkup in checkups)
        return {**self.counts, "healthy": well, "degraded": sum(checkup.degraded for checkup in checkups)}

    def stop(self) -> None:
        """The cluster is gone."""
        for running in self._running.values():
            running.stop()
        self._running.clear()
