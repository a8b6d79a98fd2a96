"""An upstream that tells what it was asked, byte by byte where it matters, and can fail in every way that a server can.

The first segment of the path says what it does; anything else is answered with the request as JSON.
"""

import asyncio
import json
import re
import socket
import struct
from collections import Counter
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names in small letters."""

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes

    def document(self) -> bytes:
        """The request as JSON: the same bytes for the same request, in whatever order its headers came."""
        headers = sorted([name, value] for name, value in self.headers)
        text = {"method": self.method, "target": self.target, "headers": headers, "body": self.body.decode("latin-1")}
        return json.dumps(text, sort_keys=True).encode()


class Upstream:
    """`async with Upstream() as upstream`: serves on `upstream.port` of loopback."""

    def __init__(self) -> None:
        self.port = 0
        self._counts: Counter[str] = Counter()

    async def __aenter__(self) -> "Upstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (asked := await _read(reader, writer)) is not None:
                if _asks_for_tunnel(asked):
                    await _tunnel(reader, writer, asked)
                    return
                await self._respond(asked, writer)
                await writer.drain()
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _respond(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        kind = re.match(r"/[a-z0-9-]*", asked.target)
        name = kind[0] if kind else ""
        if name == "/status":
            code = asked.target.split("/")[2]
            writer.write(f"HTTP/1.1 {code} Reason\r\ncontent-length: 0\r\nx-secret: s\r\n\r\n".encode())
        elif name == "/twice":
            self._counts[asked.target] += 1
            fails = self._counts[asked.target] % 3 != 0
            writer.write(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n" if fails else b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nthird")
        elif name in ("/slow", "/lasting-slow"):
            return  # and the route's timeout ends it
        elif name in ANSWERS:
            writer.write(ANSWERS[name])
            if name in CLOSED:
                writer.close()
        elif name == "/reset":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
            await writer.drain()
            _reset(writer)
        else:
            body = b"" if asked.method == "HEAD" else (document := asked.document())
            length = len(asked.document()) if asked.method == "HEAD" else len(document)
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\ncontent-length: {length}\r\nx-secret: s\r\nServer: up\r\n\r\n"
            writer.write(head.encode() + body)


ANSWERS = {
    "/chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nx-trailer: t\r\n\r\n",
    "/unframed": b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end",
    "/old": b"HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold",
    "/hop": b"HTTP/1.1 200 OK\r\nConnection: x-hop, keep-alive\r\nKeep-Alive: timeout=5\r\nx-hop: 1\r\nProxy-Connection: keep-alive\r\n"
    b"content-length: 2\r\n\r\nok",
    "/cookies": b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n",
    "/hints": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "/none": b"HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n",
    "/unmodified": b"HTTP/1.1 304 Not Modified\r\netag: \"e\"\r\ncontent-length: 10\r\n\r\n",
    "/bare": b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok",
    "/big": b"HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n" + b"0123456789" * 30000,
    "/garbage": b"this is no HTTP\r\n\r\n",
    "/silent": b"",
    "/gzipped": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nzipped",
    "/two-codings": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "/chunked-twice": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "/two-digits": b"HTTP/1.1 99 No\r\ncontent-length: 0\r\n\r\n",
    "/four-digits": b"HTTP/1.1 1000 No\r\ncontent-length: 0\r\n\r\n",
    "/version": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "/nul": b"HTTP/1.1 200 OK\r\nx-a: 1\x002\r\ncontent-length: 0\r\n\r\n",
    "/folded": b"HTTP/1.1 200 OK\r\nx-a: 1\r\n 2\r\ncontent-length: 0\r\n\r\n",
    "/line-feed": b"HTTP/1.1 200 OK\r\nx-a: 1\ncontent-length: 0\r\n\r\n",
    "/no-colon": b"HTTP/1.1 200 OK\r\nnonsense\r\ncontent-length: 0\r\n\r\n",
    "/space-colon": b"HTTP/1.1 200 OK\r\nx-a : 1\r\ncontent-length: 0\r\n\r\n",
    "/negative": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    "/length-list": b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok",
    "/bad-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
    "/long-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n",
    "/none-length": b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nok",
    "/unmodified-chunks": b"HTTP/1.1 304 No\r\ntransfer-encoding: chunked\r\n\r\n",
    "/excess": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokmore",
    "/many-headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: v\r\n" % number for number in range(99)) + b"content-length: 0\r\n\r\n",
    "/too-many-headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: v\r\n" % number for number in range(100)) + b"content-length: 0\r\n\r\n",
    "/large-headers": b"HTTP/1.1 200 OK\r\nx: " + b"v" * 90_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "/switched": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    "/unwanted": b"HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno",
    "/forbidden": b"HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nnope",
    "/cut": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart",
    "/cut-chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "/both": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "/two-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "/own-date": b"HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 1970 00:00:00 GMT\r\nvia: 1.1 other\r\nserver: own\r\ncontent-length: 0\r\n\r\n",
}
CLOSED = {"/gzipped", "/unframed", "/old", "/garbage", "/silent", "/cut", "/cut-chunk"}


def _asks_for_tunnel(asked: Asked) -> bool:
    return asked.method == "CONNECT" or (asked.target.startswith("/ws") and "upgrade" in dict(asked.headers))


async def _tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked) -> None:
    """Agree, speak at once, then echo; `bye` ends it."""
    if asked.method == "CONNECT":
        writer.write(b"HTTP/1.1 200 OK\r\nx-up: 1\r\n\r\nEARLY")
    else:
        protocol = dict(asked.headers)["upgrade"].encode()
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + b"\r\nx-up: 1\r\n\r\nEARLY")
    while (data := await reader.read(65536)) not in (b"", b"bye"):
        writer.write(b"<" + data + b">")


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked | None:
    """One request; a body that waits for an invitation gets it from `/invited`, and is not waited for by `/unwanted`."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    request_line, *lines = head[:-4].split("\r\n")
    method, target, version = request_line.split(" ")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    asked = Asked(method, target, version, headers, b"")
    if target == "/invited":
        writer.write(b"HTTP/1.1 100 Continue\r\nx-up: 1\r\n\r\n")
    if target == "/unwanted" or _asks_for_tunnel(asked):
        return asked
    return replace(asked, body=await _body(reader, dict(headers)))


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            body += b"|" + line.strip().lower()  # a trailer
        return body
    return await reader.readexactly(int(headers.get("content-length", "0")))


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a RST instead of a FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()
