"""The writing half of an HTTP/2 connection in either role.

Everything written in a loop turn goes out in one write; what windows or the transport hold back goes out in turns, one frame a
stream.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from mypy_extensions import mypyc_attr

from .flood import Flood
from .frames import DEFAULT_MAX_FRAME_SIZE, DEFAULT_WINDOW, headers_frames, ping, rst_stream, window_update
from .hpack import Encoder, Fields
from .phase import CLOSED
from .settings import Http2Options
from .stream import H2Stream

_TURN_BYTES: Final = 256 * 1024
"""Held-back data that one connection sends in one loop turn."""

_RESETS_REMEMBERED: Final = 4096
"""Streams we have reset whose late frames are ignored (RFC 9113 5.1: the peer may not have heard of it)."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Outbound(asyncio.Protocol):
    """What `H2Connection` is to its transport's writing side. It inherits rather than holds this: streams write every frame through it."""

    __slots__ = (
        "_loop", "_out", "_ready", "_scheduled", "encoder", "flood", "held", "paused", "phase", "resets", "section_size", "send_window",
        "transport",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, options: Http2Options) -> None:
        self._loop = loop
        self.phase = 0
        """A Phase, as the plain int that the hot path compares."""
        self.transport: asyncio.Transport
        self.flood = Flood(options)
        self.encoder = Encoder()
        self.resets: dict[int, None] = {}
        """Streams that we have reset, oldest first."""
        self.send_window = DEFAULT_WINDOW
        self.held = 0
        """Octets that wait in the streams' outboxes."""
        self.paused = False
        """The transport holds more than its high-water mark: only control frames are written."""
        self._ready: deque[H2Stream] = deque()
        """Streams with data that their own window lets go, in turn."""
        self._out: list[bytes] = []
        self._scheduled = False
        """A flush comes in this turn by itself."""
        self.section_size = 0
        """Octets of the field section written last, frames included."""

    def on_written(self, size: int) -> None:
        """Octets were handed to the transport."""

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._schedule()

    def write(self, frame: bytes) -> None:
        """Append to this turn's write."""
        self._out.append(frame)
        if not self._scheduled:
            self._schedule()

    def write_headers(self, stream_id: int, fields: Fields, end: bool) -> None:
        """A field section."""
        frames = headers_frames(stream_id, self.encoder.encode(fields), end, DEFAULT_MAX_FRAME_SIZE)
        self.section_size = len(frames)
        self.write(frames)

    def write_data(self, header: bytes, data: bytes) -> None:
        """A DATA frame; the stream has counted it against its own window."""
        self.send_window -= len(data)
        self.flood.data_sent += 1
        self._out.append(header)
        self._out.append(data)
        if not self._scheduled:
            self._schedule()

    def write_reset(self, stream_id: int, code: int) -> None:
        """RST_STREAM; late frames of the stream are ignored from now on."""
        resets = self.resets
        resets[stream_id] = None
        if len(resets) > _RESETS_REMEMBERED:
            del resets[next(iter(resets))]
        self.flood.control_unsent += 1
        self.write(rst_stream(stream_id, code))

    def write_window_update(self, stream_id: int, increment: int) -> None:
        """WINDOW_UPDATE."""
        if self.phase != CLOSED:
            self.write(window_update(stream_id, increment))

    def ping(self, opaque: bytes) -> None:
        """A PING of 8 octets; `on_pong` has them again."""
        self.write(ping(opaque))

    def queue(self, stream: H2Stream) -> None:
        """The stream has data that its window lets go."""
        if not stream.queued:
            stream.queued = True
            self._ready.append(stream)
        if not self._scheduled:
            self._schedule()

    def later(self, callback: Callable[[], None]) -> None:
        """In the next loop turn."""
        self._loop.call_soon(callback)

    def hold(self) -> None:
        """A read is being worked on; what it makes us write goes out behind it."""
        self._scheduled = True

    def _schedule(self) -> None:
        self._scheduled = True
        self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what this turn has collected, and of what was held back what may go."""
        if self.phase == CLOSED:
            self._out.clear()
            return
        if self._ready and not self.paused:
            self._scheduled = True
            try:
                self._take_turns()
            finally:
                self._scheduled = False
        self._scheduled = False
        out = self._out
        if not out:
            return
        data = b"".join(out)
        self.flood.on_write(len(out), len(data), self.transport.get_write_buffer_size())
        out.clear()
        self.on_written(len(data))
        self.transport.write(data)
        if self._ready and self.send_window > 0 and not self.paused:
            self._schedule()

    def _take_turns(self) -> None:
        ready = self._ready
        budget = _TURN_BYTES
        while ready and budget > 0 and self.send_window > 0:
            stream = ready.popleft()
            if stream.state & 1:
                stream.queued = False
                continue
            budget -= stream.send_some(min(DEFAULT_MAX_FRAME_SIZE, self.send_window))
            if stream.queued:
                ready.append(stream)
            stream.refresh()
