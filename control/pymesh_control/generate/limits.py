"""Limits of connections and streams that a proxy's `connectionSettings` set, in the terms of a connection manager."""

from typing import Any

from pymesh.xds import proto

from ..model.settings import Settings

_OPTIONS = proto.protocol.HttpProtocolOptions
_HCM = proto.hcm.HttpConnectionManager

_TIMES = {
    "http_stream_idle_timeout": "stream_idle_timeout",
    "http_request_timeout": "request_timeout",
    "http_request_headers_timeout": "request_headers_timeout",
    "http_drain_timeout": "drain_timeout",
}
_COMMON_TIMES = {
    "http_idle_timeout": "idle_timeout",
    "http_max_connection_duration": "max_connection_duration",
    "http_max_stream_duration": "max_stream_duration",
}
_SIZES = {
    "http_max_concurrent_streams": "max_concurrent_streams",
    "http2_initial_stream_window_size": "initial_stream_window_size",
    "http2_initial_connection_window_size": "initial_connection_window_size",
}
"""Istio's names with Envoy's: of the manager, its common options, and its HTTP/2 options."""


def apply(manager: Any, settings: Settings, *, at_the_edge: bool) -> None:
    """Set what is asked for; of paths it stands over what the mesh says."""
    if settings.limits is None:
        return
    for name, field in _TIMES.items():
        _time(manager, field, settings.limit(name, at_the_edge=at_the_edge))
    for name, field in _COMMON_TIMES.items():
        _time(manager.common_http_protocol_options, field, settings.limit(name, at_the_edge=at_the_edge))
    for name, field in _SIZES.items():
        size = settings.limit(name, at_the_edge=at_the_edge)
        if size is not None:
            getattr(manager.http2_protocol_options, field).value = size
    _spelling(manager, settings, at_the_edge=at_the_edge)


def _spelling(manager: Any, settings: Settings, *, at_the_edge: bool) -> None:
    underscores = settings.choice("http_headers_with_underscores_action", at_the_edge=at_the_edge)
    if underscores:
        value = _OPTIONS.HeadersWithUnderscoresAction.Value(underscores)
        manager.common_http_protocol_options.headers_with_underscores_action = value
    merged = settings.limit("http_merge_slashes", at_the_edge=at_the_edge)
    if merged is not None:
        manager.merge_slashes = merged
    slashes = settings.choice("http_path_with_escaped_slashes_action", at_the_edge=at_the_edge)
    if slashes:
        manager.path_with_escaped_slashes_action = _HCM.PathWithEscapedSlashesAction.Value(slashes)


def buffer(listener: Any, settings: Settings) -> None:
    """Set how much a gateway's listener reads ahead of a connection."""
    size = settings.limit("listener_per_connection_buffer_limit_bytes", at_the_edge=True)
    if size is not None:
        listener.per_connection_buffer_limit_bytes.value = size


def _time(message: Any, field: str, seconds: float | None) -> None:
    if seconds is not None:
        getattr(message, field).CopyFrom(proto.duration(seconds))
