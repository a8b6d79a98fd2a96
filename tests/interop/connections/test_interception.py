"""Connections that iptables takes from their way, REDIRECT and TPROXY: a real Envoy and our proxy find where they were meant to go."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pymesh.local.process import Command
from pymesh.local.supervisor import Supervisor
from tests.waiting import eventually

from .namespaces import Host, hosts, program

BOOTSTRAP = """
node: {id: pod, cluster: pod}
static_resources:
  listeners:
  - name: catch-all
    address: {socket_address: {address: 0.0.0.0, port_value: 15001}}
    use_original_dst: true
    filter_chains: &passing
    - filters:
      - name: t
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          cluster: original
          access_log:
          - name: f
            typed_config: &log
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: LOG
              log_format: {text_format_source: {inline_string: "%LISTENER_NAME% %DOWNSTREAM_LOCAL_ADDRESS% %UPSTREAM_HOST%\\n"}}
  - name: catch-all-6
    address: {socket_address: {address: "::", port_value: 15001}}
    use_original_dst: true
    listener_filters: &original
    - {name: original, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst}}
    filter_chains: *passing
  - name: any-host
    address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    bind_to_port: false
    filter_chains: &answering
    - filters:
      - name: t
        typed_config: &answer
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: t
          cluster: fixed
          access_log: [{name: f, typed_config: *log}]
  - name: one-host
    address: {socket_address: {address: 10.99.7.7, port_value: 8080}}
    bind_to_port: false
    filter_chains: *answering
  - name: transparent
    address: {socket_address: {address: 0.0.0.0, port_value: 15008}}
    transparent: true
    listener_filters: *original
    filter_chains:
    - filter_chain_match: {destination_port: 1234, prefix_ranges: [{address_prefix: 10.99.5.0, prefix_len: 24}]}
      filters: [{name: t, typed_config: *answer}]
  clusters:
  - {name: original, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED}
  - name: fixed
    type: STATIC
    load_assignment:
      cluster_name: fixed
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.99.0.2, port_value: 7000}}}}]}]
"""


class Pod:
    """The server's host with a proxy in it, and what listens beside it."""

    def __init__(self, client: Host, server: Host, log: Path) -> None:
        self.client = client
        self.server = server
        self._log = log

    async def logged(self, lines: int) -> list[str]:
        async def read() -> list[str]:
            return self._log.read_text().splitlines() if self._log.exists() else []

        return await eventually(read, lambda found: len(found) >= lines)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    asked = await reader.read(100)
    writer.write(f"{writer.get_extra_info('sockname')[1]}: ".encode() + asked)
    writer.close()


@pytest.fixture
def pair() -> Iterator[tuple[Host, Host]]:
    with hosts() as both:
        yield both


@asynccontextmanager
async def pod(pair: tuple[Host, Host], name: str, folder: Path) -> AsyncIterator[Pod]:
    client, server = pair
    async with contextlib.AsyncExitStack() as stack:
        for address, port in (("10.99.0.2", 7000), ("10.99.0.2", 9000), ("fd99::2", 9000)):
            sock = server.socket(address)
            sock.bind((address, port))
            serving = await asyncio.start_server(_answer, sock=sock)
            stack.callback(serving.close)
        supervisor = await stack.enter_async_context(Supervisor(folder / "logs"))
        path = folder / "bootstrap.yaml"
        path.write_text(BOOTSTRAP.replace("LOG", str(folder / "access.log")))
        await supervisor.start(Command(name=name, argv=server.inside(*program(name), "-c", str(path))))
        await eventually(lambda: server.reachable("127.0.0.1", 15008))
        yield Pod(client, server, folder / "access.log")


@pytest.mark.parametrize("name", ["envoy", "ours"])
async def test_a_redirected_connection_finds_its_destination(pair: tuple[Host, Host], tmp_path: Path, name: str) -> None:
    for tables in ("iptables", "ip6tables"):
        pair[1].run(tables, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-ports", "15001")
    async with pod(pair, name, tmp_path) as here:
        assert await here.client.ask("10.99.0.2", 9000, b"any port") == b"9000: any port"
        assert await here.client.ask("fd99::2", 9000, b"six") == b"9000: six"
        assert await here.client.ask("10.99.3.3", 8080, b"a port of all hosts") == b"7000: a port of all hosts"
        assert await here.client.ask("10.99.7.7", 8080, b"a port of one host") == b"7000: a port of one host"
        assert await here.logged(4) == [
            "catch-all 10.99.0.2:9000 10.99.0.2:9000",
            "catch-all-6 [fd99::2]:9000 [fd99::2]:9000",
            "any-host 10.99.3.3:8080 10.99.0.2:7000",
            "one-host 10.99.7.7:8080 10.99.0.2:7000",
        ]


@pytest.mark.parametrize("name", ["envoy", "ours"])
async def test_an_applications_own_connections_are_caught_on_their_way_out(pair: tuple[Host, Host], tmp_path: Path, name: str) -> None:
    """As in a pod, where the application's connections leave through the proxy; here the port tells them from the proxy's own."""
    pair[1].run("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "8080", "-j", "REDIRECT", "--to-ports", "15001")
    async with pod(pair, name, tmp_path) as here:
        assert await here.server.ask("10.99.0.77", 8080, b"out") == b"7000: out"
        assert await here.logged(1) == ["any-host 10.99.0.77:8080 10.99.0.2:7000"]


@pytest.mark.parametrize("name", ["envoy", "ours"])
async def test_a_transparent_listener_takes_connections_to_any_address(pair: tuple[Host, Host], tmp_path: Path, name: str) -> None:
    server = pair[1]
    server.run("ip", "rule", "add", "fwmark", "1", "lookup", "100")
    server.run("ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", "100")
    tproxy = ("-p", "tcp", "-i", "cable", "-j", "TPROXY", "--on-port", "15008", "--tproxy-mark", "1")
    server.run("iptables", "-t", "mangle", "-A", "PREROUTING", *tproxy)
    async with pod(pair, name, tmp_path) as here:
        assert await here.client.ask("10.99.5.5", 1234, b"through") == b"7000: through"
        assert await here.client.ask("10.99.6.6", 1234, b"no chain takes this address") == b""
        assert await here.logged(1) == ["transparent 10.99.5.5:1234 10.99.0.2:7000"]
