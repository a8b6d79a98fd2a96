"""Frames as bytes: types, flags, error codes and the functions that write each kind (RFC 9113 4, 6 and 7).

The hot path compares with the plain ints; the enums are for people (`repr`, reasons in logs).
"""

import enum
import struct
from collections.abc import Iterable
from typing import Final

from mypy_extensions import i64

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client's connection begins with (RFC 9113 3.4)."""

HEADER_SIZE: Final = 9
DEFAULT_MAX_FRAME_SIZE: Final = 16384
LARGEST_MAX_FRAME_SIZE: Final = 2**24 - 1
DEFAULT_WINDOW: Final = 65535
MAX_WINDOW: Final = 2**31 - 1
MAX_STREAM_ID: Final = 2**31 - 1


class ErrorCode(enum.IntEnum):
    """RFC 9113 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


DATA: Final = 0
HEADERS: Final = 1
PRIORITY: Final = 2
RST_STREAM: Final = 3
SETTINGS: Final = 4
PUSH_PROMISE: Final = 5
PING: Final = 6
GOAWAY: Final = 7
WINDOW_UPDATE: Final = 8
CONTINUATION: Final = 9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

NO_ERROR: Final = 0
PROTOCOL_ERROR: Final = 1
INTERNAL_ERROR: Final = 2
FLOW_CONTROL_ERROR: Final = 3
STREAM_CLOSED: Final = 5
FRAME_SIZE_ERROR: Final = 6
REFUSED_STREAM: Final = 7
CANCEL: Final = 8
COMPRESSION_ERROR: Final = 9
ENHANCE_YOUR_CALM: Final = 11

_header = struct.Struct(">LBL")
_setting = struct.Struct(">HL")
pack_header: Final = _header.pack
"""(length << 8 | type, flags, stream id) -> the 9 octets before a payload (RFC 9113 4.1)."""
unpack_uint32: Final = struct.Struct(">L").unpack_from
unpack_uint32_pair: Final = struct.Struct(">LL").unpack_from
iter_settings: Final = _setting.iter_unpack


def read_uint24(data: bytes, at: i64) -> i64:
    """A frame's length. Compiled, machine numbers: `struct` costs a call and a tuple of three, 700 instructions a frame."""
    high: i64 = data[at]
    middle: i64 = data[at + 1]
    low: i64 = data[at + 2]
    return high << 16 | middle << 8 | low


def read_uint31(data: bytes, at: i64) -> i64:
    """A stream's id, behind the reserved bit."""
    high: i64 = data[at]
    return (high & 0x7F) << 24 | read_uint24(data, at + 1)


def error_name(code: int) -> str:
    """`PROTOCOL_ERROR` for 1; a code that RFC 9113 does not name is written as a number."""
    return ErrorCode(code).name if code <= ErrorCode.HTTP_1_1_REQUIRED else f"error {code:#x}"


def headers_frames(stream_id: int, block: bytes, end_stream: bool, max_frame_size: int) -> bytes:
    """A HEADERS frame with as many CONTINUATION frames as the block needs (RFC 9113 6.10)."""
    size = len(block)
    if size <= max_frame_size:
        return pack_header(size << 8 | HEADERS, 5 if end_stream else END_HEADERS, stream_id) + block
    parts = [pack_header(max_frame_size << 8 | HEADERS, 1 if end_stream else 0, stream_id), block[:max_frame_size]]
    for start in range(max_frame_size, size, max_frame_size):
        piece = block[start : start + max_frame_size]
        flags = END_HEADERS if start + max_frame_size >= size else 0
        parts += (pack_header(len(piece) << 8 | CONTINUATION, flags, stream_id), piece)
    return b"".join(parts)


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """A SETTINGS frame of (identifier, value) pairs."""
    payload = b"".join([_setting.pack(identifier, value) for identifier, value in values])
    return pack_header(len(payload) << 8 | SETTINGS, 0, 0) + payload


SETTINGS_ACK: Final = pack_header(SETTINGS, ACK, 0)


def ping(opaque: bytes, *, ack: bool = False) -> bytes:
    """A PING of 8 octets, or the answer to one."""
    return pack_header(8 << 8 | PING, ACK if ack else 0, 0) + opaque


def goaway(last_stream_id: int, code: int, debug: bytes = b"") -> bytes:
    """GOAWAY: streams above `last_stream_id` have not been and will not be looked at."""
    return pack_header((8 + len(debug)) << 8 | GOAWAY, 0, 0) + struct.pack(">LL", last_stream_id, code) + debug


def rst_stream(stream_id: int, code: int) -> bytes:
    """RST_STREAM."""
    return struct.pack(">LBLL", 4 << 8 | RST_STREAM, 0, stream_id, code)


def window_update(stream_id: int, increment: int) -> bytes:
    """WINDOW_UPDATE; stream 0 is the connection."""
    return struct.pack(">LBLL", 4 << 8 | WINDOW_UPDATE, 0, stream_id, increment)
