"""Single requests that go where the story's users do not: past the gateway, and out of the mesh."""

import asyncio
from dataclasses import dataclass

import aiohttp

from ..ports import HOST

_PATIENCE = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and the beginning of the body. Status None: there was no answer, and `text` says why."""

    status: int | None
    text: str
    refused: bool = False
    """The other side ended the connection instead of answering."""


async def plaintext(port: int, path: str) -> Answer:
    """Ask a sidecar's inbound port without TLS, as somebody would who is not of the mesh."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
                head = await reader.read(4096)
            finally:
                writer.close()
    except ConnectionResetError:
        return Answer(None, "connection reset", refused=True)
    except TimeoutError:
        return Answer(None, f"no answer for {_PATIENCE:g} s")
    if not head:
        return Answer(None, "connection closed without an answer", refused=True)
    first = head.split(b"\r\n", 1)[0].decode(errors="replace")
    return Answer(int(first.split()[1]) if first.startswith("HTTP/1.1 ") else 0, first)


async def through_proxy(session: aiohttp.ClientSession, proxy_port: int, url: str) -> Answer:
    """Ask for a host outside, as an application with `http_proxy` set does."""
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with session.get(url, proxy=f"http://{HOST}:{proxy_port}", timeout=timeout) as response:
            return Answer(response.status, " ".join((await response.text()).split())[:200])
    except (aiohttp.ClientError, TimeoutError) as error:
        return Answer(None, f"{type(error).__name__}: {error}")
