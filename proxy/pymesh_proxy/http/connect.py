"""CONNECT upstream: answers that begin a tunnel, and tunnels that end here in a TCP connection to a cluster (`connect_config`)."""

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from pymesh.tasks import spawn

from ..errors import Cause
from ..tls.layer import TlsLayer
from ..upstream.dial import DialFailed, dial
from .headers import RequestHead, ResponseHead
from .stream import Framing, Phase

if TYPE_CHECKING:
    from ..route.table import Forward
    from ..runtime import Runtime
    from ..tls.peer import PeerCertificate
    from ..upstream.breaker import Breaker
    from ..upstream.cluster import Cluster
    from ..upstream.endpoint import Endpoint
    from .attempts import Attempts
    from .h1_client import ClientConnection

_END = b"\r\n\r\n"


class ConnectAnswer:
    """A parser of answers to CONNECT: it is given head after head, since behind a 2xx there is a tunnel and no body."""

    def __init__(self, connection: "ClientConnection") -> None:
        self._connection = connection
        self._parser = httptools.HttpResponseParser(connection)
        self._head = b""
        self._refused = False
        """A final answer other than 2xx has begun; it has a body like any."""

    def get_status_code(self) -> int:
        """The status of the head that was fed last."""
        return int(self._parser.get_status_code())

    def should_keep_alive(self) -> bool:
        """Never: what follows a refused tunnel is not trusted."""
        return False

    def feed_data(self, data: bytes) -> None:
        """As httptools does; raises HttpParserUpgrade with the offset behind a 2xx."""
        rest = data
        while rest and not self._refused:
            held = len(self._head)
            head, end, after = (self._head + rest).partition(_END)
            if not end:
                self._head = head
                return
            self._head = b""
            self._parser.feed_data(head + end)
            if self._connection.switched:
                raise httptools.HttpParserUpgrade(len(data) - len(after))
            self._refused = self._parser.get_status_code() >= 200
            rest = rest[len(head) + len(end) - held :]
        if rest:
            self._parser.feed_data(rest)


class Tunnel(asyncio.Protocol):
    """A TCP connection that a CONNECT ends in; to the exchange, an upstream that agrees at once."""

    def __init__(self, cluster: "Cluster", endpoint: "Endpoint", breaker: "Breaker") -> None:
        self._cluster = cluster
        self._endpoint = endpoint
        self._breaker = breaker
        self._early = b""
        self._counted = True
        self.local_address = ""
        self.peer: PeerCertificate | None = None
        self.lost = False
        self.transport: asyncio.Transport
        breaker.connections += 1
        cluster.upstream_cx_total += 1
        endpoint.cx_active += 1
        endpoint.cx_total += 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.pause_reading()
        limit = self._cluster.config.buffer_limit
        self.transport.set_write_buffer_limits(high=limit, low=limit // 2)
        self.peer = transport.peer if isinstance(transport, TlsLayer) else None
        name = transport.get_extra_info("sockname")
        self.local_address = f"{name[0]}:{name[1]}" if isinstance(name, tuple) else ""

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.uncount()

    def start(self, attempts: "Attempts", body: list[bytes] | None) -> None:
        """Agree; a CONNECT has no body."""
        attempts.on_tunnel(ResponseHead(200, []), self._early)

    def send_body(self, data: bytes, end: bool) -> None:
        """Nothing of a CONNECT is a body."""

    def send_end(self) -> None:
        """Nor has it an end of its own."""

    def pause_reading(self) -> None:
        """Nothing is read before the tunnel stands."""

    def resume_reading(self) -> None:
        """Nor then: the relay reads."""

    def discard(self) -> None:
        self.transport.abort()

    def leave(self) -> asyncio.Transport:
        return self.transport

    def left(self) -> None:
        self.uncount()

    def uncount(self) -> None:
        """The cluster no longer counts this connection."""
        if self._counted:
            self._counted = False
            self._breaker.connections -= 1
            self._endpoint.cx_active -= 1
            self._cluster.upstream_cx_destroy += 1


class RawPost(Tunnel):
    """A TCP connection that gets the body of a POST, and gives that of its answer."""

    _attempts: "Attempts | None" = None

    def start(self, attempts: "Attempts", body: list[bytes] | None) -> None:
        """Send what there is of the body, and answer."""
        self._attempts = attempts
        self.transport.writelines(body or ())
        if attempts.complete:
            self.send_end()
        attempts.on_head(ResponseHead(200, []), Framing.CHUNKED)
        self.transport.resume_reading()  # first: a slow client may stop it again
        if self._early:
            attempts.on_body(self._early)
        attempts.flush()

    def data_received(self, data: bytes) -> None:
        attempts = self._attempts
        if attempts is None:
            self._early += data
            return
        attempts.on_body(data)
        attempts.flush()

    def eof_received(self) -> bool:
        attempts, self._attempts = self._attempts, None
        if attempts is not None:
            attempts.on_end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        attempts, self._attempts = self._attempts, None
        if attempts is not None:
            attempts.on_broken("connection_termination")

    def pause_writing(self) -> None:
        if self._attempts is not None:
            self._attempts.pause_upload()

    def resume_writing(self) -> None:
        if self._attempts is not None:
            self._attempts.resume_upload()

    def send_body(self, data: bytes, end: bool) -> None:
        self.transport.write(data)
        if end:
            self.send_end()

    def send_end(self) -> None:
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self.transport.resume_reading()

    def discard(self) -> None:
        self._attempts = None
        self.transport.abort()


def ends_here(forward: "Forward", head: RequestHead) -> bool:
    """Whether a request to such a route becomes a TCP connection."""
    return head.method == b"CONNECT" or (forward.terminates_post and head.method == b"POST")


def open_tunnel(attempts: "Attempts", runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", breaker: "Breaker") -> None:
    """Connect to the endpoint; `on_connection` or `on_failed` is called when it is known how that went."""
    if not breaker.admits_request():
        cluster.upstream_rq_active_overflow += 1
        attempts.on_failed(Cause.OVERFLOW, sent=False)
        return
    if endpoint.cx_active and not breaker.admits_connection(endpoint.cx_active):
        cluster.upstream_cx_overflow += 1
        attempts.on_failed(Cause.OVERFLOW, sent=False)
        return
    spawn(_open(attempts, runtime, cluster, endpoint, breaker), name=f"tunnel {endpoint.config.address}")


async def _open(attempts: "Attempts", runtime: "Runtime", cluster: "Cluster", endpoint: "Endpoint", breaker: "Breaker") -> None:
    kind = Tunnel if attempts.head.method == b"CONNECT" else RawPost
    tunnel = kind(cluster, endpoint, breaker)
    try:
        await dial(runtime, cluster, endpoint, tunnel, attempts.exchange.downstream, override=attempts.exchange.override)
    except DialFailed as failed:
        tunnel.uncount()
        endpoint.cx_connect_fail += 1
        cluster.upstream_cx_connect_fail += 1
        if attempts.phase is Phase.CONNECTING:
            attempts.on_failed(failed.cause, failed.reason, sent=False)
        return
    if attempts.phase is not Phase.CONNECTING:  # nobody waits any more
        tunnel.discard()
    elif tunnel.lost:
        attempts.on_failed(Cause.UPSTREAM_CLOSED, sent=False)
    else:
        attempts.on_connection(tunnel)
