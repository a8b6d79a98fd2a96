"""One HTTP/2 connection in either role: its streams, its windows, and how it ends.

`inbound` reads the peer's frames and calls what is here; `outbound` writes ours.
"""

import asyncio
from typing import Final, cast

from mypy_extensions import mypyc_attr

from .errors import ConnectionBroken
from .flood import PREMATURE_RESET_LIFETIME
from .frames import (
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
    window_update,
)
from .hpack import Decoder
from .inbound import Inbound
from .outbound import Outbound
from .phase import CLOSED, DRAINING, LEAVING, OPEN, Phase
from .sections import SectionReader
from .settings import Http2Options, PeerSettings
from .stream import H2Stream

_BLOCK_FACTOR: Final = 2
"""How much larger than its limit an encoded field section may be to cost only its stream, like one with too many fields."""

_HARMLESS: Final = frozenset((REFUSED_STREAM, STREAM_CLOSED))
"""Stream errors that a peer runs into without meaning it."""


@mypyc_attr(allow_interpreted_subclasses=True)
class H2Connection(Outbound):
    """What both roles share. `open_stream` and `on_*` are theirs to define."""

    __slots__ = (
        "_owed", "client", "high_water", "inbound", "last_id", "low_water", "next_id", "options", "peer", "receive_window",
        "stream_window", "streams", "window_slack",
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
        super().__init__(loop, options)
        self.options = options
        self.client = client
        self.high_water = buffer_limit
        self.low_water = buffer_limit // 2
        self.peer = PeerSettings()
        decoder = Decoder(table_size=options.hpack_table_size, max_bytes=max_header_bytes, max_count=max_header_count)
        sections = SectionReader(decoder, max_block=_BLOCK_FACTOR * max_header_bytes, allow_connect=options.allow_connect and not client)
        self.inbound = Inbound(self, sections)
        self.streams: dict[int, H2Stream] = {}
        self.last_id = 0
        """The highest stream that has been opened."""
        self.next_id = 1
        """A client's next stream."""
        self.stream_window = options.initial_stream_window_size
        self.receive_window = options.initial_connection_window_size
        self.window_slack = max(0, DEFAULT_WINDOW - self.stream_window)
        """What the peer may send beyond a stream's window as long as it may not have read our SETTINGS (RFC 9113 6.9.2)."""
        self._owed = 0
        """Octets consumed that the connection's window has not been given back for."""

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

    def on_failed(self, code: int, reason: str) -> None:
        """The peer has broken a rule and was told so in a GOAWAY; `hang_up` follows, unless the peer does not even read."""

    def hang_up(self) -> None:
        """End the transport behind an error: here at once, which may cost a peer that is still sending the GOAWAY."""
        self.transport.close()

    def part(self) -> None:
        """End the transport behind the last stream."""
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
            self.part()

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

    def credit(self, size: int) -> None:
        """Received octets have been passed on, or will never be: the connection's window opens by as many."""
        self._owed += size
        if self._owed * 2 >= self.options.initial_connection_window_size:
            self.receive_window += self._owed
            self.write_window_update(0, self._owed)
            self._owed = 0
