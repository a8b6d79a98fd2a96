"""How a connection manager's clients may speak HTTP/1: limits, times and repairs, from four messages of Envoy's into our options."""

from typing import Any

from ..http.options import Underscores
from .fields import Reader
from .upstream_http import header_case

MANAGER_FIELDS = (
    "common_http_protocol_options",
    "http_protocol_options",
    "max_request_headers_kb",
    "stream_idle_timeout",
    "request_timeout",
    "request_headers_timeout",
    "drain_timeout",
    "delayed_close_timeout",
    "stream_error_on_invalid_http_message",
    "http1_safe_max_connection_duration",
    "proxy_100_continue",
)
"""What `protocol_options` reads of an HttpConnectionManager."""


def protocol_options(reader: Reader) -> dict[str, Any]:
    """The members of HttpOptions that these fields decide."""
    return {**_manager(reader), **_common(reader), **_http1(reader)}


def _manager(reader: Reader) -> dict[str, Any]:
    return {
        "max_request_headers": reader.wrapped("max_request_headers_kb", 60) * 1024,
        "stream_error": reader.wrapped("stream_error_on_invalid_http_message", False),
        "stream_idle_timeout": reader.seconds("stream_idle_timeout", 300.0),
        "request_timeout": reader.seconds("request_timeout", 0.0),
        "request_headers_timeout": reader.seconds("request_headers_timeout", 0.0),
        "drain_timeout": reader.seconds("drain_timeout", 5.0),
        "delayed_close_timeout": reader.seconds("delayed_close_timeout", 1.0),
        "proxy_100_continue": reader.message.proxy_100_continue,
        "safe_connection_duration": reader.message.http1_safe_max_connection_duration,
    }


def _common(reader: Reader) -> dict[str, Any]:
    common = Reader(reader.message.common_http_protocol_options, reader.at("common_http_protocol_options"), reader.problems)
    common.only(
        "idle_timeout",
        "max_connection_duration",
        "max_stream_duration",
        "max_headers_count",
        "headers_with_underscores_action",
        "max_requests_per_connection",
        harmless={"max_response_headers_kb": "it is for upstreams"},
    )
    underscores = common.choice("headers_with_underscores_action")
    return {
        "idle_timeout": common.seconds("idle_timeout", 3600.0),
        "max_connection_duration": common.seconds("max_connection_duration", 0.0),
        "max_stream_duration": common.seconds("max_stream_duration", 0.0),
        "max_headers_count": common.wrapped("max_headers_count", 100),
        "max_requests_per_connection": common.wrapped("max_requests_per_connection", 0),
        "underscores": Underscores.__members__.get(underscores, Underscores.ALLOW),
    }


def _http1(reader: Reader) -> dict[str, Any]:
    http1 = Reader(reader.message.http_protocol_options, reader.at("http_protocol_options"), reader.problems)
    http1.only("accept_http_10", "default_host_for_http_10", "allow_absolute_url", "header_key_format", "enable_trailers")
    return {
        "accept_http_10": http1.message.accept_http_10,
        "default_host_for_http_10": http1.message.default_host_for_http_10.encode(),
        "allow_absolute_url": http1.wrapped("allow_absolute_url", True),
        "enable_trailers": http1.message.enable_trailers,
        "proper_case": header_case(http1),
    }
