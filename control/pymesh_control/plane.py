"""The control plane as one thing that starts and stops: its rooms put together, and the path of a change through them."""

import asyncio
import contextlib
import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio

from pymesh.address import Address
from pymesh.garbage import Freezer
from pymesh.identity import DEFAULT_TRUST_DOMAIN, SpiffeId
from pymesh.tasks import spawn
from pymesh_certs import service
from pymesh_certs.authenticate import ClientCertificate, JoinTokens
from pymesh_certs.authority import SERVER_TTL, Authority
from pymesh_certs.errors import CertsError
from pymesh_certs.metrics import CaMetrics
from pymesh_certs.peer import TlsPeer

from .ads import admission, front, servicer
from .ads.clients import Clients
from .errors import ControlError, StartupError
from .gateway_names import Dns, GatewayNames
from .metrics import Metrics
from .model.credential import NO_CREDENTIALS
from .monitoring import Monitoring
from .options import Options
from .push.clock import SystemClock
from .push.debounce import Batch, Debounce
from .push.pusher import Pusher
from .registration.ledger import Ledger
from .registration.registry import Registry
from .reports import servicer as reports
from .reports.blocked import Blocked
from .store.catalogue import Contents
from .store.credentials import CredentialFolder
from .store.folder import Folder
from .store.source import Source, joined
from .world import World, trust_domain_in

SERVER_NAMES = ("istiod.istio-system.svc", "localhost")
"""What sidecars verify: Istio's name for the control plane, and the local mesh's."""

_UPDATES = {"endpoint": "eds"}
"""What Istiod's metric of incoming changes calls a source, where its metric of pushes has another word."""

STOP_GRACE = 0.5
"""Seconds for certificate requests in flight; streams have no end to wait for, their clients reconnect."""

_log = logging.getLogger("pymesh.control")


@dataclass(frozen=True, slots=True)
class Bound:
    """The addresses that were really bound."""

    xds: Address
    secure_xds: Address
    monitoring: Address


