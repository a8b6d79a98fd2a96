"""`tunneling_config`: TCP connections that go on through a CONNECT, from a real Envoy and from ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts

from .ends import http_cluster
from .twins import Twin, Twins, twins

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _listener(name: str, cluster: str, more: str = "") -> str:
    return f"""
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: ${name}}}}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: {cluster}
          tunneling_config:
            hostname: "far.org:443"
            headers_to_add: [{{header: {{key: x-listener, value: "{name} %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"}}}}]
          {more}
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format:
                text_format_source:
                  inline_string: "{name} %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_HOST%\\n"
"""


_BOOTSTRAP = f"""
static_resources:
  listeners:
{_listener("GOOD", "good")}
{_listener("REFUSED", "refusing")}
{_listener("DEAD", "dead")}
  clusters:
{http_cluster("good", "UP")}
{http_cluster("refusing", "NO")}
{http_cluster("dead", "NOBODY")}
"""


class Gate:
    """An HTTP proxy that answers CONNECT with one status, and behind a 200 sends everything back with a greeting first."""

    def __init__(self, status: bytes) -> None:
        self.heads: list[list[str]] = []
        self._status = status

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.rstrip("\r\n").split("\r\n")
        self.heads.append([first, *sorted(line.lower() for line in rest)])
        writer.write(b"HTTP/1.1 " + self._status + (b"\r\n\r\nhi " if self._status[:3] == b"200" else b"\r\nContent-Length: 0\r\n\r\n"))
        while data := await reader.read(100):
            writer.write(data)
        writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Twins, Gate]]:
    gate, closed = Gate(b"200 OK"), Gate(b"403 No")
    one, other = await asyncio.start_server(gate, HOST, 0), await asyncio.start_server(closed, HOST, 0)
    ports = {"UP": one.sockets[0].getsockname()[1], "NO": other.sockets[0].getsockname()[1], "NOBODY": FreePorts().take()}
    async with one, other, twins(tmp_path_factory.mktemp("tunnels"), _BOOTSTRAP, "GOOD", "REFUSED", "DEAD", **ports) as both:
        yield both, gate


async def talk(twin: Twin, listener: str) -> bytes:
    """All that comes back for six bytes and a FIN. Whether unread bytes make an end a reset is the system's choice."""
    reader, writer = await asyncio.open_connection(HOST, twin.ports[listener])
    writer.write(b"abcdef")
    heard = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            if listener == "GOOD":
                heard = await reader.readexactly(9)
                writer.write_eof()
            heard += await reader.read()
    writer.close()
    return heard


async def test_tunnels_are_envoys(site: tuple[Twins, Gate]) -> None:
    both, gate = site
    seen = []
    for twin in (both.envoy, both.ours):
        gate.heads.clear()
        heard = [await talk(twin, listener) for listener in ("GOOD", "REFUSED", "DEAD")]
        seen.append((heard, list(gate.heads), sorted(await twin.logged(3))))
    theirs, ours = seen
    assert ours == theirs
    assert ours[0][0] == b"hi abcdef"
