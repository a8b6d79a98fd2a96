"""`use_post`: TCP connections that go on as bodies of a POST, from a real Envoy and from ours, to a server and to each other's ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pymesh.local.ports import HOST, FreePorts

from .ends import POSTS_END, http_cluster
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
            use_post: true
            {more}
            headers_to_add: [{{header: {{key: x-listener, value: "{name}"}}}}]
          access_log:
          - name: file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: $LOG
              log_format:
                text_format_source:
                  inline_string: "{name} %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %UPSTREAM_HOST%\\n"
"""


_H2 = "http2_protocol_options: {}"
_ENDS = {"H1_ENVOY": ("ENVOY", ""), "H1_OURS": ("OURS", ""), "H2_ENVOY": ("ENVOY", _H2), "H2_OURS": ("OURS", _H2)}
"""Listeners whose POSTs end in a TCP connection at one of the other pair of proxies."""

_BOOTSTRAP = f"""
static_resources:
  listeners:
{_listener("GOOD", "good")}
{_listener("PATH", "good", "post_path: /a/b")}
{_listener("REFUSED", "refusing")}
{_listener("DEAD", "dead")}
{"".join(_listener(name, name.lower()) for name in _ENDS)}
  clusters:
{http_cluster("good", "UP")}
{http_cluster("refusing", "DENIED")}
{http_cluster("dead", "NOBODY")}
{"".join(http_cluster(name.lower(), port, protocol or "http_protocol_options: {}") for name, (port, protocol) in _ENDS.items())}
"""


class Gate:
    """A server of POST that greets, and sends the chunks of the request back as those of its answer, the last one too; or refuses."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.heads: list[list[str]] = []
        self._refuses = refuses

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *rest = head.rstrip("\r\n").split("\r\n")
                self.heads.append([first, *sorted(line.lower() for line in rest)])
                if self._refuses:
                    writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
                    break
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhi \r\n")
                while (size := await reader.readuntil(b"\r\n")) != b"0\r\n":
                    writer.write(size + await reader.readexactly(int(size, 16) + 2))
                writer.write(size + await reader.readexactly(2))
        writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hi ")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Twins, Gate]]:
    gate, closed = Gate(), Gate(refuses=True)
    servers = [await asyncio.start_server(each, HOST, 0) for each in (gate, closed, _echo)]
    up, denied, echo = (server.sockets[0].getsockname()[1] for server in servers)
    async with twins(tmp_path_factory.mktemp("ends"), POSTS_END, "WEB", UP=echo) as ends:
        ports = {"UP": up, "DENIED": denied, "NOBODY": FreePorts().take()}
        ports |= {"ENVOY": ends.envoy.ports["WEB"], "OURS": ends.ours.ports["WEB"]}
        async with twins(tmp_path_factory.mktemp("posts"), _BOOTSTRAP, "GOOD", "PATH", "REFUSED", "DEAD", *_ENDS, **ports) as both:
            yield both, gate
    for server in servers:
        server.close()


async def talk(twin: Twin, listener: str, said: bytes = b"abcdef") -> bytes:
    """All that comes back for some bytes and a FIN behind their echo."""
    reader, writer = await asyncio.open_connection(HOST, twin.ports[listener])
    heard = b""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        async with asyncio.timeout(20):
            writer.write(said)
            if listener not in ("REFUSED", "DEAD"):
                heard = await reader.readexactly(3 + len(said))
                writer.write_eof()
            heard += await reader.read()
    writer.close()
    return heard


async def test_tunnels_are_envoys(site: tuple[Twins, Gate]) -> None:
    both, gate = site
    seen = []
    for twin in (both.envoy, both.ours):
        gate.heads.clear()
        heard = [await talk(twin, listener) for listener in ("GOOD", "PATH", "REFUSED", "DEAD")]
        seen.append((heard, list(gate.heads), sorted(await twin.logged(4))))
    theirs, ours = seen
    assert ours == theirs
    assert ours[0][0] == b"hi abcdef"


@pytest.mark.parametrize("listener", _ENDS)
async def test_each_others_ends_carry_much_both_ways(site: tuple[Twins, Gate], listener: str) -> None:
    both, _ = site
    said = bytes(range(256)) * 4096
    for twin in (both.envoy, both.ours):
        assert await talk(twin, listener, said) == b"hi " + said, twin.name
