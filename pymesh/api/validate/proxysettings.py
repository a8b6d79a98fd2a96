"""ProxyConfig, as MeshConfig's `defaultConfig` and the annotation `proxy.istio.io/config` hold it."""

from ..models.proxysettings import ConnectionSettings, ProxySettings
from ..tree import Path, json_name
from . import words
from .finding import Finding, Findings, below, verdict

_PORTS = ("proxy_admin_port", "status_port")
_ADDRESSES = ("discovery_address", "statsd_udp_address", "envoy_metrics_service_address")
_SERVICES = ("envoy_metrics_service", "envoy_access_log_service")
_TRACERS = ("zipkin", "lightstep", "datadog")
_NODE = "$(HOST_IP)"
"""Stands for the address of the machine, in addresses of tracers."""
_OLD_ALLOCATION = "ISTIO_META_DNS_AUTO_ALLOCATE"
_SIZES = ("http_max_concurrent_streams", "listener_connection_limit", "global_downstream_connection_limit")
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
    yield from _addresses(settings)
    if settings.drain_duration is not None and settings.drain_duration % 1:
        yield Finding(("drain_duration",), "must be whole seconds")
    if _OLD_ALLOCATION in settings.proxy_metadata:
        yield Finding(("proxy_metadata", _OLD_ALLOCATION), "deprecated: addresses are allocated for everybody", "warning")
    yield from below("connection_settings", _limits(settings.connection_settings)) if settings.connection_settings else ()


def _addresses(settings: ProxySettings) -> Findings:
    """`HOST:PORT`, where proxies find services outside the mesh's configuration."""
    found: dict[Path, str | None] = {(name,): getattr(settings, name) for name in _ADDRESSES}
    for name in _SERVICES:
        service = getattr(settings, name)
        found[(name, "address")] = service.address if service else None
    for name in _TRACERS:
        tracer = getattr(settings.tracing, name) if settings.tracing else None
        found[("tracing", name, "address")] = tracer and tracer.address
    for path, text in found.items():
        yield from verdict(path, words.host_and_port(text.replace(_NODE, "127.0.0.1"))) if text else ()


def _limits(limits: ConnectionSettings) -> Findings:
    for name in _SIZES:
        value = getattr(limits, name)
        if value is not None and value < 1:
            yield Finding((name,), f"{json_name(name)} {value} must be at least 1")
    for name in _WINDOWS:
        value = getattr(limits, name)
        if value is not None and value < _SMALLEST_WINDOW:
            yield Finding((name,), f"{json_name(name)} {value} must be at least {_SMALLEST_WINDOW}")
