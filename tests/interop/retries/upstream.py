"""An upstream that plays what each request asks of it, attempt by attempt, and remembers what every attempt looked like.

A request names itself in `x-id` and brings a plan in `x-plan`: steps separated by commas, one for each attempt, the last one for all
further ones. A step is an answer, `503` or `200;grpc-status:14` with headers behind semicolons, or a way to fail:

    close  reset  hang  garbage  part (an answer cut in its body)  early:STATUS (answers before the body is read)

`wait:SECONDS:STEP` plays a step later, `gate` answers when the test says so. Over HTTP/2, `refuse` and `cancel` reset the stream.
"""

import asyncio
import contextlib
import socket
import struct
import urllib.parse
from collections import defaultdict
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events

from pymesh.tasks import spawn

Told = dict[str, str]
_TOLD = (
    "host", "content-length", "x-added", "x-copied", "x-envoy-original-path", "x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms",
    "x-envoy-original-url", "x-envoy-max-retries", "x-envoy-retry-on",
)  # fmt: skip


@dataclass
class Memory:
    """What attempts looked like, by the id of their request."""

    attempts: dict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """What a `gate` waits for, by the id of the request."""

    def next_step(self, headers: dict[str, str], method: str, path: str) -> str:
        """Note one more attempt; what is to be done with it."""
        seen = self.attempts[headers.get("x-id", "")]
        told = {name: headers[name] for name in _TOLD if name in headers}  # the last of several lines
        seen.append({"method": method, "path": path, **told})
        steps = headers.get("x-plan", "200").split(",")
        return steps[min(len(seen), len(steps)) - 1]


def _answer(step: str) -> tuple[int, list[tuple[str, str]]]:
    status, *fields = step.split(";")
    pairs = [(name, value) for name, _, value in (text.partition(":") for text in fields)]
    return int(status), [(name, urllib.parse.unquote(value)) for name, value in pairs]


class Http1Upstream:
    """`async with Http1Upstream(memory) as upstream`: serves on `upstream.port` of loopback."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> "Http1Upstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._exchange(reader, writer):
                await writer.drain()
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        step = self.memory.next_step(headers, method, path)
        told = self.memory.attempts[headers.get("x-id", "")][-1]
        if step.startswith("early:"):
            writer.write(f"HTTP/1.1 {step[6:]} X\r\ncontent-length: 0\r\n\r\n".encode())
            return True
        body = await _body(reader, headers)
        if body:
            told["body"] = f"{len(body)} {body[:8].decode('latin-1')}"
        if step.startswith("wait:"):
            _, seconds, step = step.split(":", 2)
            await asyncio.sleep(float(seconds))
        if step == "gate":
            await self.memory.gates[headers["x-id"]].wait()
            step = "200"
        return await self._play(step, method, reader, writer)

    async def _play(self, step: str, method: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        match step:
            case "close":
                return False
            case "reset":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            case "hang":
                await reader.read()  # until the proxy gives up
                return False
            case "garbage":
                writer.write(b"this is no HTTP\r\n\r\n")
                return False
            case "part":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
                return False
            case "stall":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
                await reader.read()
                return False
        status, fields = _answer(step)
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        writer.write(f"HTTP/1.1 {status} X\r\n{lines}content-length: 2\r\n\r\n{'' if method == 'HEAD' else 'ok'}".encode())
        return True


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


class Http2Upstream:
    """The same over HTTP/2, on `upstream.port`."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.port = 0

    async def __aenter__(self) -> "Http2Upstream":
        self._server = await asyncio.get_running_loop().create_server(lambda: _Http2(self.memory), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()


class _Http2(asyncio.Protocol):
    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.initiate_connection()
        self._flush()

    def _flush(self) -> None:
        self._transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                headers = dict(event.headers)
                step = self._memory.next_step(headers, headers[":method"], headers[":path"])
                self._memory.tasks.add(spawn(self._play(event.stream_id, step, headers.get("x-id", "")), name="step"))
            elif isinstance(event, h2.events.DataReceived):
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self._flush()

    async def _play(self, stream_id: int, step: str, name: str) -> None:
        if step == "gate":
            await self._memory.gates[name].wait()
            step = "200"
        match step:
            case "refuse":
                self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.REFUSED_STREAM)
            case "cancel":
                self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
            case "close":
                self._transport.close()
            case "hang":
                return
            case _:
                status, fields = _answer(step)
                self._h2.send_headers(stream_id, [(":status", str(status)), *fields], end_stream=True)
        self._flush()
