"""What stands around a payload: padding and priority (RFC 9113 6.1 to 6.3)."""

from .errors import ConnectionBroken
from .frames import FRAME_SIZE_ERROR, HAS_PRIORITY, MAX_STREAM_ID, PADDED, PROTOCOL_ERROR, unpack_uint32


def unpad(data: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the payload stands between pad length and padding."""
    if start == end:
        raise ConnectionBroken(FRAME_SIZE_ERROR, "a padded frame without a pad length")
    end -= data[start]
    start += 1
    if end < start:
        raise ConnectionBroken(PROTOCOL_ERROR, "more padding than payload")
    return start, end


def section_within(flags: int, stream_id: int, data: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the field section stands in HEADERS with padding or priority."""
    if flags & PADDED:
        start, end = unpad(data, start, end)
    if flags & HAS_PRIORITY:
        start += 5
        if start > end:
            raise ConnectionBroken(FRAME_SIZE_ERROR, "HEADERS too short for its priority")
        if depends_on_itself(stream_id, data, start - 5):
            raise ConnectionBroken(PROTOCOL_ERROR, "a stream that depends on itself")  # a stream error would leave HPACK behind
    return start, end


def depends_on_itself(stream_id: int, data: bytes, start: int) -> bool:
    """RFC 7540 5.3.1 forbids it; the rest of priorities is ignored."""
    return bool(unpack_uint32(data, start)[0] & MAX_STREAM_ID == stream_id)
