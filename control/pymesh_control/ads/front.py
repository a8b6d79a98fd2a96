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
from pathlib import Path
from typing import Any

from pymesh import identity

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

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._folder = tempfile.TemporaryDirectory(prefix="pymesh-")
        self._path = str(Path(self._folder.name) / "grpc")
        self._numbers = itertools.count(1)
        self._identities: dict[str, identity.SpiffeId | None] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """The gRPC address behind the front."""
        return f"unix:{self._path}"

    def identity_of(self, peer: str) -> identity.SpiffeId | None:
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
        self._identities[peer] = _identity(writer.get_extra_info("peercert"))
        self._writers.add(writer)
        try:
            inner_reader, inner_writer = await self._connect(name)
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        except OSError as error:
            _log.debug("connection from %s: %s", writer.get_extra_info("peername"), error)
        finally:
            del self._identities[peer]
            self._writers.discard(writer)
            writer.close()

    async def _connect(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        inner = socket.socket(socket.AF_UNIX)
        inner.setblocking(False)
        inner.bind(name)
        os.unlink(name)  # the name stays with the socket; the file is not needed
        await asyncio.get_running_loop().sock_connect(inner, self._path)
        return await asyncio.open_unix_connection(sock=inner)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        with contextlib.suppress(OSError):
            writer.close()


def _identity(certificate: dict[str, Any] | None) -> identity.SpiffeId | None:
    """The one URI of a verified certificate (SPIFFE X509-SVID section 2: exactly one); None if it is no SPIFFE id."""
    names = (certificate or {}).get("subjectAltName", ())
    uris = [value for kind, value in names if kind == "URI"]
    if len(uris) != 1:
        return None
    try:
        return identity.parse(uris[0])
    except identity.InvalidSpiffeId as error:
        _log.warning("a client's certificate does not name a workload: %s", error)
        return None
