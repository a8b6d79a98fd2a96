"""What both ends have announced: our options with Envoy's names and defaults, and the peer's settings (RFC 9113 6.5)."""

from dataclasses import dataclass
from typing import Final

from .errors import ConnectionBroken
from .frames import (
    DEFAULT_MAX_FRAME_SIZE,
    DEFAULT_WINDOW,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    LARGEST_MAX_FRAME_SIZE,
    MAX_WINDOW,
    PROTOCOL_ERROR,
    iter_settings,
    settings,
)
from .hpack import TABLE_SIZE

HEADER_TABLE_SIZE: Final = 1
ENABLE_PUSH: Final = 2
MAX_CONCURRENT_STREAMS: Final = 3
INITIAL_WINDOW_SIZE: Final = 4
MAX_FRAME_SIZE: Final = 5
MAX_HEADER_LIST_SIZE: Final = 6
ENABLE_CONNECT_PROTOCOL: Final = 8

_MAX_ENTRIES: Final = 32
"""Entries of one SETTINGS frame (CVE-2020-11080); there are seven identifiers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keepalive:
    """connection_keepalive: PINGs that find out whether the peer is still there. Times are seconds."""

    interval: float
    """Between two PINGs; 0 sends them only after idleness."""
    timeout: float
    """How long an answer may take."""
    interval_jitter: float = 15.0
    """Percent of the interval."""
    connection_idle_interval: float = 0.0
    """A client's PING before a stream that begins after this long without a read; 0 never. Servers begin no streams."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2Options:
    """Envoy's Http2ProtocolOptions."""

    hpack_table_size: int = TABLE_SIZE
    max_concurrent_streams: int = 1024
    initial_stream_window_size: int = 16 * 1024 * 1024
    initial_connection_window_size: int = 24 * 1024 * 1024
    allow_connect: bool = False
    """RFC 8441's extended CONNECT."""
    max_outbound_frames: int = 10000
    max_outbound_control_frames: int = 1000
    max_consecutive_inbound_frames_with_empty_payload: int = 1
    max_inbound_priority_frames_per_stream: int = 100
    max_inbound_window_update_frames_per_data_frame_sent: int = 10
    stream_error_on_invalid_http_messaging: bool = False
    """A malformed message ends its stream only; otherwise the connection."""
    connection_keepalive: Keepalive | None = None

    def announced(self, *, client: bool) -> bytes:
        """Our SETTINGS frame, as Envoy orders it."""
        values = [(HEADER_TABLE_SIZE, self.hpack_table_size)]
        if client:
            values.append((ENABLE_PUSH, 0))
        else:
            values.append((ENABLE_CONNECT_PROTOCOL, int(self.allow_connect)))
        values += ((MAX_CONCURRENT_STREAMS, self.max_concurrent_streams), (INITIAL_WINDOW_SIZE, self.initial_stream_window_size))
        return settings(values)


_UNTOLD_STREAMS = 100
"""Streams that are opened before a peer has said how many it takes: RFC 9113 6.5.2 recommends that nobody takes fewer, and nghttp2
assumes as much. More could all be refused."""


class PeerSettings:
    """What the peer has announced, or the defaults until it does."""

    __slots__ = (
        "enable_connect_protocol", "enable_push", "header_table_size", "initial_window_size", "max_concurrent_streams",
        "max_frame_size", "max_header_list_size", "told",
    )  # fmt: skip

    def __init__(self) -> None:
        self.told = False
        """Whether the peer's first SETTINGS are here."""
        self.header_table_size = TABLE_SIZE
        self.enable_push = 1
        self.max_concurrent_streams = _UNTOLD_STREAMS
        self.initial_window_size = DEFAULT_WINDOW
        self.max_frame_size = DEFAULT_MAX_FRAME_SIZE
        """What it would take. We send frames of the size that everybody has to take: others get their turn sooner."""
        self.max_header_list_size = 2**32 - 1
        self.enable_connect_protocol = 0

    def __repr__(self) -> str:
        return "<PeerSettings " + " ".join(f"{name}={getattr(self, name)}" for name in self.__slots__) + ">"

    def apply(self, payload: bytes, *, from_server: bool) -> None:
        """The entries of a SETTINGS frame, in order; raises ConnectionBroken for a value that RFC 9113 6.5.2 forbids."""
        if len(payload) > 6 * _MAX_ENTRIES:
            raise ConnectionBroken(ENHANCE_YOUR_CALM, f"a SETTINGS frame of more than {_MAX_ENTRIES} entries")
        if not self.told:
            self.told = True
            self.max_concurrent_streams = 2**32 - 1  # unlimited, if these do not say otherwise
        for identifier, value in iter_settings(payload):
            if identifier == HEADER_TABLE_SIZE:
                self.header_table_size = value
            elif identifier == ENABLE_PUSH:
                _check(value == 0 or (value == 1 and not from_server), f"ENABLE_PUSH {value}")
                self.enable_push = value
            elif identifier == MAX_CONCURRENT_STREAMS:
                self.max_concurrent_streams = value
            elif identifier == INITIAL_WINDOW_SIZE:
                _check(value <= MAX_WINDOW, f"INITIAL_WINDOW_SIZE {value}", FLOW_CONTROL_ERROR)
                self.initial_window_size = value
            elif identifier == MAX_FRAME_SIZE:
                _check(DEFAULT_MAX_FRAME_SIZE <= value <= LARGEST_MAX_FRAME_SIZE, f"MAX_FRAME_SIZE {value}")
                self.max_frame_size = value
            elif identifier == MAX_HEADER_LIST_SIZE:
                self.max_header_list_size = value
            elif identifier == ENABLE_CONNECT_PROTOCOL:
                _check(value == 1 or (value == 0 and not self.enable_connect_protocol), f"ENABLE_CONNECT_PROTOCOL {value}")
                self.enable_connect_protocol = value


def _check(good: bool, what: str, code: int = PROTOCOL_ERROR) -> None:
    if not good:
        raise ConnectionBroken(code, f"SETTINGS with {what}")
