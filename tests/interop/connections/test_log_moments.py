"""`access_log_options` of TCP proxies: lines before a connection's end, in a real Envoy as in ours."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST

from .twins import Twins, twins

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _listener(name: str, options: str) -> str:
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: ${name}}}}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: up
          {options}
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format:
                text_format_source: {{inline_string: "{name} %ACCESS_LOG_TYPE% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER%\\n"}}
"""


_BOOTSTRAP = f"""
static_resources:
  listeners:
{_listener("BOTH", "access_log_options: {flush_access_log_on_connected: true, access_log_flush_interval: 0.4s}")}
{_listener("OLDER", "flush_access_log_on_connected: true")}
{_listener("NEITHER", "")}
  clusters:
  - name: up
    type: STATIC
    load_assignment:
      cluster_name: up
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: $UP}}}}}}}}]}}]
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    up = server.sockets[0].getsockname()[1]
    async with server, twins(tmp_path_factory.mktemp("moments"), _BOOTSTRAP, "BOTH", "OLDER", "NEITHER", UP=up) as started:
        yield started


async def test_the_lines_are_envoys(both: Twins) -> None:
    heard = []
    for twin in (both.envoy, both.ours):
        for name in ("BOTH", "OLDER", "NEITHER"):
            reader, writer = await asyncio.open_connection(HOST, twin.ports[name])
            writer.write(b"abc")
            assert await reader.readexactly(3) == b"abc"
            if name == "BOTH":
                await twin.logged(2)  # the interval is over
            writer.close()
        heard.append(sorted(set(await twin.logged(6))))
    theirs, ours = heard
    assert ours == theirs
    assert ours == [
        "BOTH TcpConnectionEnd 3 3 up",
        "BOTH TcpPeriodic 3 3 up",
        "BOTH TcpUpstreamConnected 0 0 up",
        "NEITHER TcpConnectionEnd 3 3 up",
        "OLDER TcpConnectionEnd 3 3 up",
        "OLDER TcpUpstreamConnected 0 0 up",
    ]
