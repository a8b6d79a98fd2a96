"""TCP connections through a real Envoy and through us: how each ends at both sides, and what the log says of it."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pymesh.local.ports import FreePorts
from pymesh.tasks import spawn

from .twins import HOST, Twin, Twins, twins

LOG = """
          access_log:
          - name: f
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format:
                text_format_source:
                  inline_string: "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_TRANSPORT_FAILURE_REASON% %RESPONSE_CODE%\\n"
"""  # noqa: E501


def proxy(options: str) -> str:
    return f"""
    - filters:
      - name: t
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          {options}{LOG}"""


def listener(name: str, options: str, extra: str = "") -> str:
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: ${name.upper()}}}}}
    {extra}
    filter_chains: {proxy(options)}"""


def cluster(name: str, endpoints: str = "", extra: str = "") -> str:
    return f"""
  - name: {name}
    type: STATIC
    {extra}
    load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}"""


def endpoint(port: str) -> str:
    return f"{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}"


INSPECTORS = """listener_filters:
    - {name: a, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}
    - {name: b, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector}}
    listener_filters_timeout: 0.3s
"""

NOWHERE = "{or_match: {rules: [{destination_port_range: {start: 1, end: 2}}, {not_match: {any_match: true}}]}}"
NOT_HERE = f"filter_disabled: {{not_match: {NOWHERE}}}"
DISABLED = INSPECTORS.replace("{name: a,", f"{{name: a, {NOT_HERE},").replace("{name: b,", f"{{name: b, {NOT_HERE},").replace("0.3s", "0s")
"""Inspectors that are there and look at no connection; one that did would wait for ever."""

LISTENERS = ("PLAIN", "IDLE", "SHORT", "DEAD", "ABSENT", "EMPTY", "ONE", "SNIFFING", "IMPATIENT", "RETRYING", "DEAF", "SLOW", "UNSEEN")
BOOTSTRAP = (
    "static_resources:\n  listeners:"
    + listener("plain", "cluster: up")
    + listener("idle", "cluster: up\n          idle_timeout: 0.4s")
    + listener("short", "cluster: up\n          max_downstream_connection_duration: 0.5s")
    + listener("dead", "cluster: dead\n          max_connect_attempts: 3")
    + listener("retrying", "cluster: half\n          max_connect_attempts: 4")
    + listener("absent", "cluster: absent")
    + listener("empty", "cluster: empty")
    + listener("one", "cluster: one")
    + listener("sniffing", "cluster: up", INSPECTORS + "    continue_on_listener_filters_timeout: true")
    + listener("impatient", "cluster: up", INSPECTORS)
    + listener("unseen", "cluster: up", DISABLED)
    + listener("deaf", "cluster: deaf\n          max_connect_attempts: 2")
    + listener("slow", "cluster: slow")
    + "\n  clusters:"
    + cluster("deaf", endpoint("$FULL"), "connect_timeout: 0.2s")
    + cluster("slow", endpoint("$FULL"), "connect_timeout: 3s")
    + cluster("up", endpoint("$UP"))
    + cluster("dead", endpoint("$NOBODY"))
    + cluster("half", f"{endpoint('$NOBODY')}, {endpoint('$UP')}")
    + cluster("empty")
    + cluster("one", endpoint("$UP"), "circuit_breakers: {thresholds: [{max_connections: 1}]}")
)


