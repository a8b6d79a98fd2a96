"""A connection between accept and its filter chain: where it was going, what it speaks, who treats it from here on."""

import asyncio
import ipaddress
import socket
import struct
import time
from typing import TYPE_CHECKING, cast

from ..http.exchange import Downstream
from ..http.h1_server import ServerConnection
from ..http.options import Codec, HttpOptions
from ..http2.server import ServerConnection as Http2Connection
from ..tcp.proxy import TcpConnection
from ..tcp.session import Phase, Session
from ..tls.contexts import HANDSHAKE_TIMEOUT, SecretsMissing
from ..tls.layer import TlsLayer
from ..wheel import NEVER
from . import detect
from .config import FilterChain
from .match import Traits

if TYPE_CHECKING:
    from .manager import Listener

_SO_ORIGINAL_DST = 80
"""linux/netfilter_ipv4.h; the same number for IPv6."""


def split(name: object) -> tuple[str, int]:
    """Host and port of a socket name; a Unix socket's peer has neither."""
    if isinstance(name, tuple):
        return str(name[0]), int(name[1])
    return "", 0


def original_destination(sock: socket.socket) -> tuple[str, int] | None:
    """The address that iptables REDIRECT replaced; None when there is no such record."""
    try:
        if sock.family == socket.AF_INET6:
            raw = sock.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
            port, _, address = struct.unpack_from("!2xHI16s", raw)
            return str(ipaddress.IPv6Address(address)), port
        raw = sock.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16)
        port, address = struct.unpack_from("!2xH4s", raw)
        return str(ipaddress.IPv4Address(address)), port
    except OSError:
        return None


class Accepted(asyncio.Protocol):
    """A connection that has no filter chain yet."""

    __slots__ = ("_data", "_hello", "_http", "_listener", "_transport", "deadline", "facts", "traits", "wake")

    def __init__(self, listener: "Listener") -> None:
        self._listener = listener
        self._data = b""
        self._hello: detect.ClientHello | detect.Verdict = detect.Verdict.NEED_MORE
        self._http: str | detect.Verdict = detect.Verdict.NEED_MORE
        self.deadline = self.wake = NEVER

    def __repr__(self) -> str:
        return f"<Accepted on {self._listener.config.name} {len(self._data)} bytes sniffed>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        receiving = self._listener
        receiving.manager.arriving.add(self)
        source = split(transport.get_extra_info("peername"))
        destination = split(transport.get_extra_info("sockname"))
        config = receiving.config
        original = original_destination(transport.get_extra_info("socket")) if config.original_dst else None
        if original is not None:
            destination = original
            if config.use_original_dst:
                self._listener = receiving.manager.virtual(original) or receiving
        config = self._listener.config
        self.traits = Traits(destination_ip=destination[0], destination_port=destination[1], source_ip=source[0], source_port=source[1])
        self.facts = Downstream(
            remote_address=f"{source[0]}:{source[1]}",
            local_address=f"{destination[0]}:{destination[1]}",
            connection_id=receiving.manager.next_connection(),
            listener=config.name,
            direction=config.direction,
            original_destination=original or destination,
        )
        if not (config.tls_inspector or config.http_inspector):
            self._choose()
        elif config.filters_timeout:
            self._wheel_arm(config.filters_timeout)

    def _wheel_arm(self, seconds: float) -> None:
        runtime = self._listener.runtime
        runtime.wheel.arm(self, runtime.loop.time() + seconds)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._inspected():
            self._choose()

    def _inspected(self) -> bool:
        """Look at what there is; False while more bytes are needed."""
        config = self._listener.config
        traits = self.traits
        if config.tls_inspector and self._hello is detect.Verdict.NEED_MORE:
            self._hello = detect.client_hello(self._data)
            if self._hello is detect.Verdict.NEED_MORE:
                return False
            if isinstance(self._hello, detect.ClientHello):
                traits.transport_protocol = "tls"
                traits.server_name = self._hello.server_name
                traits.application_protocols = self._hello.alpn
        if config.http_inspector and traits.transport_protocol != "tls":
            self._http = detect.http(self._data)
            if self._http is detect.Verdict.NEED_MORE:
                return False
            if isinstance(self._http, str):
                traits.application_protocols = (self._http,)
        return True

    def on_deadline(self, now: float) -> None:
        """listener_filters_timeout: go on with what is known, or close (envoy-behaviour 4.2)."""
        if self._listener.config.continue_on_timeout:
            self._choose()
        else:
            self._transport.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        self._listener.runtime.wheel.arm(self, NEVER)

    def _leave(self) -> None:
        """Somebody else treats this connection from here on, or nobody any more."""
        self._listener.manager.arriving.discard(self)

    def _choose(self) -> None:
        listener = self._listener
        listener.runtime.wheel.arm(self, NEVER)
        chain = listener.config.matcher.find(self.traits)
        if chain is None:
            self._refuse()
            return
        self.facts.filter_chain = chain.name
        self.facts.sni = self.traits.server_name
        if chain.tls is None:
            self._hand_over(self._handler(chain))
        else:
            self._terminate_tls(chain)

    def _handler(self, chain: FilterChain, alpn: str = "") -> asyncio.Protocol:
        self._leave()
        return self._listener.handler(chain, self.facts, alpn)

    def _hand_over(self, protocol: asyncio.Protocol) -> None:
        transport = self._transport
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._data:
            protocol.data_received(self._data)

    def _terminate_tls(self, chain: FilterChain) -> None:
        listener = self._listener
        server = listener.tls(chain)

        def ready(layer: TlsLayer) -> asyncio.Protocol:
            self.facts.tls_version = layer.version
            self.facts.peer = layer.peer
            self.facts.local_uri_san = server.local_uri_san
            return self._handler(chain, layer.alpn)

        try:
            layer = server.layer(ready, self._tls_failed)
        except SecretsMissing as missing:
            self._tls_failed(str(missing))
            self._transport.abort()
            return
        layer.limit_handshake(listener.runtime.loop.time() + (chain.tls_handshake_timeout or HANDSHAKE_TIMEOUT))
        self._hand_over(layer)

    def _tls_failed(self, reason: str) -> None:
        self._leave()
        self._listener.scope.ssl_failed(reason)
        self._log("", f"TLS error: {reason}")

    def _refuse(self) -> None:
        """No filter chain: the connection is reset, and the listener's own log says so (flag NR)."""
        self._leave()
        self._listener.scope.no_filter_chain_match += 1
        self._log("NR", "filter_chain_not_found")
        self._transport.abort()

    def _log(self, flags: str, details: str) -> None:
        now = time.monotonic()
        session = Session(downstream=self.facts, started=now, started_wall=time.time(), phase=Phase.CLOSED, ended=now, flags=flags)
        session.details = details
        for observe in self._listener.config.observers:
            observe(session)


def handler(listener: "Listener", chain: FilterChain, facts: Downstream, alpn: str) -> asyncio.Protocol:
    """The protocol that a chain's terminal filter stands for; `alpn` is what a TLS client has agreed to, empty if nothing."""
    terminal = chain.terminal
    if isinstance(terminal, HttpOptions):
        if terminal.codec is Codec.HTTP2 or (alpn == "h2" and terminal.codec is Codec.AUTO):
            return Http2Connection(listener.runtime, terminal, listener.scope, facts)
        return ServerConnection(listener.runtime, terminal, listener.scope, facts)
    return TcpConnection(listener.runtime, terminal, listener.scope, facts)
