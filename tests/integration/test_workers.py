"""Several workers behind one port: counted as one, and the death of one is felt by its own connections only."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from pymesh.local.ports import HOST, FreePorts
from pymesh.local.process import Child, Command
from pymesh.local.supervisor import Supervisor
from pymesh.tasks import spawn
from tests.waiting import eventually

WORKERS = 2
CONNECTIONS = 24
"""So many that either worker has some."""

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
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, direct_response: {{status: 200, body: {{inline_string: hello}}}}}}]
          http_filters:
          - {{name: router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
"""


class Proxy:
    """A running proxy, and a client of it."""

    def __init__(self, child: Child, session: aiohttp.ClientSession, web: int, admin: int) -> None:
        self.child = child
        self._session = session
        self._web = web
        self._admin = admin

    async def workers(self) -> set[int]:
        """The process ids of the workers."""
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()  # noqa: ASYNC240  a file of the kernel's
        return set(map(int, children.split()))

    async def stat(self, name: str) -> int:
        """A number of all workers together."""
        async with self._session.get(f"http://{HOST}:{self._admin}/stats", params={"filter": f"^{name}$"}) as answer:
            return int((await answer.text()).rpartition(": ")[2])

    async def listening(self) -> int:
        """How many sockets listen on the port (Linux's table of them: the local port in hex, 0A for listening)."""
        table = Path("/proc/net/tcp").read_text()  # noqa: ASYNC240  a file of the kernel's
        return len(re.findall(rf"^ *\d+: \w+:{self._web:04X} \w+:\w+ 0A ", table, re.MULTILINE))

    async def connect(self) -> "Client":
        return Client(*await asyncio.open_connection(HOST, self._web))


class Client:
    """A kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def get(self) -> bool:
        """Whether a request is answered; False when the connection is gone."""
        try:
            self._writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            async with asyncio.timeout(30):
                head = await self._reader.readuntil(b"\r\n\r\n")
                return head.startswith(b"HTTP/1.1 200") and await self._reader.readexactly(5) == b"hello"
        except (ConnectionError, asyncio.IncompleteReadError):
            return False

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Proxy]:
    ports = FreePorts()
    web, admin = ports.take(), ports.take()
    path = folder / "bootstrap.yaml"
    path.write_text(BOOTSTRAP.format(web=web, admin=admin))
    async with Supervisor(folder) as supervisor, aiohttp.ClientSession() as session:
        argv = ["pymesh-proxy", "-c", str(path), "--concurrency", str(WORKERS)]
        proxy = Proxy(await supervisor.start(Command(name="proxy", argv=argv)), session, web, admin)
        await supervisor.ready(proxy.child, f"http://{HOST}:{admin}/ready")
        await eventually(proxy.listening, lambda sockets: sockets == WORKERS)
        yield proxy


async def test_a_killed_worker_is_replaced_and_only_its_own_connections_are_lost(tmp_path: Path) -> None:
    async with running(tmp_path) as proxy:
        kept = [await proxy.connect() for _ in range(CONNECTIONS)]
        assert all([await client.get() for client in kept])
        assert await proxy.stat("http.web.downstream_rq_total") == CONNECTIONS
        assert await proxy.stat(r"listener\..*\.downstream_cx_active") == CONNECTIONS
        before = await proxy.workers()
        victim = min(before)
        fresh: list[bool] = []
        over = asyncio.Event()

        async def newcomers() -> None:
            """New connections all the while, one after the other."""
            while not over.is_set():
                client = await proxy.connect()
                fresh.append(await client.get())
                client.close()

        coming = spawn(newcomers(), name="newcomers")
        os.kill(victim, signal.SIGKILL)
        survivors = [await client.get() for client in kept]
        assert 0 < sum(survivors) < CONNECTIONS
        after = await eventually(proxy.workers, lambda workers: len(workers - {victim}) == WORKERS)
        await eventually(proxy.listening, lambda sockets: sockets == WORKERS)
        over.set()
        await coming
        # One that was waiting to be accepted by the worker when it was killed is its own, too.
        assert any(fresh)
        assert fresh.count(False) <= 1
        assert before & after - {victim} == before - {victim}
        for client in kept:
            client.close()
    assert re.search(r"worker \d ended with -9; starting it again", proxy.child.log.read_text())


async def test_all_workers_leave_in_order_with_their_parent(tmp_path: Path) -> None:
    async with running(tmp_path) as proxy:
        kept = [await proxy.connect() for _ in range(CONNECTIONS)]
        assert all([await client.get() for client in kept])
        workers = await proxy.workers()
        assert len(workers) == WORKERS
        proxy.child.signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await proxy.child.exit() == 0
        assert not any(os.path.exists(f"/proc/{worker}") for worker in workers)  # noqa: ASYNC240
        with pytest.raises(ConnectionRefusedError):
            await proxy.connect()
