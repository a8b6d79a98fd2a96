"""An HTTP/1 server on every loopback address at once, that answers with the address it was asked at."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

HOST = "127.0.0.1"


class _Named(asyncio.Protocol):
    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        name = transport.get_extra_info("sockname")[0].encode()
        peer = transport.get_extra_info("peername")[0].encode()
        self._answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nx-host: %s\r\nx-peer: %s\r\n\r\n%s" % (len(name), name, peer, name)

    def data_received(self, data: bytes) -> None:
        heads = (self._rest + data).split(b"\r\n\r\n")
        self._rest = heads.pop()
        self._transport.write(self._answer * len(heads))


@asynccontextmanager
async def named_hosts(*addresses: str) -> AsyncIterator[int]:
    """The port, on every address of IPv4 or on some."""
    loop = asyncio.get_running_loop()
    first, *others = addresses or ("0.0.0.0",)
    server = await loop.create_server(_Named, first, 0)
    port = server.sockets[0].getsockname()[1]
    async with server, contextlib.AsyncExitStack() as stack:
        for address in others:
            await stack.enter_async_context(await loop.create_server(_Named, address, port))
        yield port


async def answers(port: int, path: str, requests: int, at_once: int = 50, header: str = "x-host", asking: str = "") -> Counter[str]:
    """Who (the value of a header) answered how many of the requests; an answer that does not come from a host counts under its status.

    `at_once` requests are sent before the first answer is read. Envoy closes connections on which it has several answers of its own to
    give at once.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    found: Counter[str] = Counter()
    for start in range(0, requests, at_once):
        batch = min(at_once, requests - start)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\n{asking}\r\n".encode() * batch)
        for _ in range(batch):
            found[await _answer(reader, header)] += 1
    writer.close()
    return found


async def _answer(reader: asyncio.StreamReader, header: str) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    await reader.readexactly(int(fields.get("content-length", "0")))
    return fields.get(header) or head.split()[1]


def bootstrap(clusters: Iterable[str], routes: Iterable[str]) -> str:
    """A listener `$HTTP` that gives each path `/<name>` to the cluster of that name."""
    listed = "".join(f"\n              - {{match: {{path: /{name}}}, route: {{cluster: {name}}}}}" for name in routes)
    return f"""
static_resources:
  listeners:
  - name: http
    address: {{socket_address: {{address: 127.0.0.1, port_value: $HTTP}}}}
    filter_chains:
    - filters:
      - name: h
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          http_filters:
          - {{name: r, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:{listed}
  clusters:{"".join(clusters)}
"""
