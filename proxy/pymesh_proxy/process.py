"""One worker, from its first secret to its last connection: start, serve, drain, stop."""

import asyncio
import contextlib
import logging
import signal
import sys
from typing import TYPE_CHECKING, Any

from pymesh.garbage import Freezer
from pymesh.tasks import spawn
from pymesh.xds import types

from .check import Checked, check
from .discovery.client import ADS, Client
from .discovery.configuration import Configuration, Stage
from .discovery.secrets import SecretStreams
from .discovery.status import Status
from .drain import Life, drain
from .identity import make_identity
from .launch import Launch
from .upstream.dns_config import NameServers

if TYPE_CHECKING:
    from pymesh_certs.workload import WorkloadIdentity

    from .assembly import Assembly
    from .dns_proxy.server import DnsProxy

_log = logging.getLogger("pymesh.proxy")

_LISTENERS = "listeners"
"""The latch of readiness: every listener known at start is open."""

_NAMES = "names"
"""Another, of a sidecar that answers DNS queries: the first name table is there."""


async def validate(launch: Launch) -> None:
    """Compile everything and open nothing; raises ConfigError."""
    check(launch, _assemble(launch, serving=False))


async def serve(launch: Launch) -> None:
    """Run one worker until it is told to stop; raises ConfigError or StartupError when it cannot start."""
    assembly = _assemble(launch)
    await Process(launch, assembly, check(launch, assembly)).run()


def _assemble(launch: Launch, *, serving: bool = True) -> "Assembly":
    from .assembly import assemble

    principal = str(launch.settings.identity) if launch.settings else ""
    return assemble(launch.plan, concurrency=launch.concurrency, principal=principal, serving=serving)


def _dns_proxy(launch: Launch) -> "DnsProxy | None":
    settings = launch.settings
    if settings is None or settings.dns is None:
        return None
    from .dns_proxy.server import DnsProxy

    place = settings.node_id
    return DnsProxy(settings.dns, namespace=place.namespace, domain=place.domain, reuse_port=launch.concurrency > 1)


