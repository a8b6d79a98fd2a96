"""The listeners of a process: sockets bound to configurations, replaced without dropping what is established."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pymesh.address import Address

from ..errors import StartupError
from ..tls.contexts import ServerTls
from .accept import Accepted
from .capacity import Capacity
from .config import FilterChain, ListenerConfig
from .scope import Counts, Scope
from .seldom import Seldom
from .sockets import open_socket

if TYPE_CHECKING:
    from ..runtime import Runtime


class Listener:
    """One listener at run time. A new configuration at the same address keeps the socket and the chains that it does not change."""

    __slots__ = ("_scopes", "_servers", "_tls", "bound", "config", "counts", "manager", "runtime")

    def __init__(self, runtime: "Runtime", manager: "Listeners", config: ListenerConfig) -> None:
        self.runtime = runtime
        self.manager = manager
        self._servers: list[asyncio.Server] = []
        self.bound: list[tuple[str, int]] = []
        """The addresses of the sockets, in the order of the configuration; none for a virtual listener."""
        self.counts = Counts()
        self.config = config
        self._tls: dict[object, ServerTls] = {}
        self._scopes: dict[object, Scope] = self._new_scopes({})

    def __repr__(self) -> str:
        return f"<Listener {self.config.name} {self.bound or 'virtual'} {self.connections} connections>"

    @property
    def connections(self) -> int:
        """How many stand, of chains that the present configuration has."""
        return sum(map(len, self._scopes.values()))

    @property
    def draining(self) -> bool:
        """Whether every connection is being asked to leave."""
        return all(scope.draining for scope in self._scopes.values())

    def configure(self, config: ListenerConfig) -> list[Scope]:
        """New connections follow `config`; of the former ones, those of changed chains are asked to leave. Returns their scopes."""
        stays = bool(config.frame) and config.frame == self.config.frame
        kept: dict[object, Scope] = {
            key: scope for key, scope in self._scopes.items() if stays and isinstance(key, bytes) and not scope.draining
        }
        former = self._scopes
        self.config = config
        self._scopes = self._new_scopes(kept)
        self._tls = {key: tls for key, tls in self._tls.items() if key in kept and key in self._scopes}
        leaving = [scope for key, scope in former.items() if self._scopes.get(key) is not scope]
        for scope in leaving:
            scope.drain()
        return leaving

    def _new_scopes(self, kept: dict[object, Scope]) -> dict[object, Scope]:
        config = self.config
        return {
            chain.key: kept[chain.key] if chain.key in kept else Scope(config.name, config.direction, config.buffer_limit, self.counts)
            for chain in config.all_chains
        }

    @property
    def scopes(self) -> list[Scope]:
        """The connections of each filter chain."""
        return list(self._scopes.values())

    def scope(self, chain: FilterChain) -> Scope:
        """The connections of one filter chain."""
        return self._scopes[chain.key]

    def tls(self, chain: FilterChain) -> ServerTls:
        """The chain's server-side TLS, made when first asked for."""
        known = self._tls.get(chain.key)
        if known is None:
            assert chain.tls is not None
            known = self._tls[chain.key] = ServerTls(chain.tls, self.runtime.secrets, self.runtime.wheel)
        return known

    def drain(self) -> None:
        """Ask every connection to leave, those to come too."""
        for scope in self._scopes.values():
            scope.drain()

    async def bind(self) -> None:
        """Open the sockets, all or none; raises StartupError in words."""
        config = self.config
        opened: list[socket.socket] = []
        for address in config.addresses:
            try:
                opened.append(open_socket(config, address, reuse_port=self.runtime.concurrency > 1))
            except OSError as error:
                for sock in opened:
                    sock.close()
                raise StartupError(f"listener {config.name}: cannot bind {Address(*address)}: {error.strerror}") from error
        self.bound = [sock.getsockname()[:2] for sock in opened]
        for sock in opened:
            self._servers.append(await self.runtime.loop.create_server(lambda: Accepted(self), sock=sock, backlog=config.backlog))

    def stop_accepting(self) -> None:
        """Close the sockets; established connections live on."""
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()