class ControlPlane:
    """Sources, world, push and servers. `async with` starts it (StartupError) and stops it."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.metrics = Metrics()
        self.bound: Bound | None = None
        self._cleanup = contextlib.AsyncExitStack()
        self._eternal: list[asyncio.Task[None]] = []
        self._kept: tuple[Any, ...] | None = None
        self._credentials: CredentialFolder | None = None

    async def __aenter__(self) -> "ControlPlane":
        try:
            await self._start()
        except BaseException:
            await self._cleanup.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._cleanup.aclose()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises ControlError if a part that should run for ever ended."""
        stopping = spawn(stop.wait(), name="stop")
        done, _ = await asyncio.wait([stopping, *self._eternal], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended := [task.get_name() for task in done if task is not stopping]:
            raise ControlError(f"{ended[0]} ended, without which changes would go unnoticed; the log above says why")

    async def _start(self) -> None:
        """Strictly in this order: read everything, bind everything, and only then serve."""
        self._debounce = Debounce(self.options.timing, SystemClock(), self._publish)
        await self._read()
        listening = self._bind()
        await self._serve(*listening)

    async def _read(self) -> None:
        self._sources: tuple[Source, ...] = (Folder(self.options.config, lambda: self._changed("config")),)
        for source in self._sources:
            self._cleanup.push_async_callback(source.stop)
            self._eternal.append(await source.start())
        if self.options.secrets is not None:
            self._credentials = CredentialFolder(self.options.secrets, lambda: self._changed("secret"))
            self._cleanup.push_async_callback(self._credentials.stop)
            self._eternal.append(await self._credentials.start())
        self._ledger = Ledger(_directory(self.options.state_dir))
        self.registry = Registry(
            self.options.registration_grace, asyncio.get_running_loop().call_later, lambda: self._changed("endpoint")
        )  # fmt: skip
        self.registry.restore(await asyncio.to_thread(self._ledger.read))
        domain = trust_domain(self.options, joined(self._sources))
        try:
            self.authority = await asyncio.to_thread(Authority.load_or_create, _directory(self.options.ca_dir), domain)
        except CertsError as error:
            raise StartupError(str(error)) from error
        self.world = World(domain, self.metrics, self.options.revision)
        await self._look_up()
        self._freezer = Freezer(asyncio.get_running_loop().call_later)
        self._cleanup.callback(self._freezer.close)
        self._freezer.freeze()

    async def _look_up(self) -> None:
        """The first snapshot, and again with what the names in it stand for."""
        self._names = GatewayNames(lambda: self._changed("networks"), Dns().look)
        self._cleanup.callback(self._names.close)
        self._rebuild()
        await self._names.tried()
        if self._names.addresses:
            self._rebuild()

    def _bind(self) -> tuple[grpc.aio.Server, socket.socket, socket.socket]:
        """The plaintext gRPC server, and the sockets of the secure port and of monitoring."""
        self._pusher = Pusher()
        self.clients = Clients(self.world, self.registry, self._pusher.queue, self.metrics, self._freezer.soon, self.options.max_clients)
        plain = servicer.server(self.clients, admission.anyone, self.metrics)
        self.blocked = Blocked()
        reports.add_to_server(plain, self.blocked, admission.anyone)
        self._cleanup.push_async_callback(plain.stop, None)
        _socket(self.options.xds).close()  # says why a port cannot be had, which gRPC does only in a log of its own
        try:
            port = plain.add_insecure_port(str(self.options.xds))
        except RuntimeError as error:
            raise StartupError(f"cannot listen on {self.options.xds}: {error}") from error
        secure = self._cleanup.enter_context(contextlib.closing(_socket(self.options.secure_xds)))
        monitoring = self._cleanup.enter_context(contextlib.closing(_socket(self.options.monitoring)))
        self.bound = Bound(Address(self.options.xds.host, port), _bound(secure), _bound(monitoring))
        return plain, secure, monitoring

    async def _serve(self, plain: grpc.aio.Server, secure: socket.socket, listening: socket.socket) -> None:
        self._cleanup.push_async_callback(self._keep_registrations)
        tokens = JoinTokens.of(self.options.ca_dir, self.world.trust_domain)
        monitoring = Monitoring(self.world, self.clients, self.registry, self.blocked, self.metrics, tokens)
        self._cleanup.push_async_callback(monitoring.stop)
        await monitoring.start(listening)
        self._pusher.start()
        self._cleanup.push_async_callback(self._pusher.stop)
        debouncing = spawn(self._debounce.run(), name="debounce")
        self._cleanup.callback(debouncing.cancel)
        self._eternal.append(debouncing)
        await self._serve_secure(secure, tokens)
        await plain.start()
        self._cleanup.push_async_callback(plain.stop, STOP_GRACE)

    async def _serve_secure(self, listening: socket.socket, tokens: JoinTokens) -> None:
        """ADS and the certificate service behind TLS."""
        domain = self.world.trust_domain
        tls = front.context(*self._server_certificate(), self.authority.root_pem)
        gate = front.TlsFront(tls)

        def admit(peer: str, node: Any) -> SpiffeId:
            return admission.as_itself(gate.identity_of(peer), node, domain)

        server = servicer.server(self.clients, admit, self.metrics)
        reports.add_to_server(server, self.blocked, admit)
        service.add_to_server(
            server,
            self.authority,
            [ClientCertificate(domain), tokens],
            metrics=CaMetrics(self.metrics.registry),
            peer_of=lambda context: TlsPeer(gate.identity_of(context.peer())),
        )
        server.add_insecure_port(gate.address)
        await server.start()
        self._cleanup.push_async_callback(gate.stop)
        self._cleanup.push_async_callback(server.stop, STOP_GRACE)
        await gate.start(listening)
        renewing = spawn(self._renew(tls), name="renew server certificate")
        self._cleanup.callback(renewing.cancel)
        self._eternal.append(renewing)

    def _server_certificate(self) -> tuple[bytes, bytes]:
        names = dict.fromkeys((*SERVER_NAMES, *self.options.server_names, socket.gethostname()))
        return self.authority.issue_server(list(names), ["127.0.0.1", "::1"])

    async def _renew(self, tls: Any) -> None:
        while True:
            await asyncio.sleep(SERVER_TTL.total_seconds() / 2)
            front.install(tls, *self._server_certificate())

    def _changed(self, source: str) -> None:
        self.metrics.updates.labels(_UPDATES.get(source, source)).inc()
        self._debounce.changed(source)

    async def _publish(self, batch: Batch) -> None:
        """One batch of changes becomes a snapshot and a push to every client."""
        self._rebuild()
        for reason in batch.reasons:
            self.metrics.triggers.labels(reason).inc()
        self.metrics.debounce_time.observe(SystemClock().now() - batch.since)
        await self._keep_registrations()  # strictly before the push: what others were told of outlives even a kill
        self.clients.push(batch.since)

    def _rebuild(self) -> None:
        try:
            credentials = self._credentials.contents() if self._credentials else NO_CREDENTIALS
            self.world.rebuild(self._contents(), self.registry.workloads(), credentials, self._names.addresses)
            self._names.want(self.world.snapshot.networks.names)
        except Exception:  # noqa: BLE001  a defect of ours met by one change: what was served before goes on
            self.metrics.internal_errors.inc()
            _log.exception("the configuration could not be taken in; the last snapshot stays")

    def _contents(self) -> Contents:
        """The resources of all sources, and what is wrong with those and with the credentials."""
        found = joined(self._sources)
        problems = self._credentials.problems if self._credentials else ()
        return Contents(found.resources, (*found.problems, *problems))

    async def _keep_registrations(self) -> None:
        workloads = self.registry.workloads()
        if workloads == self._kept:
            return
        try:
            await asyncio.to_thread(self._ledger.write, workloads)
        except OSError as error:
            _log.error("%s: registrations would not outlive a restart: %s", self._ledger.path, error)
        else:
            self._kept = workloads


def trust_domain(options: Options, contents: Contents) -> str:
    """The one that the option and the MeshConfig agree on. Raises StartupError if they do not."""
    configured = next(filter(None, map(trust_domain_in, contents.resources)), None)
    if options.trust_domain and configured and options.trust_domain != configured:
        raise StartupError(f"--trust-domain {options.trust_domain} contradicts trustDomain {configured} of the mesh configuration")
    return options.trust_domain or configured or DEFAULT_TRUST_DOMAIN


def _directory(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartupError(f"cannot use {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise StartupError(f"cannot write to {path}")
    return path


def _socket(where: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    try:
        return socket.create_server((where.host, where.port), family=family)
    except OSError as error:
        raise StartupError(f"cannot listen on {where}: {error.strerror or error}") from error


def _bound(listening: socket.socket) -> Address:
    host, port, *_ = listening.getsockname()
    return Address(host, port)
