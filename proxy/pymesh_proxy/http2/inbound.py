"""The peer's frames: judged (RFC 9113 4 to 6), and turned into calls of streams and connection. `cutter` cuts them out of what was read.

A function a frame type, found in a tuple by the type. Each takes the whole read buffer and where its payload stands in it.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .cutter import FrameCutter
from .errors import ConnectionBroken, FieldsTooLarge, Malformed, StreamBroken
from .flood import Flood
from .frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    HAS_PRIORITY,
    HEADERS,
    INTERNAL_ERROR,
    MAX_STREAM_ID,
    MAX_WINDOW,
    PADDED,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    STREAM_CLOSED,
    ping,
    unpack_uint32,
    unpack_uint32_pair,
)
from .payloads import depends_on_itself, section_within, unpad
from .phase import LEAVING
from .sections import Assembly, SectionReader

if TYPE_CHECKING:
    from .connection import H2Connection
    from .stream import H2Stream

_SKIPS_REMEMBERED: Final = 16
"""Ranges of ids that were passed over: they only choose between two error codes."""

_WINDOWS_A_FRAME: Final = 16
"""Windows that are changed with the effort of a frame: SETTINGS may change all of them, again and again."""

_SECTION_A_FRAME: Final = 512
"""Octets of a field section that are read with the effort of a frame: each may be a field."""

_REMOTE_ENDED: Final = 2


class Inbound(FrameCutter):
    """The reading half of a connection."""

    __slots__ = ("_assembly", "_flood", "_sections", "_settings_due", "_skipped")

    def __init__(self, connection: "H2Connection", sections: SectionReader) -> None:
        super().__init__(connection)
        self._flood: Flood = connection.flood
        self._sections = sections
        self._settings_due = True
        """The peer's first frame has not come; it has to be SETTINGS."""
        self._assembly: Assembly | None = None
        """A field section whose END_HEADERS has not come."""
        self._skipped: deque[range] = deque(maxlen=_SKIPS_REMEMBERED)
        """Ids that the peer has passed over, which closes them unused (RFC 9113 5.1.1)."""

    def __repr__(self) -> str:
        return f"<Inbound buffer={len(self._buffer)} {self._assembly!r}>"

    def _take(self, kind: int, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        if self._assembly is not None and (kind != CONTINUATION or stream_id != self._assembly.stream_id):
            raise ConnectionBroken(PROTOCOL_ERROR, "a field section is interrupted")
        if self._settings_due:
            if kind != SETTINGS or flags & ACK:
                raise ConnectionBroken(PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._settings_due = False
        if kind > CONTINUATION:
            return  # RFC 9113 5.5: what is not known is ignored
        try:
            if kind == DATA:  # the frames of most streams; called by name, their numbers are not made objects
                self.on_data(flags, stream_id, data, start, end)
            elif kind == HEADERS:
                self.on_headers(flags, stream_id, data, start, end)
            else:
                _HANDLERS[kind](self, flags, stream_id, data, start, end)
        except StreamBroken as broken:
            self._connection.broken(stream_id, broken.code, broken.reason)
        except Malformed as malformed:
            if not self._connection.options.stream_error_on_invalid_http_messaging:
                raise ConnectionBroken(PROTOCOL_ERROR, str(malformed)) from malformed
            self._connection.broken(stream_id, PROTOCOL_ERROR, str(malformed))
        except FieldsTooLarge as large:
            self._connection.broken(stream_id, INTERNAL_ERROR, str(large))  # Envoy's code for it

    # --- frames of streams --------------------------------------------------------------------------------------------

    def on_data(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        connection = self._connection
        size = end - start
        ends = flags & END_STREAM
        stream = connection.streams.get(stream_id)
        connection.receive_window -= size
        if connection.receive_window < 0:
            raise ConnectionBroken(FLOW_CONTROL_ERROR, "more DATA than the connection's window")
        padding = 0
        if flags & PADDED:
            start, end = unpad(data, start, end)
            padding = size - (end - start)
        self._flood.on_payload(empty=start == end and not ends)
        if stream is None or stream.state & _REMOTE_ENDED:
            self._check_not_idle(stream_id, "DATA")
            connection.credit(size)
            if stream_id not in connection.resets:
                raise StreamBroken(STREAM_CLOSED, "DATA on a closed stream")
            return
        stream.receive_window -= size
        if stream.receive_window + connection.window_slack < 0:
            connection.credit(size)
            raise StreamBroken(FLOW_CONTROL_ERROR, "more DATA than the stream's window")
        stream.receive_data(data[start:end], padding, ends != 0)

    def on_headers(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        if flags & (PADDED | HAS_PRIORITY):
            start, end = section_within(flags, stream_id, data, start, end)
        self._left -= (end - start) // _SECTION_A_FRAME
        ends = flags & END_STREAM
        self._flood.on_payload(empty=start == end and not ends)
        if not stream_id:
            raise ConnectionBroken(PROTOCOL_ERROR, "HEADERS on stream 0")
        if flags & END_HEADERS:
            self._section(stream_id, ends != 0, data[start:end])
        else:
            self._assembly = Assembly(stream_id, ends != 0, data[start:end])

    def on_continuation(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        assembly = self._assembly
        if assembly is None:
            raise ConnectionBroken(PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._flood.on_continuation(assembly.continuations)
        self._flood.on_payload(empty=start == end and not flags & END_HEADERS)
        self._left -= (end - start) // _SECTION_A_FRAME
        assembly.add(data[start:end])
        self._sections.check_size(assembly.size)
        if flags & END_HEADERS:
            self._assembly = None
            self._section(stream_id, assembly.end, assembly.block())

    def _section(self, stream_id: int, end: bool, block: bytes) -> None:
        stream = self._connection.streams.get(stream_id)
        if stream is None:
            self._section_of_new(stream_id, end, block)
        elif stream.state & _REMOTE_ENDED:
            self._sections.decode(block)
            raise StreamBroken(STREAM_CLOSED, "HEADERS behind END_STREAM")
        elif self._connection.client and not stream.head_received:
            self._response(stream, end, block)
        else:
            fields = self._sections.trailers(block)
            if not end:
                raise Malformed("trailers without END_STREAM")
            stream.receive_trailers(fields)

    def _response(self, stream: "H2Stream", end: bool, block: bytes) -> None:
        fields, status, length = self._sections.response(block)
        if status >= 200:
            stream.receive_head(fields, end, 0 if status in _BODILESS else length)
        elif end:
            raise Malformed("an interim answer with END_STREAM")
        else:
            stream.on_headers(fields, False)

    def _section_of_new(self, stream_id: int, end: bool, block: bytes) -> None:
        connection = self._connection
        if connection.client or stream_id <= connection.last_id:
            self._section_of_old(stream_id, block)
            return
        if not stream_id & 1:
            raise ConnectionBroken(PROTOCOL_ERROR, f"a client's stream with the even id {stream_id}")
        if stream_id - connection.last_id > 2:
            self._skipped.append(range(connection.last_id + 1, stream_id))
        connection.last_id = stream_id
        self._flood.opened += 1
        if connection.phase >= LEAVING or len(connection.streams) >= connection.options.max_concurrent_streams:
            self._sections.decode(block)
            raise StreamBroken(REFUSED_STREAM, "too many streams")
        fields, length = self._sections.request(block)
        connection.accept(stream_id).receive_head(fields, end, length)

    def _section_of_old(self, stream_id: int, block: bytes) -> None:
        """Behind the end of a stream, or on one that cannot be."""
        self._sections.decode(block)
        self._check_not_idle(stream_id, "HEADERS")
        if stream_id in self._connection.resets:
            return
        if any(stream_id in skipped for skipped in self._skipped):
            raise ConnectionBroken(PROTOCOL_ERROR, f"stream {stream_id} behind later ones")
        raise ConnectionBroken(STREAM_CLOSED, f"HEADERS on the closed stream {stream_id}")

    def on_priority(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        """RFC 9113 5.3.2: understood and ignored."""
        if not stream_id:
            raise ConnectionBroken(PROTOCOL_ERROR, "PRIORITY on stream 0")
        self._flood.on_priority()
        if end - start != 5:
            raise StreamBroken(FRAME_SIZE_ERROR, "PRIORITY not of 5 octets")
        if depends_on_itself(stream_id, data, start):
            raise StreamBroken(PROTOCOL_ERROR, "a stream that depends on itself")

    def on_rst_stream(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        if end - start != 4:
            raise ConnectionBroken(FRAME_SIZE_ERROR, "RST_STREAM not of 4 octets")
        stream = self._connection.streams.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id, "RST_STREAM")
            return
        stream.close()
        self._connection.ended_by_peer(stream, unpack_uint32(data, start)[0])

    def on_window_update(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        if end - start != 4:
            raise ConnectionBroken(FRAME_SIZE_ERROR, "WINDOW_UPDATE not of 4 octets")
        self._flood.on_window_update()
        connection = self._connection
        increment = unpack_uint32(data, start)[0] & MAX_WINDOW
        if stream_id == 0:
            connection.send_window += increment
            if not increment:
                raise ConnectionBroken(PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
            if connection.send_window > MAX_WINDOW:
                raise ConnectionBroken(FLOW_CONTROL_ERROR, "a send window of more than 2^31-1")
            return
        stream = connection.streams.get(stream_id)
        if stream is None:
            self._check_not_idle(stream_id, "WINDOW_UPDATE")
        elif not increment:
            raise StreamBroken(PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
        else:
            stream.open_window(increment)

    def on_push_promise(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        raise ConnectionBroken(PROTOCOL_ERROR, "PUSH_PROMISE, which clients may not send and we have not allowed")

    def _check_not_idle(self, stream_id: int, what: str) -> None:
        if not stream_id & 1 or stream_id > self._connection.last_id:
            raise ConnectionBroken(PROTOCOL_ERROR, f"{what} on the idle stream {stream_id}")

    # --- frames of the connection -------------------------------------------------------------------------------------

    def on_settings(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        if stream_id:
            raise ConnectionBroken(PROTOCOL_ERROR, "SETTINGS on a stream")
        if (end - start) % 6 or (flags & ACK and end > start):
            raise ConnectionBroken(FRAME_SIZE_ERROR, "SETTINGS of a wrong length")
        connection = self._connection
        if flags & ACK:
            connection.window_slack = 0
            self._sections.decoder.settle()
            return
        peer = connection.peer
        before = peer.initial_window_size
        peer.apply(data[start:end], from_server=connection.client)
        if peer.initial_window_size != before:
            connection.change_windows(peer.initial_window_size - before)
            self._left -= len(connection.streams) // _WINDOWS_A_FRAME
        connection.encoder.resize(peer.header_table_size)
        self._flood.on_control()
        connection.write(SETTINGS_ACK)
        connection.settled()

    def on_ping(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        if stream_id:
            raise ConnectionBroken(PROTOCOL_ERROR, "PING on a stream")
        if end - start != 8:
            raise ConnectionBroken(FRAME_SIZE_ERROR, "PING not of 8 octets")
        if flags & ACK:
            self._connection.on_pong(data[start:end])
            return
        self._flood.on_control()
        self._connection.write(ping(data[start:end], ack=True))

    def on_goaway(self, flags: int, stream_id: int, data: bytes, start: int, end: int) -> None:
        if stream_id:
            raise ConnectionBroken(PROTOCOL_ERROR, "GOAWAY on a stream")
        if end - start < 8:
            raise ConnectionBroken(FRAME_SIZE_ERROR, "GOAWAY of less than 8 octets")
        last_id, code = unpack_uint32_pair(data, start)
        self._connection.refuse_above(last_id & MAX_STREAM_ID, code)


_BODILESS: Final = frozenset((204, 304))

_HANDLERS: Final[tuple[Callable[[Inbound, int, int, bytes, int, int], None], ...]] = (
    Inbound.on_data,
    Inbound.on_headers,
    Inbound.on_priority,
    Inbound.on_rst_stream,
    Inbound.on_settings,
    Inbound.on_push_promise,
    Inbound.on_ping,
    Inbound.on_goaway,
    Inbound.on_window_update,
    Inbound.on_continuation,
)
"""By frame type."""
