"""Http2ProtocolOptions, of clients and of upstreams."""

from ..http2.settings import Http2Options, Keepalive
from .fields import Reader
from .fractions import percent

_DEFAULTS = Http2Options()

_NUMBERS = (
    "hpack_table_size",
    "max_concurrent_streams",
    "initial_stream_window_size",
    "initial_connection_window_size",
    "max_outbound_frames",
    "max_outbound_control_frames",
    "max_consecutive_inbound_frames_with_empty_payload",
    "max_inbound_priority_frames_per_stream",
    "max_inbound_window_update_frames_per_data_frame_sent",
)


def http2_options(reader: Reader | None) -> Http2Options:
    """The options, or Envoy's defaults."""
    if reader is None:
        return _DEFAULTS
    reader.only(
        *_NUMBERS,
        "allow_connect",
        "stream_error_on_invalid_http_messaging",
        "override_stream_error_on_invalid_http_message",
        "connection_keepalive",
        harmless={"use_oghttp2_codec": "there is one codec", "max_metadata_size": "METADATA frames are ignored"},
        at_default={"allow_metadata": False},
    )
    numbers = {name: reader.wrapped(name, getattr(_DEFAULTS, name)) for name in _NUMBERS}
    return Http2Options(
        **numbers,
        allow_connect=reader.message.allow_connect,
        stream_error_on_invalid_http_messaging=reader.wrapped(
            "override_stream_error_on_invalid_http_message", reader.message.stream_error_on_invalid_http_messaging
        ),
        connection_keepalive=_keepalive(reader.child("connection_keepalive")),
    )


def _keepalive(reader: Reader | None) -> Keepalive | None:
    if reader is None:
        return None
    reader.only("interval", "timeout", "interval_jitter", "connection_idle_interval")
    return Keepalive(
        interval=reader.seconds("interval", 0.0),
        timeout=reader.seconds("timeout", 0.0),
        interval_jitter=percent(reader.child("interval_jitter"), 15.0),
        connection_idle_interval=reader.seconds("connection_idle_interval", 0.0),
    )
