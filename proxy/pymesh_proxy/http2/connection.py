"""One HTTP/2 connection in either role: its streams, its windows, what it writes, and how it ends.

`inbound` reads the peer's frames and calls what is here. Everything written in a loop turn goes out in one write; what windows or
the transport hold back goes out in turns, one frame a stream.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from mypy_extensions import mypyc_attr

from .errors import ConnectionBroken
from .flood import PREMATURE_RESET_LIFETIME, Flood
from .frames import (
    DEFAULT_MAX_FRAME_SIZE,
    DEFAULT_WINDOW,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    MAX_STREAM_ID,
    MAX_WINDOW,
    NO_ERROR,
    PREFACE,
    REFUSED_STREAM,
    STREAM_CLOSED,
    goaway,
    headers_frames,
    ping,
    rst_stream,
    window_update,
)
from .hpack import Decoder, Encoder, Fields
from .inbound import Inbound
from .phase import CLOSED, DRAINING, LEAVING, OPEN, Phase
from .sections import SectionReader
from .settings import Http2Options, PeerSettings
from .stream import H2Stream

_TURN_BYTES: Final = 256 * 1024
"""Held-back data that one connection sends in one loop turn."""

_RESETS_REMEMBERED: Final = 4096
"""Streams we have reset whose late frames are ignored (RFC 9113 5.1: the peer may not have heard of it)."""

_BLOCK_FACTOR: Final = 2
"""How much larger than its limit an encoded field section may be to cost only its stream, like one with too many fields."""

_HARMLESS: Final = frozenset((REFUSED_STREAM, STREAM_CLOSED))
"""Stream errors that a peer runs into without meaning it."""


@mypyc_attr(allow_interpreted_subclasses=True)
class H2Connection(asyncio.Protocol):
    """What both roles share. `open_stream` and `on_*` are theirs to define."""

    __slots__ = (
        "_loop", "_out", "_owed", "_ready", "_scheduled", "client", "encoder", "flood", "held", "high_water", "inbound",
        "last_id", "low_water", "next_id", "options", "paused", "peer", "phase", "receive_window", "resets", "section_size", "send_window",
        "stream_window", "streams", "transport", "window_slack",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: Http2Options,
        *,
        client: bool,
        buffer_limit: int = 1024 * 1024,
        max_header_bytes: int = 60 * 1024,
        max_header_count: int = 100,
    ) -> None:
        """`buffer_limit`: octets that may wait for the transport, and as many for windows; half of it is the low-water mark."""
        self._loop = loop
        self.options = options
        self.client = client
        self.high_water = buffer_limit
        self.low_water = buffer_limit // 2
        self.phase = 0
        """A Phase, as the plain int that the hot path compares."""
        self.transport: asyncio.Transport
        self.peer = PeerSettings()
        self.flood = Flood(options)
        self.encoder = Encoder()
        decoder = Decoder(table_size=options.hpack_table_size, max_bytes=max_header_bytes, max_count=max_header_count)
        sections = SectionReader(decoder, max_block=_BLOCK_FACTOR * max_header_bytes, allow_connect=options.allow_connect and not client)
        self.inbound = Inbound(self, sections)
        self.streams: dict[int, H2Stream] = {}
        self.resets: dict[int, None] = {}
        """Streams that we have reset, oldest first."""
        self.last_id = 0
        """The highest stream that has been opened."""
        self.next_id = 1
        """A client's next stream."""
        self.send_window = DEFAULT_WINDOW
        self.stream_window = options.initial_stream_window_size
        self.receive_window = options.initial_connection_window_size
        self.window_slack = max(0, DEFAULT_WINDOW - self.stream_window)
        """What the peer may send beyond a stream's window as long as it may not have read our SETTINGS (RFC 9113 6.9.2)."""
        self._owed = 0
        """Octets consumed that the connection's window has not been given back for."""
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

    def __repr__(self) -> str:
        role = "client" if self.client else "server"
        return f"<{type(self).__name__} {role} {Phase(self.phase).name} streams={len(self.streams)} last={self.last_id}>"

    # --- hooks --------------------------------------------------------------------------------------------------------

    def open_stream(self, stream_id: int) -> H2Stream:
        """A server's new stream: the peer's HEADERS follow by `on_headers`."""
        raise NotImplementedError

    def on_settings(self) -> None:
        """`peer` has changed; the first call ends the wait for the peer's preface."""

    def on_goaway(self, last_id: int, code: int) -> None:
        """The peer leaves. Streams of ours above `last_id` have been reset with REFUSED_STREAM: it has not looked at them."""

    def on_pong(self, opaque: bytes) -> None:
        """The peer has answered a PING."""

    def on_written(self, size: int) -> None:
        """Octets were handed to the transport."""

    def on_failed(self, code: int, reason: str) -> None:
        """The peer has broken a rule and was told so in a GOAWAY; `hang_up` follows, unless the peer does not even read."""

    def hang_up(self) -> None:
        """End the transport behind an error: here at once, which may cost a peer that is still sending the GOAWAY."""
        self.transport.close()

    # --- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=self.high_water, low=self.low_water)
        self._out.append((PREFACE if self.client else b"") + self.options.announced(client=self.client))
        if self.receive_window > DEFAULT_WINDOW:
            self._out.append(window_update(0, self.receive_window - DEFAULT_WINDOW))
        else:
            self.receive_window = DEFAULT_WINDOW  # which SETTINGS cannot change (RFC 9113 6.9.2)
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self.phase != CLOSED:
            self.inbound.feed(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.phase = CLOSED
        self._lose_streams(str(exc) if exc else "")

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._schedule()

    # --- the end ------------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Tell the peer that the connection will be left, and serve what it has sent until it knows (RFC 9113 6.8)."""
        if self.phase < DRAINING:
            self.phase = DRAINING
            self.write(goaway(MAX_STREAM_ID, NO_ERROR))

    def leave(self) -> None:
        """No more streams; closes when the last has ended."""
        if self.phase < LEAVING:
            self.phase = LEAVING
            self.write(goaway(0 if self.client else self.last_id, NO_ERROR))
            self._close_when_idle()

    def refuse_above(self, last_id: int, code: int) -> None:
        """The peer's GOAWAY."""
        if self.client and self.phase < LEAVING:
            self.phase = LEAVING
        self.on_goaway(last_id, code)
        if self.client:
            for stream in [stream for stream_id, stream in self.streams.items() if stream_id > last_id]:
                stream.close()
                stream.on_reset(REFUSED_STREAM)
        self._close_when_idle()

    def fail(self, code: int, reason: str) -> None:
        """A connection error: GOAWAY, and the end of every stream."""
        if self.phase == CLOSED:
            return
        deaf = code == ENHANCE_YOUR_CALM and self.transport.get_write_buffer_size() > 0
        self._out.append(goaway(0 if self.client else self.last_id, code, reason.encode()))
        self.flush()
        self.phase = CLOSED
        self.on_failed(code, reason)
        self._lose_streams(reason)
        if deaf:
            self.transport.abort()  # what waits for a peer that does not read is not worth waiting for
        else:
            self.hang_up()

    def _close_when_idle(self) -> None:
        if self.phase == LEAVING and not self.streams:
            self.flush()
            self.phase = CLOSED
            self.transport.close()

    def _lose_streams(self, reason: str) -> None:
        streams = list(self.streams.values())
        self.streams.clear()
        for stream in streams:
            stream.close()
            stream.on_lost(reason)

    # --- streams ------------------------------------------------------------------------------------------------------

    def available(self) -> int:
        """How many streams a client may start now."""
        if self.phase >= DRAINING or self.next_id > MAX_STREAM_ID:
            return 0
        return max(0, min(self.options.max_concurrent_streams, self.peer.max_concurrent_streams) - len(self.streams))

    def start(self, stream: H2Stream) -> None:
        """Give a client's stream its id; its HEADERS follow at once."""
        stream.id = self.last_id = self.next_id
        self.next_id += 2
        self.streams[stream.id] = stream
        self.flood.opened += 1

    def accept(self, stream_id: int) -> H2Stream:
        """A server's new stream."""
        stream = self.open_stream(stream_id)
        stream.started = self._loop.time()
        self.streams[stream_id] = stream
        return stream

    def forget(self, stream: H2Stream) -> None:
        """The stream has ended on the wire; its owner may hold it for longer."""
        if self.streams.pop(stream.id, None) is not None:
            self.flood.streams_ended += 1
            if self.phase == LEAVING and not self.streams:
                self._loop.call_soon(self._close_when_idle)  # not before the frame that ended it has been written and passed on

    def broken(self, stream_id: int, code: int, reason: str) -> None:
        """A stream error of the peer's doing."""
        stream = self.streams.get(stream_id)
        if stream is not None:
            stream.reset(code)
            self._violated(stream, code)
        elif stream_id > self.last_id or not stream_id & 1:
            raise ConnectionBroken(code, reason)  # RFC 9113 6.4: there is no RST_STREAM of an idle stream
        else:
            self.write_reset(stream_id, code)
            if code not in _HARMLESS:
                self.flood.streams_ended += 1
                self.flood.on_premature_reset()
        self.flood.check_control()

    def ended_by_peer(self, stream: H2Stream, code: int) -> None:
        """RST_STREAM came."""
        premature = self._is_premature(stream)
        stream.on_reset(code)
        if premature:
            self.flood.on_premature_reset()

    def _violated(self, stream: H2Stream, code: int) -> None:
        """RST_STREAM went, which the peer has provoked (CVE-2025-8671)."""
        premature = self._is_premature(stream)
        stream.on_violation(code)
        if premature:
            self.flood.on_premature_reset()

    def _is_premature(self, stream: H2Stream) -> bool:
        return not (self.client or stream.answered) and self._loop.time() - stream.started < PREMATURE_RESET_LIFETIME

    def settled(self) -> None:
        """The peer's SETTINGS have been applied."""
        if self.phase < OPEN:
            self.phase = OPEN
        self.on_settings()

    def change_windows(self, delta: int) -> None:
        """The peer's SETTINGS_INITIAL_WINDOW_SIZE has changed (RFC 9113 6.9.2)."""
        for stream in list(self.streams.values()):
            if stream.send_window + delta > MAX_WINDOW:
                raise ConnectionBroken(FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE makes a window of more than 2^31-1")
            stream.open_window(delta)

    # --- writing ------------------------------------------------------------------------------------------------------

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

    def credit(self, size: int) -> None:
        """Received octets have been passed on, or will never be: the connection's window opens by as many."""
        self._owed += size
        if self._owed * 2 >= self.options.initial_connection_window_size:
            self.receive_window += self._owed
            self.write_window_update(0, self._owed)
            self._owed = 0

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
