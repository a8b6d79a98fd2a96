"""A connection between accept and its filter chain: where it was going, what it speaks, who treats it from here on."""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pymesh.address import Address

from ..http.exchange import Downstream
from ..http.h1_server import ServerConnection
from ..http.options import Codec, HttpOptions
from ..http2.server import ServerConnection as Http2Connection
from ..tcp.config import TcpOptions
from ..tcp.proxy import TcpConnection
from ..tcp.reset import reset
from ..tcp.session import Phase, Session
from ..tls.contexts import HANDSHAKE_TIMEOUT, SecretsMissing
from ..tls.layer import TlsLayer
from ..upstream.config import SourceAddress
from ..wheel import NEVER
from . import detect
from .config import FilterChain
from .match import Traits
from .metered import Metered
from .proxy_protocol import Header, Malformed, parse
from .scope import Scope
from .sockets import original_destination

if TYPE_CHECKING:
    from ..runtime import Runtime
    from .manager import Listener

_log = logging.getLogger("pymesh.proxy.listener")

_NEED_MORE = detect.Verdict.NEED_MORE


def split(name: object) -> tuple[str, int]:
    """Host and port of a socket name; a Unix socket's peer has neither."""
    if isinstance(name, tuple):
        return str(name[0]), int(name[1])
    return "", 0


