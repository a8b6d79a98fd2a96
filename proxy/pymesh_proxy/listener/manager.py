"""The listeners of a process: sockets bound to configurations, replaced without dropping what is established."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import StartupError
from ..http.exchange import Downstream
from ..tls.contexts import ServerTls
from .accept import Accepted, handler
from .config import FilterChain, ListenerConfig
from .scope import Scope

if TYPE_CHECKING:
    from ..runtime import Runtime


class Listener:
    """One listener at run time. A new configuration at the same address keeps the socket and starts a new scope."""

    __slots__ = ("_server", "_tls", "bound", "config", "manager", "runtime", "scope")

    def __init__(self, runtime: "Runtime", manager: "Listeners", config: ListenerConfig) -> None:
        self.runtime = runtime
        self.manager = manager
        self._server: asyncio.Server | None = None
        self.bound: tuple[str, int] | None = None
        """The address of the socket, None for a virtual listener."""
        self.configure(config)

    def __repr__(self) -> str:
        return f"<Listener {self.config.name} {self.bound or 'virtual'} {self.scope!r}>"

    def configure(self, config: ListenerConfig) -> None:
        """New connections follow `config`; those of the former one are asked to leave."""
        former = getattr(self, "scope", None)
        self.config = config
        self.scope = Scope(config.name, config.direction, config.buffer_limit)
        self._tls: dict[int, ServerTls] = {}
        if former is not None:
            former.drain()

    def tls(self, chain: FilterChain) -> ServerTls:
        """The chain's server-side TLS, made when first asked for."""
        known = self._tls.get(id(chain))
        if known is None:
            assert chain.tls is not None
            known = self._tls[id(chain)] = ServerTls(chain.tls, self.runtime.secrets, self.runtime.wheel)
        return known

    def handler(self, chain: FilterChain, facts: Downstream, alpn: str) -> asyncio.Protocol:
        return handler(self, chain, facts, alpn)

    async def bind(self) -> None:
        """Open the socket; raises StartupError in words."""
        config = self.config
        try:
            sock = _socket(config, reuse_port=self.runtime.concurrency > 1)
        except OSError as error:
            raise StartupError(f"listener {config.name}: cannot bind {config.address}: {error.strerror}") from error
        self.bound = sock.getsockname()[:2]
        self._server = await self.runtime.loop.create_server(lambda: Accepted(self), sock=sock, backlog=config.backlog)

    def stop_accepting(self) -> None:
        """Close the socket; established connections live on."""
        if self._server is not None:
            self._server.close()
            self._server = None


def _socket(config: ListenerConfig, *, reuse_port: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port and config.reuse_port:
            # Only with several workers: with it a second process would take the same port and nobody would be told.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((config.host, config.port))
    except OSError:
        sock.close()
        raise
    return sock


class Listeners:
    """Every listener by name, and the virtual ones by the address that a redirected connection was meant for."""

    __slots__ = ("_connections", "_draining", "_listeners", "_runtime", "_virtual", "arriving")

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._listeners: dict[str, Listener] = {}
        self._virtual: dict[tuple[str, int], Listener] = {}
        self._connections = itertools.count(1)
        self._draining: list[Scope] = []
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
            self._draining.append(known.scope)
            known.configure(config)
            self._prune()
            return known
        listener = Listener(self._runtime, self, config)
        if config.bind_to_port:
            await listener.bind()
        if known is not None:
            self._retire(known)
        self._listeners[config.name] = listener
        if not config.bind_to_port:
            self._virtual[config.host, config.port] = listener
        return listener

    async def remove(self, name: str) -> None:
        """Stop accepting and ask the connections to leave."""
        listener = self._listeners.pop(name, None)
        if listener is not None:
            self._retire(listener)

    def _retire(self, listener: Listener) -> None:
        listener.stop_accepting()
        config = listener.config
        if self._virtual.get((config.host, config.port)) is listener:
            del self._virtual[config.host, config.port]
        listener.scope.drain()
        self._draining.append(listener.scope)
        self._prune()

    def _prune(self) -> None:
        self._draining = [scope for scope in self._draining if len(scope)]

    def virtual(self, destination: tuple[str, int]) -> Listener | None:
        """The listener of an original destination: its address exactly, then the wildcard of its family on the same port."""
        host, port = destination
        return self._virtual.get(destination) or self._virtual.get(("::" if ":" in host else "0.0.0.0", port))

    @property
    def active_connections(self) -> int:
        """Connections that still stand, of former configurations too, and those that have no filter chain or TLS yet."""
        established = sum(len(listener.scope) for listener in self) + sum(len(scope) for scope in self._draining)
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
                listener.scope.drain()


def _same_socket(one: ListenerConfig, other: ListenerConfig) -> bool:
    return (one.host, one.port, one.bind_to_port) == (other.host, other.port, other.bind_to_port)
