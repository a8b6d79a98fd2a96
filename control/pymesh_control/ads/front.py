"""TLS in front of the secure gRPC server, with client certificates that are optional but verified.

gRPC's Python server either requires a client certificate or never asks for one, while one port must serve both callers
that have their first certificate still to get and callers that are known by it. So TLS ends here, and each connection
goes on to the server through a Unix socket of its own name, in a folder that only this process' user can enter; the
name is what `context.peer()` shows there, and leads back to the certificate.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from pymesh.identity import SpiffeId
from pymesh_certs import svid
from pymesh_certs.errors import AuthenticationFailed

HANDSHAKE_TIMEOUT = 10.0
"""Seconds; a connection that does not speak TLS holds a socket for no longer."""

_CHUNK = 65536
_log = logging.getLogger("pymesh.ads.front")


def context(chain_pem: bytes, key_pem: bytes, roots_pem: bytes) -> ssl.SSLContext:
    """A server context for HTTP/2 that verifies a client certificate if one is shown."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["h2"])
    made.verify_mode = ssl.CERT_OPTIONAL
    made.load_verify_locations(cadata=roots_pem.decode())
    # A resumed session would outlive the certificate that was verified when it began: none is given out.
    made.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    made.num_tickets = 0
    install(made, chain_pem, key_pem)
    return made


def install(made: ssl.SSLContext, chain_pem: bytes, key_pem: bytes) -> None:
    """Use this certificate for connections from now on; those that are established keep theirs."""
    with tempfile.NamedTemporaryFile() as file:  # mode 0600; the ssl module reads keys from files only
        file.write(key_pem + chain_pem)
        file.flush()
        made.load_cert_chain(file.name)


class TlsFront:
    """Listens with TLS and passes decrypted connections to `address`, where an insecure gRPC server is to be bound."""

    def __init__(self, tls: ssl.SSLContext, clock: Callable[[], float] = time.time) -> None:
        self._tls = tls
        self._clock = clock
        self._folder = tempfile.TemporaryDirectory(prefix="pymesh-")
        self._path = str(Path(self._folder.name) / "grpc")
        self._numbers = itertools.count(1)
        self._identities: dict[str, SpiffeId | None] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """The gRPC address behind the front."""
        return f"unix:{self._path}"

    def identity_of(self, peer: str) -> SpiffeId | None:
        """The identity of a connection by its `context.peer()`; None when it showed no certificate, or none with a SPIFFE id."""
        return self._identities.get(peer)

    async def start(self, listening: socket.socket) -> None:
        """Accept connections on a socket that is bound already."""
        self._server = await asyncio.start_server(self._serve, sock=listening, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_TIMEOUT)

    async def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()  # closing TLS politely would wait for peers that may not answer
        self._folder.cleanup()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = f"{self._path}-{next(self._numbers)}"
        peer = f"unix:{name}"
        address = writer.get_extra_info("peername")
        self._identities[peer] = self._identity(writer.get_extra_info("ssl_object").getpeercert(binary_form=True), address)
        self._writers.add(writer)
        try:
            inner_reader, inner_writer = await self._connect(name)
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        except OSError as error:
            _log.warning("connection from %s: the server behind cannot be reached: %s", address, error)
        finally:
            del self._identities[peer]
            self._writers.discard(writer)
            writer.close()

    def _identity(self, der: bytes | None, address: object) -> SpiffeId | None:
        """Whom a certificate that TLS has verified names; None if there is none, or it names no workload, or not any more."""
        if der is None:
            return None
        try:
            certificate = x509.load_der_x509_certificate(der)
            if certificate.not_valid_after_utc.timestamp() < self._clock():  # TLS 1.2 resumes by session id, tickets or not
                raise AuthenticationFailed("it has expired since its session began")
            return svid.identity_of(certificate)
        except (AuthenticationFailed, ValueError) as error:
            _log.warning("the certificate of %s identifies nobody: %s", address, error)
            return None

    async def _connect(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        inner = socket.socket(socket.AF_UNIX)
        inner.setblocking(False)
        inner.bind(name)
        os.unlink(name)  # the name stays with the socket; the file is not needed
        await asyncio.get_running_loop().sock_connect(inner, self._path)
        return await asyncio.open_unix_connection(sock=inner)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until either end is gone; closing the one then ends the copy of the other direction."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()
