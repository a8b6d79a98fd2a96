"""A client that talks in steps, and what it heard: several answers on one connection, perhaps a tunnel behind the last."""

import asyncio
import re
from dataclasses import dataclass, replace

from .differences import comparable
from .wire import Answer

_PATIENCE = 4.0  # seconds for a step, and for the end
_QUIET = 0.3  # seconds in which nothing comes from a connection that stays open
_SENT = re.compile(rb"^([A-Z]+) [^ \r\n]+ HTTP/1\.[01]\r$", re.MULTILINE)
_RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Until:
    """Wait for bytes."""

    heard: bytes


@dataclass(frozen=True)
class Pause:
    """Do nothing for so many seconds: what is tested is a time limit of the proxy."""

    seconds: float


class Finish:
    """Send a FIN and keep listening."""


Step = bytes | Until | Pause | Finish


@dataclass(frozen=True)
class Transcript:
    """All answers in order, the bytes of a tunnel, and whether the proxy closed the connection."""

    answers: tuple[Answer, ...]
    tunnel: bytes
    closed: bool


async def talk(port: int, steps: tuple[Step, ...], *, stays: bool) -> Transcript:
    """Take the steps on a fresh connection; `stays` says not to wait for its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard, closed = b"", False
    try:
        for step in steps:
            match step:
                case bytes():
                    writer.write(step)
                case Until():
                    heard += await _until(reader, step.heard)
                case Pause():
                    await asyncio.sleep(step.seconds)
                case Finish():
                    writer.write_eof()
        rest, closed = await _rest(reader, _QUIET if stays else _PATIENCE)
    finally:
        writer.close()
    sent = b"".join(step for step in steps if isinstance(step, bytes))
    answers, tunnel = _parse(heard + rest, _SENT.findall(sent))
    return Transcript(tuple(answers), tunnel, closed)


async def hear(port: int, data: bytes) -> bytes:
    """Send bytes on a fresh connection; all that comes back until the connection ends or nothing more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        heard, _ = await _rest(reader, _QUIET)
        return heard
    finally:
        writer.close()


async def _until(reader: asyncio.StreamReader, wanted: bytes) -> bytes:
    async with asyncio.timeout(_PATIENCE):
        return await reader.readuntil(wanted)


async def _rest(reader: asyncio.StreamReader, patience: float) -> tuple[bytes, bool]:
    heard = b""
    try:
        while True:
            piece = await asyncio.wait_for(reader.read(65536), patience)
            if not piece:
                return heard, True
            heard += piece
    except TimeoutError:
        return heard, False
    except ConnectionError:
        return heard, True


def _parse(stream: bytes, methods: list[bytes]) -> tuple[list[Answer], bytes]:
    answers: list[Answer] = []
    interim: list[int] = []
    while b"\r\n\r\n" in stream:
        head, _, stream = stream.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        status = int(status_line.split(" ")[1])
        headers = tuple(sorted((name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)))
        if status < 200 and status != 101:
            interim.append(status)
            continue
        method = methods[len(answers)] if len(answers) < len(methods) else b""
        answer = Answer(status, headers, "", tuple(interim), "whole")
        interim = []
        if status == 101 or (method == b"CONNECT" and status < 300):
            return [*answers, answer], stream
        body, ended, stream = _body(stream, answer, method)
        answers.append(replace(answer, body=_RANDOM_ID.sub("<id>", body.decode("latin-1")), ended=ended))
    return answers, stream


def _body(stream: bytes, answer: Answer, method: bytes) -> tuple[bytes, str, bytes]:
    if method == b"HEAD" or answer.status in (204, 304):
        return b"", "whole", stream
    if answer.header("transfer-encoding") == "chunked":
        return _chunks(stream)
    length = answer.header("content-length")
    if length is None:
        return stream, "whole", b""
    body, rest = stream[: int(length)], stream[int(length) :]
    return body, "whole" if len(body) == int(length) else "cut", rest


def _chunks(stream: bytes) -> tuple[bytes, str, bytes]:
    """The body with its trailers behind it, as they came."""
    body = b""
    while b"\r\n" in stream:
        size, _, stream = stream.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            trailers, _, rest = (b"\r\n" + stream).partition(b"\r\n\r\n")
            return body + trailers.lower(), "whole", rest
        body, stream = body + stream[:length], stream[length + 2 :]
    return body, "cut", b""


def comparable_talks(theirs: Transcript, ours: Transcript) -> tuple[Transcript, Transcript]:
    """Both without what changes from one request to the next and without the differences of every answer."""
    pairs = [comparable(*pair) for pair in zip(theirs.answers, ours.answers, strict=False)]
    count = len(pairs)
    left = (*(pair[0] for pair in pairs), *theirs.answers[count:])
    right = (*(pair[1] for pair in pairs), *ours.answers[count:])
    return replace(theirs, answers=left), replace(ours, answers=right)
