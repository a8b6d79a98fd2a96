"""A client that sends any bytes and reads what comes back as HTTP/1."""

import asyncio
import re
from dataclasses import dataclass

import h11

_PATIENCE = 20.0
_RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Answer:
    """All that a client sees. `ended`: whole, cut (closed within the body), closed (before any answer) or silent (nothing came)."""

    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: str
    interim: tuple[int, ...]
    ended: str

    def header(self, name: str) -> str | None:
        """The values of a header, joined; None when it is absent."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


async def ask(port: int, request: bytes) -> Answer:
    """Send `request` on a fresh connection and read one final response. Random request ids become `<id>`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await _receive(reader, _parser_for(request))
    finally:
        writer.close()


def _parser_for(request: bytes) -> h11.Connection:
    """A client's half of a conversation; h11 must know of the method, for HEAD has no body."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    method = "HEAD" if request.startswith(b"HEAD ") else "GET"
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "any")]))
    connection.send(h11.EndOfMessage())
    return connection


async def _receive(reader: asyncio.StreamReader, connection: h11.Connection) -> Answer:
    interim: list[int] = []
    final: h11.Response | None = None
    body = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                match connection.next_event():
                    case h11.NEED_DATA:
                        connection.receive_data(await reader.read(65536))
                    case h11.InformationalResponse() as event:
                        interim.append(event.status_code)
                    case h11.Response() as event:
                        final = event
                    case h11.Data() as event:
                        body += bytes(event.data)
                    case h11.EndOfMessage():
                        return _answer(final, body, interim, "whole")
                    case _:
                        return _answer(final, body, interim, "closed")
    except (h11.RemoteProtocolError, ConnectionError):
        return _answer(final, body, interim, "cut" if final else "closed")
    except TimeoutError:
        return _answer(final, body, interim, "silent")


def _answer(final: h11.Response | None, body: bytes, interim: list[int], ended: str) -> Answer:
    if final is None:
        return Answer(None, (), body.decode("latin-1"), tuple(interim), ended)
    headers = sorted((name.decode(), _RANDOM_ID.sub("<id>", value.decode("latin-1"))) for name, value in final.headers)
    return Answer(final.status_code, tuple(headers), _RANDOM_ID.sub("<id>", body.decode("latin-1")), tuple(interim), ended)
