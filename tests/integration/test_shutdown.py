"""SIGTERM to a proxy alone: unready at once, told with each answer, gone when the last connection is, or when its time is over."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Child, Command
from pymesh.local.supervisor import Supervisor
from tests.waiting import eventually

BOOTSTRAP = """
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {admin}}}}}}}
static_resources:
  listeners:
  - name: web
    address: {{socket_address: {{address: 127.0.0.1, port_value: {web}}}}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: /}}, route: {{cluster: up}}}}]}}]}}
          http_filters:
          - {{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
  - name: tcp
    address: {{socket_address: {{address: 127.0.0.1, port_value: {tcp}}}}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: up
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {up}}}}}}}}}]}}]
"""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            if b"content-length: 2" in head:
                assert await self.reader.readexactly(2) == b"ok"
        return head.lower()

    async def ended(self) -> bool:
        async with asyncio.timeout(30):
            return await self.reader.read(1) == b""


class Proxy:
    """A running proxy, its clients, and the upstream that answers when the test says so."""

    def __init__(self, child: Child, ports: dict[str, int], accepted: "asyncio.Queue[Connection]", session: aiohttp.ClientSession) -> None:
        self.child = child
        self.accepted = accepted
        self._ports = ports
        self._session = session

    async def connect(self, listener: str) -> Connection:
        return Connection(*await asyncio.open_connection(HOST, self._ports[listener]))

    async def served(self) -> Connection:
        """A client that has had an answer and keeps its connection."""
        client = await self.connect("web")
        client.writer.write(GET)
        upstream = await self.accepted.get()
        await upstream.head()
        upstream.writer.write(ANSWER.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        upstream.writer.close()
        assert b"connection: close" not in await client.head()
        return client

    async def ready(self) -> int:
        async with self._session.get(f"http://{HOST}:{self._ports['admin']}/ready") as answer:
            return answer.status


@asynccontextmanager
async def running(folder: Path, drain_time: str) -> AsyncIterator[Proxy]:
    accepted: asyncio.Queue[Connection] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(Connection(reader, writer))

    free = FreePorts()
    ports = {name: free.take() for name in ("web", "tcp", "admin")}
    path = folder / "bootstrap.yaml"
    async with contextlib.AsyncExitStack() as stack:
        server = await asyncio.start_server(serve, HOST, 0)
        stack.callback(server.close)
        path.write_text(BOOTSTRAP.format(up=server.sockets[0].getsockname()[1], **ports))
        supervisor = await stack.enter_async_context(Supervisor(folder))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        child = await supervisor.start(Command(name="proxy", argv=["pymesh-proxy", "-c", str(path), "--drain-time-s", drain_time]))
        await supervisor.ready(child, f"http://{HOST}:{ports['admin']}/ready")
        yield Proxy(child, ports, accepted, session)


async def test_it_is_unready_at_once_tells_with_each_answer_and_leaves_with_the_last(tmp_path: Path) -> None:
    async with running(tmp_path, "30") as proxy:
        idle = await proxy.served()
        busy = await proxy.connect("web")
        busy.writer.write(GET)
        upstream = await proxy.accepted.get()
        await upstream.head()
        waiting = await proxy.connect("web")  # has sent nothing yet
        proxy.child.signal(signal.SIGTERM)
        assert await eventually(proxy.ready, lambda status: status == 503)
        assert await idle.ended()
        waiting.writer.write(GET)
        late = await proxy.accepted.get()
        await late.head()
        for connection in (upstream, late):
            connection.writer.write(ANSWER)
        for client in (busy, waiting):
            assert b"connection: close" in await client.head()
            assert await client.ended()
        async with asyncio.timeout(30):
            assert await proxy.child.exit() == 0
        with pytest.raises(ConnectionRefusedError):
            await proxy.connect("web")


async def test_a_tunnel_lives_until_the_time_is_over(tmp_path: Path) -> None:
    async with running(tmp_path, "1") as proxy:
        client = await proxy.connect("tcp")
        upstream = await proxy.accepted.get()
        began = time.monotonic()
        proxy.child.signal(signal.SIGTERM)
        await eventually(proxy.ready, lambda status: status == 503)
        client.writer.write(b"still here")
        async with asyncio.timeout(30):
            assert await upstream.reader.readexactly(10) == b"still here"
            assert await proxy.child.exit() == 0
        assert time.monotonic() - began >= 1
        assert await client.ended()


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    async with running(tmp_path, "600") as proxy:
        client = await proxy.connect("tcp")  # held on to, as what is collected is closed
        await proxy.accepted.get()
        proxy.child.signal(signal.SIGTERM)
        await eventually(proxy.ready, lambda status: status == 503)
        proxy.child.signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await proxy.child.exit() == 0
        del client