class Listeners:
    """Every listener by name, and the virtual ones by the address that a redirected connection was meant for."""

    __slots__ = ("_connections", "_draining", "_listeners", "_runtime", "_virtual", "arriving", "capacity", "seldom")

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._listeners: dict[str, Listener] = {}
        self._virtual: dict[tuple[str, int], Listener] = {}
        self._connections = itertools.count(1)
        self._draining: list[Scope] = []
        self.seldom = Seldom()
        self.capacity = Capacity()
        self.arriving: set[Accepted] = set()
        """Connections that are being looked at or shake hands: their clients will think them good in a moment."""

    def __iter__(self) -> Iterator[Listener]:
        return iter(self._listeners.values())

    def get(self, name: str) -> Listener | None:
        return self._listeners.get(name)

    def next_connection(self) -> int:
        """A number for a new connection, unique in this process."""
        return next(self._connections)

    async def put(self, config: ListenerConfig) -> Listener:
        """Start a listener, or give a running one a new configuration. Raises StartupError; the old one then goes on."""
        known = self._listeners.get(config.name)
        if known is not None and _same_socket(known.config, config):
            self._draining += known.configure(config)
            self._prune()
            return known
        listener = Listener(self._runtime, self, config)
        if config.bind_to_port:
            await _bind(listener, known)
        if known is not None:
            self._retire(known)
        self._listeners[config.name] = listener
        if not config.bind_to_port:
            self._virtual.update(dict.fromkeys(config.addresses, listener))
        return listener

    async def remove(self, name: str) -> None:
        """Stop accepting and ask the connections to leave."""
        listener = self._listeners.pop(name, None)
        if listener is not None:
            self._retire(listener)

    def _retire(self, listener: Listener) -> None:
        listener.stop_accepting()
        for address in listener.config.addresses:
            if self._virtual.get(address) is listener:
                del self._virtual[address]
        listener.drain()
        self._draining += listener.scopes
        self._prune()

    def watch(self, scope: Scope) -> None:
        """A connection finished its handshake when its chain had already gone: it counts all the same."""
        if scope not in self._draining:
            self._draining.append(scope)

    def _prune(self) -> None:
        self._draining = [scope for scope in self._draining if len(scope)]

    def virtual(self, destination: tuple[str, int]) -> Listener | None:
        """The listener of an original destination: its address exactly, then the wildcard of its family on the same port."""
        host, port = destination
        return self._virtual.get(destination) or self._virtual.get(("::" if ":" in host else "0.0.0.0", port))

    @property
    def active_connections(self) -> int:
        """Connections that still stand, of former configurations too, and those that have no filter chain or TLS yet."""
        established = sum(listener.connections for listener in self) + sum(len(scope) for scope in self._draining)
        return established + len(self.arriving)

    def stop_accepting(self, direction: str | None = None) -> None:
        """Close the sockets, all of them or those of one traffic direction."""
        for listener in self:
            if direction in (None, listener.config.direction):
                listener.stop_accepting()

    def drain(self, direction: str | None = None) -> None:
        """Answer with `Connection: close` from now on, and close what is idle."""
        for listener in self:
            if direction in (None, listener.config.direction):
                listener.drain()


async def _bind(listener: Listener, known: Listener | None) -> None:
    """Open the sockets; if former ones stand in the way they are closed, and opened again when that was in vain."""
    former = None
    if known is not None and known.bound and not set(known.config.addresses).isdisjoint(listener.config.addresses):
        former = known
    if former is not None:
        former.stop_accepting()
    try:
        await listener.bind()
    except StartupError:
        if former is not None:
            await former.bind()
        raise


def _same_socket(one: ListenerConfig, other: ListenerConfig) -> bool:
    return _of_the_socket(one) == _of_the_socket(other)


def _of_the_socket(config: ListenerConfig) -> tuple[object, ...]:
    """What cannot be changed while a socket listens."""
    return config.addresses, config.bind_to_port, config.transparent, config.freebind
