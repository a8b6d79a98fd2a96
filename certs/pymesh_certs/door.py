"""The mesh's secure port: TLS that asks for a client certificate without insisting, in front of a gRPC server.

On Istio's port 15012 a workload without a certificate fetches its first one (join token) and workloads with one renew it and
read their configuration (mutual TLS). gRPC's Python server can demand a certificate or not ask, but not ask politely. So TLS
ends here, and the bytes go on to the gRPC server over a Unix socket in a directory that only this user may enter. The near end
of each such connection is bound to a name of its own, which gRPC reports as the peer: that is how a call finds its certificate.
"""

import asyncio
import contextlib
import itertools
import logging
import shutil
import socket
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from pymesh import tasks

from . import files, svid
from .authority import SERVER_TTL, Authority
from .errors import AuthenticationFailed
from .peer import Context, TlsPeer

_log = logging.getLogger("pymesh.certs.door")

HANDSHAKE_TIMEOUT = 10.0
"""Seconds; asyncio's default of 60 would let idle strangers hold connections."""

_CHUNK = 64 * 1024
_LOOPBACK = ("127.0.0.1", "::1")

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class SecureDoor:
    """Terminates TLS for one gRPC server. `backend` is the address to give to `add_insecure_port`."""

    def __init__(self, authority: Authority, dns_names: Sequence[str], ips: Sequence[str] = _LOOPBACK) -> None:
        self._authority = authority
        self._names = (tuple(dns_names), tuple(ips))
        self._directory = Path(tempfile.mkdtemp(prefix="pymesh-door-"))  # mkdtemp makes it 0700
        self._socket = self._directory / "grpc"
        self._numbers = itertools.count()
        self._peers: dict[str, TlsPeer] = {}
        self._context = self._tls()
        self._server: asyncio.Server | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def backend(self) -> str:
        return f"unix:{self._socket}"

    @property
    def port(self) -> int:
        assert self._server is not None, "the door is not open"
        return int(self._server.sockets[0].getsockname()[1])

    def peer_of(self, context: Context) -> TlsPeer | None:
        """Who makes a call; None when it did not come through this door."""
        return self._peers.get(context.peer())

    async def open(self, host: str, port: int) -> None:
        """Listen; the gRPC server must have been started. Raises OSError when the address cannot be bound."""
        self._server = await asyncio.start_server(self._accepted, host, port, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_TIMEOUT)
        self._renewal = tasks.spawn(self._renewing(), name="certificate of the secure port")

    async def close(self) -> None:
        """Stop listening, end what is connected, and leave no file behind."""
        if self._server is not None:
            self._server.close()
        running = [task for task in (self._renewal, *self._connections) if task is not None]
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _renewing(self) -> None:
        while True:
            await asyncio.sleep(SERVER_TTL.total_seconds() / 2)
            self._load_certificate(self._context)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2  # stock Envoy's client speaks no more unless told to
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
        context.num_tickets = 0  # a resumed session would skip the check of a certificate that has expired since
        context.set_alpn_protocols(["h2"])
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self._authority.root_pem.decode())
        self._load_certificate(context)
        return context

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        """OpenSSL reads a chain from files only; they are private and gone when this returns."""
        chain, key = self._authority.issue_server(*self._names)
        path = self._directory / "pair.pem"
        files.write(path, key + chain)
        try:
            context.load_cert_chain(path)
        finally:
            path.unlink()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._connected(reader, writer)
        except OSError as error:
            _log.debug("connection ended: %s", error)
        except AuthenticationFailed as failure:
            _log.warning("connection from %s refused: %s", writer.get_extra_info("peername"), failure)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _peer(writer.get_extra_info("ssl_object"))
        near = self._directory / f"{next(self._numbers)}"
        name = f"unix:{near}"
        self._peers[name] = peer
        try:
            back = await self._dial(near)
            try:
                await _splice((reader, writer), back)
            finally:
                back[1].close()
        finally:
            del self._peers[name]

    async def _dial(self, near: Path) -> Stream:
        raw = _bound(near)
        try:
            await asyncio.get_running_loop().sock_connect(raw, str(self._socket))
        except BaseException:
            raw.close()
            raise
        return await asyncio.open_unix_connection(sock=raw)


def _bound(near: Path) -> socket.socket:
    """A socket whose address is `near`. The name outlives the file, and only the name is wanted."""
    raw = socket.socket(socket.AF_UNIX)
    raw.setblocking(False)
    raw.bind(str(near))
    near.unlink()
    return raw


def _peer(tls: ssl.SSLObject) -> TlsPeer:
    """Who is behind a finished handshake; raises AuthenticationFailed for a certificate that names no workload."""
    der = tls.getpeercert(binary_form=True)
    if der is None:
        return TlsPeer(None)
    try:
        certificate = x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise AuthenticationFailed(f"the certificate does not parse: {error}") from None
    return TlsPeer(svid.identity_of(certificate))


async def _splice(front: Stream, back: Stream) -> None:
    """Copy both ways until either side is done; HTTP/2 has no use for a half-open connection."""
    copies = [
        tasks.spawn(_copy(front[0], back[1]), name="door inwards"),
        tasks.spawn(_copy(back[0], front[1]), name="door outwards"),
    ]
    try:
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for copy in copies:
            copy.cancel()
        await asyncio.wait(copies)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(_CHUNK):
            sink.write(chunk)
            await sink.drain()