class Connection:
    """One side of a connection, and how the other has ended it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.send = writer.write
        self.finish = writer.write_eof
        self.close = writer.close

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(20):
            return await self._reader.readexactly(size)

    async def end(self) -> str:
        """Read until it ends: what came, and `fin` or `reset`."""
        got = b""
        try:
            async with asyncio.timeout(30):
                while more := await self._reader.read(1000):
                    got += more
        except ConnectionError:
            return f"{got.decode()} reset"
        except TimeoutError:
            return f"{got.decode()} open"
        return f"{got.decode()} fin"

    def reset(self) -> None:
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


class World:
    """One proxy, the client's side and the upstream's."""

    def __init__(self, twin: Twin, accepted: "asyncio.Queue[Connection]") -> None:
        self.twin = twin
        self._accepted = accepted
        self._open: list[Connection] = []

    async def connect(self, listener: str) -> Connection:
        self._open.append(Connection(*await asyncio.open_connection(HOST, self.twin.ports[listener])))
        return self._open[-1]

    async def accepted(self) -> Connection:
        async with asyncio.timeout(20):
            self._open.append(await self._accepted.get())
            return self._open[-1]

    def close(self) -> None:
        """Both sides of everything."""
        while self._open:
            self._open.pop().close()

    async def both(self, listener: str) -> tuple[Connection, Connection]:
        client = await self.connect(listener)
        return client, await self.accepted()


def _full() -> list[socket.socket]:
    """A socket that listens and takes no further connection: the kernel leaves their SYNs unanswered."""
    listening = socket.socket()
    listening.bind((HOST, 0))
    listening.listen(0)
    waiting = [socket.socket() for _ in range(3)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(listening.getsockname())
    return [listening, *waiting]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Twins, "asyncio.Queue[Connection]"]]:
    accepted: asyncio.Queue[Connection] = asyncio.Queue()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        accepted.put_nowait(Connection(reader, writer))

    # More than a test connects at once: past its backlog the kernel answers with SYN cookies, and then resets what it has forgotten.
    server = await asyncio.start_server(serve, HOST, 0, backlog=4096)
    full = _full()
    ports = {"UP": server.sockets[0].getsockname()[1], "NOBODY": FreePorts().take(), "FULL": full[0].getsockname()[1]}
    try:
        async with twins(folder, BOOTSTRAP, *LISTENERS, **ports) as both:
            yield both, accepted
    finally:
        server.close()
        for sock in full:
            sock.close()
        for writer in writers:
            writer.close()


async def client_half_closes(world: World) -> list[str]:
    client, upstream = await world.both("PLAIN")
    client.send(b"question")
    client.finish()
    asked = await upstream.end()
    upstream.send(b"answer")
    upstream.close()
    return [asked, await client.end()]


async def upstream_half_closes(world: World) -> list[str]:
    client, upstream = await world.both("PLAIN")
    upstream.send(b"greeting")
    upstream.finish()
    greeted = await client.end()
    client.send(b"still here")
    client.close()
    return [greeted, await upstream.end()]


async def upstream_resets(world: World) -> list[str]:
    client, upstream = await world.both("PLAIN")
    client.send(b"1234")
    await upstream.read(4)
    upstream.reset()
    return [await client.end()]


async def client_resets(world: World) -> list[str]:
    client, upstream = await world.both("PLAIN")
    upstream.send(b"1234")
    await client.read(4)
    client.reset()
    return [await upstream.end()]


async def client_closes_at_once(world: World) -> list[str]:
    client, upstream = await world.both("PLAIN")
    client.close()
    return [await upstream.end()]


async def nothing_happens(world: World) -> list[str]:
    client, upstream = await world.both("IDLE")
    return [await client.end(), await upstream.end()]


async def it_takes_too_long(world: World) -> list[str]:
    client, upstream = await world.both("SHORT")
    client.send(b"1234")
    await upstream.read(4)
    return [await client.end(), await upstream.end()]


async def nobody_listens(world: World) -> list[str]:
    return [await (await world.connect("DEAD")).end()]


async def there_is_no_cluster(world: World) -> list[str]:
    return [await (await world.connect("ABSENT")).end()]


async def there_is_no_endpoint(world: World) -> list[str]:
    return [await (await world.connect("EMPTY")).end()]


async def there_are_too_many(world: World) -> list[str]:
    client, upstream = await world.both("ONE")
    second = await (await world.connect("ONE")).end()
    client.close()
    return [second, await upstream.end()]


async def half_of_the_endpoints_are_dead(world: World) -> list[str]:
    ends = []
    for _ in range(4):
        client, upstream = await world.both("RETRYING")
        client.close()
        ends.append(await upstream.end())
        world.close()
    return ends


async def the_server_speaks_first(world: World) -> list[str]:
    client, upstream = await world.both("SNIFFING")
    upstream.send(b"220 mail ready")
    greeting = (await client.read(14)).decode()
    client.send(b"QUIT")
    client.finish()
    asked = await upstream.end()
    upstream.close()
    return [greeting, asked, await client.end()]


async def the_server_speaks_first_where_nothing_is_inspected(world: World) -> list[str]:
    client, upstream = await world.both("UNSEEN")
    upstream.send(b"220 mail ready")
    greeting = (await client.read(14)).decode()
    client.close()
    return [greeting, await upstream.end()]


async def the_client_begins_what_is_no_protocol(world: World) -> list[str]:
    client, upstream = await world.both("SNIFFING")
    client.close()
    return [await upstream.end()]


async def a_silent_client_is_not_waited_for(world: World) -> list[str]:
    return [await (await world.connect("IMPATIENT")).end()]


async def nobody_answers(world: World) -> list[str]:
    return [await (await world.connect("DEAF")).end()]


async def the_client_does_not_wait(world: World) -> list[str]:
    client = await world.connect("SLOW")
    client.send(b"1234")
    client.reset()
    return []


Case = Callable[[World], Awaitable[list[str]]]
CASES: list[tuple[Case, int]] = [
    (client_half_closes, 1),
    (upstream_half_closes, 1),
    (upstream_resets, 1),
    (client_resets, 1),
    (client_closes_at_once, 1),
    (nothing_happens, 1),
    (it_takes_too_long, 1),
    (nobody_listens, 1),
    (there_is_no_cluster, 1),
    (there_is_no_endpoint, 1),
    (there_are_too_many, 2),
    (the_server_speaks_first, 1),
    (the_server_speaks_first_where_nothing_is_inspected, 1),
    (the_client_begins_what_is_no_protocol, 1),
    (a_silent_client_is_not_waited_for, 0),
    (nobody_answers, 1),
    (the_client_does_not_wait, 1),
]
"""Each with the lines that it leaves in the access log."""


async def test_connections_end_alike_and_are_logged_alike(tmp_path: Path) -> None:
    async with running(tmp_path) as (both, accepted):
        seen: dict[str, list[tuple[str, list[str], list[str]]]] = {}
        for twin in (both.envoy, both.ours):
            world, ends = World(twin, accepted), []
            for case, _ in CASES:
                ends.append(await case(world))
                world.close()
            lines = await twin.logged(sum(lines for _, lines in CASES))
            story = []
            for (case, count), end in zip(CASES, ends, strict=True):
                story.append((case.__name__, end, [lines.pop(0) for _ in range(count)]))
            seen[twin.name] = story
        different = [pair for pair in zip(seen["ours"], seen["envoy"], strict=True) if pair[0] != pair[1]]
        assert different == []


async def test_no_answer_is_lost_when_question_and_end_come_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (both, accepted):
        world = World(both.ours, accepted)

        async def serve() -> None:
            while True:
                upstream = await accepted.get()
                upstream.send((await upstream.end()).upper().encode())
                upstream.close()

        async def ask(number: int) -> str:
            client = await world.connect("PLAIN")
            client.send(f"question {number}".encode())
            client.finish()
            return await client.end()

        serving = spawn(serve(), name="upstream")
        answers = await asyncio.gather(*map(ask, range(300)))
        serving.cancel()
        assert answers == [f"QUESTION {number} FIN fin" for number in range(300)]
        world.close()


async def test_a_connection_is_made_elsewhere_when_an_endpoint_does_not_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as (both, accepted):
        alive = both.known["UP"]
        for twin in (both.envoy, both.ours):
            assert await half_of_the_endpoints_are_dead(World(twin, accepted)) == [" fin"] * 4
            lines = await twin.logged(4)
            at_once = f"- 0 0 half {HOST}:{alive} - 0"
            later = f"UF 0 0 half {HOST}:{alive} delayed_connect_error:_Connection_refused 0"  # the flag and the reason of what failed stay
            assert later in lines
            assert set(lines) <= {at_once, later}


@pytest.mark.parametrize("listener", ["PLAIN", "SNIFFING"])
async def test_bytes_of_any_size_go_both_ways(tmp_path: Path, listener: str) -> None:
    block = bytes(range(256)) * 256
    async with running(tmp_path) as (both, accepted):
        client, upstream = await World(both.ours, accepted).both(listener) if listener == "PLAIN" else (None, None)
        if client is None or upstream is None:
            client = await World(both.ours, accepted).connect(listener)
            client.send(b"\x00")
            upstream = await World(both.ours, accepted).accepted()
            await upstream.read(1)
        for sender, receiver in ((client, upstream), (upstream, client)):
            for _ in range(100):
                sender.send(block)
            assert await receiver.read(100 * len(block)) == block * 100
        with contextlib.suppress(ConnectionError):
            client.close()
