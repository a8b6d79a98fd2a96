"""ProxyConfig, as MeshConfig's `defaultConfig` and the annotation `proxy.istio.io/config` hold it."""

from ..models.proxysettings import ConnectionSettings, ProxySettings
from ..tree import json_name
from . import words
from .finding import Finding, Findings, below, verdict

_PORTS = ("proxy_admin_port", "status_port")
_SIZES = (
    "listener_per_connection_buffer_limit_bytes", "cluster_per_connection_buffer_limit_bytes", "http_max_concurrent_streams",
    "listener_connection_limit", "global_downstream_connection_limit",
)  # fmt: skip
_WINDOWS = ("http2_initial_stream_window_size", "http2_initial_connection_window_size")
_SMALLEST_WINDOW = 65535  # RFC 9113, 6.9.2, which HTTP/2 connections begin with


def check(settings: ProxySettings) -> Findings:
    """Everything wrong with the settings of a proxy."""
    for name in _PORTS:
        number = getattr(settings, name)
        yield from verdict(name, words.port(number)) if number else ()
    if (settings.concurrency or 0) < 0:
        yield Finding(("concurrency",), f"{settings.concurrency} is negative")
    if settings.tracing and settings.tracing.sampling is not None and not 0 <= settings.tracing.sampling <= 100:
        yield Finding(("tracing", "sampling"), f"the percentage {settings.tracing.sampling} must be between 0 and 100")
    if settings.private_key_provider and not settings.private_key_provider.model_fields_set:
        yield Finding(("private_key_provider",), "needs one of cryptomb and qat")
    yield from below("connection_settings", _limits(settings.connection_settings)) if settings.connection_settings else ()


def _limits(limits: ConnectionSettings) -> Findings:
    for name in _SIZES:
        value = getattr(limits, name)
        if value is not None and value < 1:
            yield Finding((name,), f"{json_name(name)} {value} must be at least 1")
    for name in _WINDOWS:
        value = getattr(limits, name)
        if value is not None and value < _SMALLEST_WINDOW:
            yield Finding((name,), f"{json_name(name)} {value} must be at least {_SMALLEST_WINDOW}")
