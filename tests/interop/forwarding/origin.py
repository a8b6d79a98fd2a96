"""Servers on every loopback address that tell who was asked: the address, the Host header and the server name."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def origins(chain: Path, key: Path) -> AsyncIterator[tuple[int, int]]:
    """The ports of one that speaks plaintext and of one that speaks TLS."""
    names: dict[object, str | None] = {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.sni_callback = lambda tls, name, _: names.__setitem__(tls, name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = names.pop(writer.get_extra_info("ssl_object"), None)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                hosts = [line[6:] for line in lines if line.lower().startswith("host: ")]
                told = {"at": writer.get_extra_info("sockname")[0], "hosts": hosts, "sni": name}
                body = json.dumps(told).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for wanted in (None, context):
            server = await stack.enter_async_context(await asyncio.start_server(serve, "0.0.0.0", 0, ssl=wanted))
            ports.append(server.sockets[0].getsockname()[1])
        yield ports[0], ports[1]