class Process:
    """The parts of one worker in their order of life."""

    def __init__(self, launch: Launch, assembly: "Assembly", checked: Checked) -> None:
        loop = asyncio.get_running_loop()
        plan = launch.plan
        self.launch = launch
        self._dns = _dns_proxy(launch)
        self.life = Life(_LISTENERS, *((_NAMES,) if self._dns is not None else ()))
        self.status = Status()
        self._assembly = assembly
        self._runtime = assembly.runtime
        self._static = checked.static
        self._channels = checked.channels
        self._stopping = asyncio.Event()
        self._drain: asyncio.Task[Any] | None = None
        self._ads: Client | None = None
        self._probing: asyncio.Task[Any] | None = None
        self._freezer = Freezer(loop.call_later)
        dynamic = {types.CLUSTER: plan.clusters, types.LISTENER: plan.listeners}
        self.configuration = Configuration(
            self._runtime,
            assembly.compilers,
            status=self.status,
            schedule=loop.call_later,
            dynamic={url: fetch for url, fetch in dynamic.items() if fetch is not None},
            origins=checked.origins,
            name_table=self._take_names if self._dns is not None else None,
        )

    def __repr__(self) -> str:
        return f"<Process {self.life!r} {self.configuration!r}>"

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain; raises StartupError or ConfigError when it cannot start."""
        async with contextlib.AsyncExitStack() as stack:
            self._take_signals(stack)
            await self._start(stack)
            await self._stopping.wait()
            await self._leave()

    def stop(self) -> None:
        """Leave in order; asked for a second time, leave now."""
        if self._drain is not None:
            self._drain.cancel()
        self._stopping.set()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        for note in self.launch.plan.notes:
            _log.warning("bootstrap: %s", note)
        stack.push_async_callback(self._assembly.sinks.close)
        stack.push_async_callback(self._assembly.rate_limit_services.close)
        await self._open_admin(stack)
        if self._dns is not None:
            await self._answer(self._dns, stack)
        for secret in self._static.secrets:
            self._runtime.secrets.put(secret)
        self._subscribe(stack)
        await self.configuration.start(self._static.clusters, self._static.listeners)
        self._freezer.freeze()

    async def _answer(self, names: "DnsProxy", stack: contextlib.AsyncExitStack) -> None:
        """Answer DNS queries, but not our own: a cluster whose endpoint is the service's host would be sent to the service's virtual IP."""
        self._runtime.dns = names.counts
        if names.is_the_systems and names.servers:
            self._runtime.clusters.name_servers = NameServers(addresses=names.servers)
        await names.start(stack)

    async def _open_admin(self, stack: contextlib.AsyncExitStack) -> None:
        socket = self.launch.worker_socket
        address = (str(socket), 0) if socket is not None else self.launch.plan.admin
        if address is None:
            return
        from .admin import Admin

        admin = Admin(
            self._runtime,
            istio=self._assembly.istio,
            life=self.life,
            discovery=self.status,
            bootstrap=self.launch.plan.bootstrap,
            warming=self.configuration.warming,
            stop=self.stop,
            reopen_logs=self._assembly.sinks.reopen,
        )
        await admin.start(*address)
        stack.push_async_callback(admin.stop)

    def _subscribe(self, stack: contextlib.AsyncExitStack) -> None:
        """Prepare the streams; what is wanted on them follows from the configuration."""
        secrets = SecretStreams(self.configuration, self._channels.open, self.launch.plan.node, self.status)
        stack.callback(secrets.close)
        stack.callback(self._freezer.close)
        self.configuration.on_change += [self._advance, secrets.refresh, self._freezer.soon]
        identity = None
        if self.launch.settings is not None:
            identity = make_identity(self.launch.settings, self._runtime.secrets, self.configuration)
            stack.push_async_callback(identity.close)
        joining = spawn(self._join(identity), name="discovery")
        stack.callback(joining.cancel)
        stack.callback(lambda: self._probing and self._probing.cancel())

    async def _join(self, identity: "WorkloadIdentity | None") -> None:
        """Become somebody, then ask the control plane what to do, for as long as the process lives."""
        if identity is not None:
            await identity.start()
        if self.launch.plan.ads is None:
            return
        client = self._ads = Client(
            self.launch.plan.ads,
            open_channel=self._channels.open,
            methods=ADS,
            subscribe=tuple(one for one in types.PUSH_ORDER if one != types.NAME_TABLE or self._dns is not None),
            consumer=self.configuration,
            node=self.launch.plan.node,
            status=self.status,
            stream=self.status.control_plane,
            name="ads",
        )
        self.configuration.on_change.append(client.refresh)
        self._probe(client)
        await client.run()

    def _probe(self, client: Client) -> None:
        """Have the control plane know how the application is, where the settings say how to find out."""
        probe = self.launch.settings.proxy.readiness_probe if self.launch.settings else None
        if probe is None:
            return
        from pymesh.readiness.prober import keep_probing

        self._probing = spawn(keep_probing(probe, client.feel), name="readiness")

    def _advance(self) -> None:
        """Tell the life of the process how far the configuration is."""
        if self.configuration.stage is not Stage.CLUSTERS:
            self.life.initializing()
        if self.configuration.stage is Stage.DONE:
            self.life.release(_LISTENERS)

    async def _take_names(self, table: Any) -> None:
        """Istio's agent, too, is ready only when it can answer."""
        assert self._dns is not None
        await self._dns.use(table)
        self.life.release(_NAMES)

    async def _leave(self) -> None:
        leaving = drain(self.life, self._runtime.listeners, seconds=self.launch.drain_time, announce=self._announce)
        self._drain = spawn(leaving, name="drain")
        await asyncio.wait([self._drain])

    async def _announce(self) -> None:
        """Istio's health message; control planes for which a bootstrap was written do not know it."""
        if self._probing is not None:
            self._probing.cancel()
        if self._ads is not None and self.launch.settings is not None:
            await self._ads.say_unwell("draining")

    def _take_signals(self, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGUSR1: self._assembly.sinks.reopen}
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
            stack.callback(loop.remove_signal_handler, number)
        if self.launch.worker_socket is not None:
            loop.add_reader(sys.stdin.fileno(), self._orphaned)

    def _orphaned(self) -> None:
        """The parent's end of our standard input is closed: it is gone."""
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        _log.warning("the parent process is gone")
        self.stop()
