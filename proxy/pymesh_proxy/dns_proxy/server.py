"""The sockets on which applications ask: UDP, and TCP for answers that are too large for it."""

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator
from pathlib import Path
from typing import Any

from pymesh.address import Address
from pymesh.bootstrap.environment import DnsSettings
from pymesh.tasks import spawn

from ..discovery.fairness import Slices
from ..errors import StartupError
from . import answer, resolv_conf
from .counts import DnsCounts
from .forwarder import Forwarder
from .query import Code, is_query, question
from .table import Addresses, Place, Table, named

MAX_CONNECTIONS = 64
"""TCP connections at once; a further one is closed."""
IDLE = 10.0
"""Seconds that a TCP connection waits for a query, or a client for room in its socket."""

_log = logging.getLogger("pymesh.proxy.dns_proxy")


class DnsProxy:
    """Answers from a name table, which `use` replaces; without one every query is passed on."""

    def __init__(self, settings: DnsSettings, *, namespace: str, domain: str, reuse_port: bool = False) -> None:
        """`reuse_port` when there are several workers. Raises StartupError for a resolv.conf that cannot be read."""
        self.counts = DnsCounts()
        self._addresses = tuple(_addresses(settings.listen))
        self._reuse_port = reuse_port
        machine = _machine(settings.resolv_conf)
        self._place = Place(namespace, domain, machine.search)
        self.servers = tuple(one for one in machine.servers if not _is_own(one, self._addresses))
        """The machine's own, IP and port."""
        if not self.servers:
            _log.warning("%s names no other DNS server: hosts that the mesh does not know have no addresses", settings.resolv_conf)
        self._forwarder = Forwarder(self.servers, self.counts, parallel=settings.parallel)
        self._table: Table | None = None
        self._connections = 0
        self._waiting: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<DnsProxy {', '.join(map(str, self._addresses))} {self._table!r}>"

    @property
    def is_the_systems(self) -> bool:
        """Whether the system's resolver may be told to ask us: it knows no other port than this."""
        return any(one.port == resolv_conf.PORT for one in self._addresses)

    async def use(self, message: Any) -> None:
        """Answer from this NameTable from now on; until it is read, from the one before."""
        slices = Slices()
        hosts: dict[str, Addresses] = {}
        for name, addresses in named(message, self._place):
            hosts[name] = addresses
            await slices.breathe()
        self._table = Table(hosts, self._place.completing)

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Listen until the stack is left; raises StartupError."""
        stack.callback(self._cancel)
        for address in self._addresses:
            try:
                await self._listen(address, stack)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL and address is not self._addresses[0]:
                    continue  # a machine without IPv6 has no ::1
                raise StartupError(f"DNS_PROXY_ADDR: cannot listen on {address}: {error.strerror or error}") from error

    async def _listen(self, address: Address, stack: contextlib.AsyncExitStack) -> None:
        sockets = [self._bound(address, kind, stack) for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)]
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Datagrams(self), sock=sockets[0])
        stack.callback(transport.close)
        server = await asyncio.start_server(self._serve, sock=sockets[1])
        stack.callback(server.close)

    def _bound(self, address: Address, kind: socket.SocketKind, stack: contextlib.AsyncExitStack) -> socket.socket:
        sock = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, kind))
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address.host, address.port))
        sock.setblocking(False)
        return sock

    def _cancel(self) -> None:
        for task in self._waiting:
            task.cancel()

    def ask(self, wire: bytes, *, stream: bool) -> Coroutine[Any, Any, bytes] | bytes | None:
        """The answer to a query, at once or to be waited for; None for what gets none."""
        if not is_query(wire):
            return None
        self.counts.requests += 1
        query, message = answer.read(wire, stream=stream)
        if not question(wire):
            return query.failure(Code.FORMERR)
        found = answer.local(query, message, self._table) if message is not None and self._table is not None else None
        return self._forwarder.ask(query) if found is None else found

    def later(self, coming: Coroutine[Any, Any, bytes], send: Callable[[bytes], None]) -> None:
        """Send an answer when it is there."""
        task = spawn(_pass_on(coming, send), name="dns query")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: a query after the other, as most clients send them."""
        if self._connections >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections += 1
        try:
            while (reply := await self._next(reader)) is not None:
                writer.write(len(reply).to_bytes(2) + reply)
                async with asyncio.timeout(IDLE):
                    await writer.drain()
            writer.close()
        except (OSError, EOFError):
            writer.transport.abort()  # the client went away, was silent for too long, or does not read
        finally:
            self._connections -= 1

    async def _next(self, reader: asyncio.StreamReader) -> bytes | None:
        """The answer to the connection's next query; None when there is no further one."""
        async with asyncio.timeout(IDLE):
            if not (head := await reader.read(1)):
                return None
            wire = await reader.readexactly(int.from_bytes(head + await reader.readexactly(1)))
        reply = self.ask(wire, stream=True)
        return reply if reply is None or isinstance(reply, bytes) else await reply


class _Datagrams(asyncio.DatagramProtocol):
    """Queries over UDP."""

    def __init__(self, proxy: DnsProxy) -> None:
        self._proxy = proxy

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        reply = self._proxy.ask(data, stream=False)
        if isinstance(reply, bytes):
            self._transport.sendto(reply, addr)
        elif reply is not None:
            self._proxy.later(reply, lambda answer: self._transport.sendto(answer, addr))


async def _pass_on(coming: Coroutine[Any, Any, bytes], send: Callable[[bytes], None]) -> None:
    send(await coming)


def _addresses(listen: Address) -> Iterator[Address]:
    """`localhost` is both loopback addresses, since clients may use either."""
    if listen.host != "localhost":
        yield listen
    else:
        yield from (Address(host, listen.port) for host in ("127.0.0.1", "::1"))


def _machine(path: Path) -> resolv_conf.ResolvConf:
    try:
        return resolv_conf.parse(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"ISTIO_META_DNS_CAPTURE: cannot read {path}, where the machine's DNS servers stand: {error}") from error


def _is_own(server: tuple[str, int], listening: Iterable[Address]) -> bool:
    """Whether a server is ourselves: queries would go round in a circle."""
    return any(server == (one.host, one.port) or (server[1] == one.port and _covers(one.host, server[0])) for one in listening)


def _covers(listening: str, host: str) -> bool:
    return ipaddress.ip_address(listening).is_unspecified and ipaddress.ip_address(host).is_loopback
