"""More than there is room for: connections by the thousand, no file descriptors left, and clients that do not read."""

import asyncio
import contextlib
import re
import resource
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import hpack
import pytest
from hyperframe.frame import HeadersFrame, SettingsFrame

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
    tcp_backlog_size: 4096
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - {{match: {{path: /endless}}, route: {{cluster: up, timeout: 0s}}}}
              - {{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: hello}}}}}}
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
    per_connection_buffer_limit_bytes: 262144
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {up}}}}}}}}}]}}]
"""
_PROXY = str(Path(sys.executable).with_name("pymesh-proxy"))
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Proxy:
    """A running proxy and what can be seen of it from outside."""

    def __init__(self, child: Child, ports: dict[str, int]) -> None:
        self.child = child
        self.ports = ports

    def memory(self) -> int:
        """Resident bytes."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.child.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    def cpu(self) -> int:
        """Hundredths of a second so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    async def stat(self, name: str) -> int:
        url = f"http://{HOST}:{self.ports['admin']}/stats"
        async with aiohttp.ClientSession() as session, session.get(url, params={"filter": name}) as answer:
            return int((await answer.text()).rpartition(": ")[2])

    async def connect(self, many: int) -> list[socket.socket]:
        """Sockets whose connections are under way or stand."""
        made = []
        for number in range(many):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex((HOST, self.ports["web"]))
            made.append(sock)
            if number % 200 == 199:
                await asyncio.sleep(0)
        return made


async def answered(sockets: list[socket.socket]) -> int:
    """How many of them get an answer to a request; the others are closed. All at the same time."""
    loop = asyncio.get_running_loop()

    async def ask(sock: socket.socket) -> bool:
        try:
            await loop.sock_sendall(sock, GET)
            return (await loop.sock_recv(sock, 1000)).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    async with asyncio.timeout(30):
        return sum(await asyncio.gather(*map(ask, sockets)))


@asynccontextmanager
async def running(folder: Path, *, descriptors: int | None = None, up: int = 1) -> AsyncIterator[Proxy]:
    free = FreePorts()
    ports = {name: free.take() for name in ("web", "tcp", "admin")}
    path = folder / "bootstrap.yaml"
    path.write_text(BOOTSTRAP.format(up=up, **ports))
    limited = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"] if descriptors else []
    async with Supervisor(folder) as supervisor:
        child = await supervisor.start(Command(name="proxy", argv=[*limited, _PROXY, "-c", str(path)]))
        await supervisor.ready(child, f"http://{HOST}:{ports['admin']}/ready")
        yield Proxy(child, ports)


async def test_ten_thousand_idle_connections_cost_little_and_are_all_served(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 11_000:
        pytest.skip(f"this user may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 11_000), hard))
    async with running(tmp_path) as proxy:
        before = proxy.memory()
        sockets = await proxy.connect(10_000)
        await eventually(lambda: proxy.stat(f"{proxy.ports['web']}.downstream_cx_active"), lambda active: active == 10_000)
        assert (proxy.memory() - before) / 10_000 < 8 * 1024
        assert await answered(sockets) == 10_000
        for sock in sockets:
            sock.close()
        await eventually(lambda: proxy.stat(f"{proxy.ports['web']}.downstream_cx_active"), lambda active: active == 0)


async def test_without_descriptors_connections_are_refused_by_name_and_the_others_served(tmp_path: Path) -> None:
    async with running(tmp_path, descriptors=200) as proxy:
        sockets = await proxy.connect(400)
        served = await answered(sockets)
        assert 100 < served < 180
        overflow = f"{proxy.ports['web']}.downstream_cx_overflow"
        assert await eventually(lambda: proxy.stat(overflow)) == 400 - served  # the admin interface still answers, too
        busy = proxy.cpu()
        await asyncio.sleep(0.5)
        assert proxy.cpu() - busy < 10
        log = proxy.child.log.read_text()
        assert re.search(r"ERROR \S+: listener web: connection from \S+ refused, file descriptors run out \(ulimit -n is 200\)", log)
        assert log.count("file descriptors run out") == 1
        for sock in sockets:
            sock.close()
        await eventually(lambda: proxy.stat(f"{proxy.ports['web']}.downstream_cx_active"), lambda active: active == 0)
        again = await proxy.connect(50)
        assert await answered(again) == 50
        for sock in again:
            sock.close()


@pytest.mark.parametrize("listener", ["tcp", "web"])
async def test_clients_that_do_not_read_hold_the_upstream_up_and_little_memory(tmp_path: Path, listener: str) -> None:
    sent: list[int] = []

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = len(sent)
        sent.append(0)
        with contextlib.suppress(ConnectionError):
            await reader.read(1)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent[mine] += 65536

    server = await asyncio.start_server(endless, HOST, 0)
    async with server, running(tmp_path, up=server.sockets[0].getsockname()[1]) as proxy:
        before = proxy.memory()
        clients = []
        for _ in range(10):
            reader, writer = await asyncio.open_connection(HOST, proxy.ports[listener], limit=1)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            clients.append((reader, writer))

        async def still() -> bool:
            """Whether nothing moved for a while."""
            seen = sum(sent)
            await asyncio.sleep(0.3)
            return len(sent) == 10 and min(sent) > 0 and sum(sent) == seen

        await eventually(still)
        assert proxy.memory() - before < 10 * 4 * 1024 * 1024
        fresh = await proxy.connect(1)
        assert await answered(fresh) == 1
        for sock in fresh:
            sock.close()
        for _, writer in clients:
            writer.transport.abort()


async def test_a_thousand_streams_that_may_not_send_hold_little_of_their_answers(tmp_path: Path) -> None:
    """Each has an answer of 1 MiB waiting at an HTTP/1.1 upstream; the client's windows are closed."""
    started: list[asyncio.StreamWriter] = []

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + bytes(2**20))
            started.append(writer)

    listening = socket.create_server((HOST, 0), backlog=1024)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    server = await asyncio.start_server(large, sock=listening)
    async with server, running(tmp_path, up=listening.getsockname()[1]) as proxy:
        before = proxy.memory()
        reader, writer = await asyncio.open_connection(HOST, proxy.ports["web"])
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 0}).serialize())
        fields = [(":method", "GET"), (":scheme", "http"), (":path", "/endless"), (":authority", "a")]
        block = bytes(hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields]))
        for number in range(1000):
            writer.write(HeadersFrame(2 * number + 1, block, flags=["END_HEADERS", "END_STREAM"]).serialize())
        heads, heard = 0, b""
        async with asyncio.timeout(60):
            while heads < 1000:
                heard += await reader.read(65536)
                while len(heard) >= 9 and len(heard) >= 9 + int.from_bytes(heard[:3], "big"):
                    heads += heard[3] == HeadersFrame.type
                    heard = heard[9 + int.from_bytes(heard[:3], "big") :]
        fresh = await proxy.connect(1)
        assert await answered(fresh) == 1
        assert proxy.memory() - before < 64 * 1024 * 1024, "of 1000 MiB"
        for sock in fresh:
            sock.close()
        writer.transport.abort()
        for each in started:
            each.transport.abort()