class Accepted(asyncio.Protocol):
    """A connection that has no filter chain yet."""

    __slots__ = (
        "_arrived_at", "_data", "_header", "_hello", "_http", "_listener", "_looks_for_http", "_looks_for_tls", "_receiving", "_source",
        "_transport", "deadline", "facts", "traits", "wake",
    )  # fmt: skip

    def __init__(self, listener: "Listener") -> None:
        self._receiving = listener
        """Whose socket took the connection."""
        self._listener = listener
        """Whose configuration it follows."""
        self._data = b""
        self._header: Header | detect.Verdict = _NEED_MORE
        self._hello: detect.ClientHello | detect.Verdict = _NEED_MORE
        self._http: str | detect.Verdict = _NEED_MORE
        self.deadline = self.wake = NEVER

    def __repr__(self) -> str:
        return f"<Accepted on {self._listener.config.name} {len(self._data)} bytes sniffed>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        receiving = self._receiving
        sock = transport.get_extra_info("socket")
        self._source = split(transport.get_extra_info("peername"))
        if sock is not None and not receiving.manager.capacity.admits(sock.fileno()):
            self._overflow()
            return
        receiving.manager.arriving.add(self)
        self._arrived_at = destination = split(transport.get_extra_info("sockname"))
        config = receiving.config
        original = None
        if config.original_dst:
            original = original_destination(sock) or (destination if config.transparent else None)
        self._identify(self._source, original)
        config = self._listener.config
        if not (config.proxy_protocol or self._looks_for_tls or self._looks_for_http):
            self._choose()
        elif config.filters_timeout:
            self._wheel_arm(config.filters_timeout)

    def _overflow(self) -> None:
        """File descriptors run out: this connection ends before it costs anything, and those that stand are served on."""
        receiving, limit = self._receiving, self._receiving.manager.capacity.limit
        receiving.counts.add("downstream_cx_overflow")
        if (more := receiving.manager.seldom.due("descriptors")) is not None:
            name, peer = receiving.config.name, Address(*self._source)
            _log.error("listener %s: connection from %s refused, file descriptors run out (ulimit -n is %d)%s", name, peer, limit, more)
        self._transport.abort()

    def _identify(self, source: tuple[str, int], original: tuple[str, int] | None) -> None:
        """Note who connected and where to; a destination that was recovered may make it another listener's connection."""
        receiving = self._receiving
        if original is not None and receiving.config.use_original_dst:
            self._listener = receiving.manager.virtual(original) or receiving
        destination = original or self._arrived_at
        config = self._listener.config
        self._looks_for_tls = config.looks_for_tls(destination[1])
        self._looks_for_http = config.looks_for_http(destination[1])
        self.traits = Traits(
            destination_ip=destination[0],
            destination_port=destination[1],
            source_ip=source[0],
            source_port=source[1],
            direct_source_ip=self._source[0],
        )
        self.facts = Downstream(
            remote_address=str(Address(*source)),
            direct_remote_address=str(Address(*self._source)),
            local_address=str(Address(*destination)),
            connection_id=receiving.manager.next_connection(),
            listener=config.name,
            direction=config.direction,
            original_destination=destination,
            restored_destination=original,
            kept_source=SourceAddress(source[0], config.original_src) if config.original_src is not None else None,
        )

    def _wheel_arm(self, seconds: float) -> None:
        runtime = self._listener.runtime
        runtime.wheel.arm(self, runtime.loop.time() + seconds)

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            known = self._introduced() and self._inspected()
        except Malformed as fault:
            self._close("downstream_cx_proxy_proto_error", f"PROXY protocol: {fault}")
            return
        if known:
            self._choose()

    def _introduced(self) -> bool:
        """Read the PROXY header, if there is to be one; False while more bytes are needed. Raises Malformed."""
        rules = self._listener.config.proxy_protocol
        if rules is None or self._header is not _NEED_MORE:
            return True
        self._header = header = parse(self._data, rules)
        if header is _NEED_MORE:
            return False
        if isinstance(header, Header):
            self._data = self._data[header.size :]
            if header.source is not None:
                self._identify(header.source, header.destination)
            self.facts.proxied_tlvs = header.passed(rules)
        return bool(self._data) or not (self._looks_for_tls or self._looks_for_http)

    def _inspected(self) -> bool:
        """Look at what there is; False while more bytes are needed."""
        traits = self.traits
        if self._looks_for_tls and self._hello is _NEED_MORE:
            self._hello = detect.client_hello(self._data)
            if self._hello is _NEED_MORE:
                return False
            if isinstance(self._hello, detect.ClientHello):
                traits.transport_protocol = "tls"
                traits.server_name = self._hello.server_name
                traits.application_protocols = self._hello.alpn
        if self._looks_for_http and traits.transport_protocol != "tls":
            self._http = detect.http(self._data)
            if self._http is _NEED_MORE:
                return False
            if isinstance(self._http, str):
                traits.application_protocols = (self._http,)
        return True

    def on_deadline(self, now: float) -> None:
        """listener_filters_timeout: go on with what is known, or close (envoy-behaviour 4.2)."""
        if self._listener.config.continue_on_timeout:
            self._choose()
        else:
            self._close("downstream_pre_cx_timeout", "listener filters timeout")

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._listener.runtime.wheel.arm(self, NEVER)

    def _leave(self) -> None:
        """Somebody else treats this connection from here on, or nobody any more."""
        self._receiving.manager.arriving.discard(self)

    def _choose(self) -> None:
        listener = self._listener
        listener.runtime.wheel.arm(self, NEVER)
        chain = listener.config.matcher.find(self.traits)
        if chain is None:
            self._close("no_filter_chain_match", "filter_chain_not_found", flags="NR")
            return
        self.facts.filter_chain = chain.name
        self.facts.sni = self.traits.server_name
        if chain.tls is None:
            self._hand_over(self._handler(chain, listener.scope(chain)))
        else:
            self._terminate_tls(chain)

    def _handler(self, chain: FilterChain, scope: Scope, alpn: str = "") -> asyncio.Protocol:
        self._leave()
        if scope not in self._listener.scopes:
            self._receiving.manager.watch(scope)
        protocol = handler(self._listener.runtime, chain, scope, self.facts, alpn)
        watchers = self._listener.config.watchers
        return Metered(protocol, self.facts, watchers) if watchers else protocol

    def _hand_over(self, protocol: asyncio.Protocol) -> None:
        transport = self._transport
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._data:
            protocol.data_received(self._data)

    def _terminate_tls(self, chain: FilterChain) -> None:
        listener = self._listener
        server, scope = listener.tls(chain), listener.scope(chain)

        def ready(layer: TlsLayer) -> asyncio.Protocol:
            listener.counts.tls.good(resumed=layer.resumed)
            self.facts.tls_version = layer.version
            self.facts.peer = layer.peer
            self.facts.local_uri_san = server.principal(layer)
            return self._handler(chain, scope, layer.alpn)

        def failed(reason: str) -> None:
            self._tls_failed(chain, reason)

        try:
            layer = server.layer(ready, failed)
        except (SecretsMissing, ssl.SSLError, ValueError) as fault:  # certificates written into the configuration are seen here first
            failed(str(fault))
            reset(self._transport)
            return
        layer.limit_handshake(listener.runtime.loop.time() + (chain.tls_handshake_timeout or HANDSHAKE_TIMEOUT))
        self._hand_over(layer)

    def _tls_failed(self, chain: FilterChain, reason: str) -> None:
        """Count it, and say why: to the logs of the listener and of its TCP proxy, and to whoever reads ours."""
        self._leave()
        listener, facts = self._listener, self.facts
        listener.counts.tls.failed(reason)
        facts.transport_failure = f"TLS error: {reason}"
        self._log("", facts.transport_failure, *(chain.terminal.logs if isinstance(chain.terminal, TcpOptions) else ()))
        if (more := listener.manager.seldom.due((listener.config.name, reason.partition(":")[0]))) is not None:
            _log.info("listener %s: TLS handshake with %s failed: %s%s", listener.config.name, facts.remote_address, reason, more)

    def _close(self, counter: str, details: str, flags: str = "") -> None:
        """The connection is nobody's: it is closed, with a RST if something was said, and the listener's own log says why."""
        self._leave()
        self._listener.runtime.wheel.arm(self, NEVER)
        self._listener.counts.add(counter)
        self._log(flags, details)
        if self._data:
            reset(self._transport)
        else:
            self._transport.abort()

    def _log(self, flags: str, details: str, *further: Callable[[Session], object]) -> None:
        now = time.monotonic()
        session = Session(downstream=self.facts, started=now, started_wall=time.time(), phase=Phase.CLOSED, ended=now, flags=flags)
        session.details = details
        for observe in (*self._listener.config.observers, *further):
            observe(session)


def handler(runtime: "Runtime", chain: FilterChain, scope: Scope, facts: Downstream, alpn: str) -> asyncio.Protocol:
    """The protocol that a chain's terminal filter stands for; `alpn` is what a TLS client has agreed to, empty if nothing."""
    terminal = chain.terminal
    facts.buffer_limit = scope.buffer_limit
    if isinstance(terminal, HttpOptions):
        if terminal.codec is Codec.HTTP2 or (alpn == "h2" and terminal.codec is Codec.AUTO):
            return Http2Connection(runtime, terminal, scope, facts)
        return ServerConnection(runtime, terminal, scope, facts)
    return TcpConnection(runtime, terminal, scope, facts)
