"""An HTTP/2 client that sends any frames, well-formed or not, and writes down everything that it hears."""

import asyncio
import re
import ssl
from dataclasses import dataclass, field, replace

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from pymesh.tasks import spawn

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PATIENCE = 2.5  # seconds for the end of what was begun
_QUIET = 0.25  # seconds in which nothing comes from a connection that stays open
_RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VOLATILE = {"date", "x-envoy-upstream-service-time"}
_FORWARDED = re.compile(r'(\["x-forwarded-for", ")[^"]*("\])')

Fields = tuple[tuple[str, str], ...]
Step = Frame | bytes | float
"""A frame, bytes as they are, or seconds to wait."""


@dataclass(frozen=True)
class Heard:
    """What came on one stream."""

    sections: tuple[Fields, ...] = ()
    """Interim heads, the head, trailers: sorted, without what is never the same twice."""
    body: str = ""
    ended: bool = False
    reset: int | None = None


@dataclass(frozen=True)
class Course:
    """What came on the connection."""

    streams: dict[int, Heard]
    goaways: tuple[int, ...] = ()
    """Their codes."""
    closed: bool = False
    ports: str = ""
    """The listener's and the client's."""
    log: tuple[str, ...] = ()
    """What the proxy's access log says of the requests, in any order."""


@dataclass
class Talk:
    """One connection. Answers SETTINGS and PING, and gives windows back."""

    streams: dict[int, Heard] = field(default_factory=dict)
    goaways: list[int] = field(default_factory=list)
    decoder: hpack.Decoder = field(default_factory=hpack.Decoder)
    buffer: bytes = b""
    block: bytes = b""

    def feed(self, data: bytes) -> bytes:
        """Take what came; the value is to be sent."""
        self.buffer += data
        answers = []
        while len(self.buffer) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
            if len(self.buffer) < 9 + length:
                break
            frame.parse_body(memoryview(self.buffer[9 : 9 + length]))
            self.buffer = self.buffer[9 + length :]
            answers += self.take(frame)
        return b"".join(answer.serialize() for answer in answers)

    def take(self, frame: Frame) -> list[Frame]:
        heard = self.streams.get(frame.stream_id, Heard())
        match frame:
            case SettingsFrame() if "ACK" not in frame.flags:
                return [SettingsFrame(0, flags=["ACK"])]
            case PingFrame() if "ACK" not in frame.flags:
                return [PingFrame(0, frame.opaque_data, flags=["ACK"])]
            case GoAwayFrame():
                self.goaways.append(frame.error_code)
            case HeadersFrame() | ContinuationFrame():
                self.block += frame.data
                if "END_HEADERS" in frame.flags:
                    heard = replace(heard, sections=(*heard.sections, self.section()))
                self.streams[frame.stream_id] = replace(heard, ended=heard.ended or "END_STREAM" in frame.flags)
            case DataFrame():
                body = heard.body + frame.data.decode("latin-1")
                self.streams[frame.stream_id] = replace(heard, body=body, ended="END_STREAM" in frame.flags)
                size = frame.flow_controlled_length
                if size:
                    return [WindowUpdateFrame(0, size), WindowUpdateFrame(frame.stream_id, size)]
            case RstStreamFrame():
                self.streams[frame.stream_id] = replace(heard, reset=frame.error_code)
        return []

    def section(self) -> Fields:
        fields = self.decoder.decode(self.block)
        self.block = b""
        return tuple(sorted((name, _RANDOM_ID.sub("<id>", value)) for name, value in fields if name not in _VOLATILE))

    def course(self, closed: bool) -> Course:
        return Course({number: _comparable(heard) for number, heard in sorted(self.streams.items())}, tuple(self.goaways), closed)


def _comparable(heard: Heard) -> Heard:
    """Without ids and the machine's address in what the upstream tells of its request; its length then says nothing either."""
    body = _FORWARDED.sub(r"\1-\2", _RANDOM_ID.sub("<id>", heard.body))
    if not body.startswith("{"):
        return replace(heard, body=body)
    sections = tuple(tuple(pair for pair in section if pair[0] != "content-length") for section in heard.sections)
    return replace(heard, body=body, sections=sections)



_taken: set[str] = set()


async def _connect(port: int, context: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
    """A connection, and both its ports, which no other had before it: by them a log's lines are told apart, and systems use ports again."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        ports = f"{port}:{writer.get_extra_info('sockname')[1]}"
        if ports not in _taken:
            _taken.add(ports)
            return reader, writer, ports
        writer.close()


async def talk(
    port: int, steps: tuple[Step, ...], *, tls: bool = False, settings: dict[int, int] | None = None
) -> Course:
    """Send preface and SETTINGS, then the steps; hear until every stream has ended or the connection has."""
    context = None
    if tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
    reader, writer, ports = await _connect(port, context)
    known = Talk()
    hearing = spawn(_hear(reader, writer, known), name="hear")
    try:
        if not (steps and steps[0] == b"no preface"):
            writer.write(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())
        await _take_steps(writer, steps)
        opened = {step.stream_id for step in steps if isinstance(step, HeadersFrame)}
        closed = await _end(hearing, known, opened)
    finally:
        hearing.cancel()
        writer.close()
    return replace(known.course(closed), ports=ports)


async def _take_steps(writer: asyncio.StreamWriter, steps: tuple[Step, ...]) -> None:
    for step in steps:
        if isinstance(step, float):
            await asyncio.sleep(step)
        elif step != b"no preface":
            writer.write(step.serialize() if isinstance(step, Frame) else step)


async def _hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, known: Talk) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(known.feed(data))
    except ConnectionError:
        return


async def _end(hearing: "asyncio.Task[None]", known: Talk, opened: set[int]) -> bool:
    """Whether the proxy has closed; it gets a moment for it when all streams have ended."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _PATIENCE
    quiet = None
    while loop.time() < end:
        done, _ = await asyncio.wait([hearing], timeout=0.05)
        if done:
            return True
        if all((heard := known.streams.get(number)) and (heard.ended or heard.reset is not None) for number in opened):
            quiet = quiet or loop.time() + (_QUIET if opened and not known.goaways else _PATIENCE)
            if loop.time() >= quiet:
                return False
    return hearing.done()
