"""Readiness probes against servers that nobody here wrote."""

import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from pymesh.bootstrap.probe import ReadinessProbe
from pymesh.readiness.probes import ProbeFailed, attempt


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        good = self.path == "/ready" and self.headers["x-probe"] == "1"
        self.send_response(204 if good else 302 if self.path == "/moved" else 503)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def http_port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest_asyncio.fixture
async def grpc_port() -> AsyncIterator[int]:
    """A server that serves `up` and itself, as grpc.health.v1 says."""

    async def check(request: bytes, _context: Any) -> bytes:
        return b"\x08\x01" if request in (b"", b"\x0a\x02up") else b"\x08\x02"

    server = grpc.aio.server()
    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


async def outcome(**probe: Any) -> str:
    """Why the probe fails; empty when it does not."""
    try:
        await attempt(ReadinessProbe(**probe))
    except ProbeFailed as failed:
        return str(failed)
    return ""


async def test_http_is_asked_with_its_headers_and_may_be_redirected(http_port: int) -> None:
    headers = [{"name": "x-probe", "value": "1"}]
    assert await outcome(http_get={"path": "/ready", "port": http_port, "host": "127.0.0.1", "http_headers": headers}) == ""
    assert await outcome(http_get={"path": "/moved", "port": http_port, "host": "127.0.0.1"}) == ""
    assert await outcome(http_get={"path": "/ready", "port": http_port, "host": "127.0.0.1"}) == "GET /ready was answered with 503"


async def test_https_where_plain_http_is_spoken_fails(http_port: int) -> None:
    assert await outcome(http_get={"port": http_port, "host": "127.0.0.1", "scheme": "HTTPS"})


async def test_a_connection_is_enough_for_tcp(http_port: int, unused_tcp_port: int) -> None:
    assert await outcome(tcp_socket={"port": http_port, "host": "127.0.0.1"}) == ""
    assert await outcome(tcp_socket={"port": unused_tcp_port, "host": "127.0.0.1"})


async def test_a_program_says_by_its_exit_code() -> None:
    assert await outcome(exec={"command": ["true"]}) == ""
    assert await outcome(exec={"command": ["false"]}) == "false exited with 1"
    assert await outcome(exec={"command": ["/nowhere/at-all"]}) == "No such file or directory"


async def test_grpc_servers_are_asked_for_their_health(grpc_port: int, unused_tcp_port: int) -> None:
    assert await outcome(grpc={"port": grpc_port}) == ""
    assert await outcome(grpc={"port": grpc_port, "service": "up"}) == ""
    assert await outcome(grpc={"port": grpc_port, "service": "down"}) == "/grpc.health.v1.Health/Check says that down is not serving"
    assert await outcome(grpc={"port": unused_tcp_port}) == "/grpc.health.v1.Health/Check ended with UNAVAILABLE"
