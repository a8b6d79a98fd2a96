"""One try of each kind of probe. What goes wrong is a ProbeFailed whose message says what; the limit of time is the caller's."""

import asyncio
import contextlib
import ssl
from typing import Any

import grpc

from ..bootstrap.probe import Command, Grpc, HttpGet, ReadinessProbe, TcpSocket
from ..grpc_health import PATH, SERVING, check_request

_HOST = "localhost"


class ProbeFailed(Exception):
    """The application did not do what it should."""


async def attempt(probe: ReadinessProbe) -> None:
    """Try once. Raises ProbeFailed."""
    try:
        if probe.http_get is not None:
            await _http(probe.http_get)
        elif probe.tcp_socket is not None:
            await _tcp(probe.tcp_socket)
        elif probe.exec is not None:
            await _run(probe.exec)
        elif probe.grpc is not None:
            await _grpc(probe.grpc)
    except OSError as error:
        raise ProbeFailed(error.strerror or str(error)) from None


async def _http(wanted: HttpGet) -> None:
    status = await _status(wanted)
    if not 200 <= status < 400:
        raise ProbeFailed(f"GET {wanted.path} was answered with {status}")


async def _status(wanted: HttpGet) -> int:
    host = wanted.host or _HOST
    tls = _unverified() if wanted.scheme == "HTTPS" else None
    reader, writer = await asyncio.open_connection(host, wanted.port, ssl=tls)
    with contextlib.closing(writer):
        headers = {"Host": f"{host}:{wanted.port}", "User-Agent": "pymesh-probe", "Connection": "close"}
        headers |= {header.name: header.value for header in wanted.http_headers}
        lines = [f"GET {wanted.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        try:
            return _parsed(await reader.readline())
        except ValueError:  # so long a line is no status line
            raise ProbeFailed("the answer is no HTTP") from None


def _parsed(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit():
        raise ProbeFailed(f"the answer is no HTTP: {line[:40]!r}" if line else "the connection was closed without an answer")
    return int(code)


def _unverified() -> ssl.SSLContext:
    """As a kubelet probes: the certificate is not looked at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _tcp(wanted: TcpSocket) -> None:
    _, writer = await asyncio.open_connection(wanted.host or _HOST, wanted.port)
    writer.close()


async def _run(wanted: Command) -> None:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*wanted.command, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    if code:
        raise ProbeFailed(f"{wanted.command[0]} exited with {code}")


async def _grpc(wanted: Grpc) -> None:
    async with grpc.aio.insecure_channel(f"{_HOST}:{wanted.port}") as channel:
        call: Any = channel.unary_unary(PATH)
        try:
            answer = await call(check_request(wanted.service))
        except grpc.aio.AioRpcError as error:
            raise ProbeFailed(f"{PATH} ended with {error.code().name}") from None
    if answer != SERVING:
        raise ProbeFailed(f"{PATH} says that {wanted.service or 'the server'} is not serving")
