"""How a cluster speaks HTTP: HttpProtocolOptions, or the older fields of the cluster itself."""

import dataclasses
from dataclasses import dataclass, field

from ..http2.settings import Http2Options
from ..route.retry_policy import AnswerTest
from ..tls.config import UpstreamTls
from ..upstream.config import ALPN, UpstreamProtocol
from .answer_match import answer_predicate
from .fields import Reader
from .http2 import http2_options

_EXTENSION = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

_PRESERVE_CASE = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"


@dataclass(frozen=True, slots=True)
class Http1:
    """What an upstream's Http1ProtocolOptions ask for."""

    proper_case: bool = False
    enable_trailers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamHttp:
    """What of ClusterConfig comes from the protocol options."""

    protocol: UpstreamProtocol = UpstreamProtocol.HTTP1
    http2: Http2Options = field(default_factory=Http2Options)
    max_requests_per_connection: int = 0
    idle_timeout: float = 3600.0
    max_connection_duration: float = 0.0
    max_stream_duration: float = 0.0
    max_response_headers: int = 80 * 1024
    max_response_headers_count: int = 100
    http1: Http1 = Http1()
    error: AnswerTest | None = None
    """Which answers outlier detection takes for errors, instead of those of the statuses 500 to 599."""
    auto_sni: bool = False
    auto_san_validation: bool = False


def options(cluster: Reader, names: Reader | None = None) -> UpstreamHttp:
    """The options of a cluster; HttpProtocolOptions win over the older fields, as in Envoy.

    `names` is the message of a dynamic forward proxy, whose endpoints are the hosts that requests name: TLS goes by these.
    """
    modern = None
    for name, packed in sorted(cluster.message.typed_extension_protocol_options.items()):
        entry = Reader(packed, f"{cluster.at('typed_extension_protocol_options')}[{name!r}]", cluster.problems)
        if name != _EXTENSION or packed.type_url.rpartition("/")[2] != _EXTENSION:
            entry.refuse("", f"no implementation of {name!r} with type URL {packed.type_url!r}")
            continue
        modern = cluster.unpacked(packed, entry.path)
    found = _older(cluster) if modern is None else _modern(modern)
    sni, sans = _names(cluster if modern is None else modern, names, older=modern is None)
    return dataclasses.replace(found, auto_sni=sni, auto_san_validation=sans)


def _older(cluster: Reader) -> UpstreamHttp:
    of_http1 = http1(cluster.child("http_protocol_options"))
    common = _common(cluster, older_maximum=cluster.wrapped("max_requests_per_connection", 0))
    http2 = cluster.child("http2_protocol_options")
    if http2 is None:
        return dataclasses.replace(common, http1=of_http1)
    return dataclasses.replace(common, protocol=UpstreamProtocol.HTTP2, http1=of_http1, http2=http2_options(http2))


def _modern(reader: Reader) -> UpstreamHttp:
    reader.only(
        "common_http_protocol_options",
        "upstream_http_protocol_options",
        "explicit_http_config",
        "use_downstream_protocol_config",
        "auto_config",
        "outlier_detection",
    )
    protocol, of_http1, http2 = _protocol(reader)
    error = _error(reader.child("outlier_detection"))
    return dataclasses.replace(_common(reader), protocol=protocol, http1=of_http1, http2=http2, error=error)


def _error(reader: Reader | None) -> AnswerTest | None:
    if reader is None:
        return None
    reader.only("error_matcher")
    matcher = reader.child("error_matcher")
    return answer_predicate(matcher) if matcher is not None else None


def _protocol(reader: Reader) -> tuple[UpstreamProtocol, Http1, Http2Options]:
    """What is spoken, and how each version of it."""
    which = reader.which("upstream_protocol_options")
    chosen = reader.child(which) if which else None
    if chosen is None:
        return UpstreamProtocol.HTTP1, Http1(), Http2Options()
    chosen.only("http_protocol_options", "http2_protocol_options")
    of_http1 = http1(chosen.child("http_protocol_options"))
    http2 = chosen.child("http2_protocol_options")
    if which == "auto_config":
        return UpstreamProtocol.AUTO, of_http1, http2_options(http2)
    if http2 is None:
        return UpstreamProtocol.HTTP1, of_http1, Http2Options()
    both = which == "use_downstream_protocol_config"
    return UpstreamProtocol.DOWNSTREAM if both else UpstreamProtocol.HTTP2, of_http1, http2_options(http2)


def negotiating(parent: Reader, protocol: UpstreamProtocol, tls: UpstreamTls | None) -> UpstreamTls | None:
    """The TLS of a transport socket of a cluster: where versions are negotiated, both are offered unless the context names its own."""
    if protocol is not UpstreamProtocol.AUTO:
        return tls
    if tls is None:
        parent.refuse("transport_socket", "auto_config chooses by ALPN, which takes TLS")
        return None
    return tls if tls.alpn else dataclasses.replace(tls, alpn=ALPN)


def named(parent: Reader, http: UpstreamHttp, tls: UpstreamTls | None) -> UpstreamTls | None:
    """The TLS of a transport socket of a cluster, as its HTTP options have it."""
    found = negotiating(parent, http.protocol, tls)
    if found is None or not (http.auto_sni or http.auto_san_validation):
        return found
    return dataclasses.replace(found, auto_sni=http.auto_sni, auto_san_validation=http.auto_san_validation)


def http1(reader: Reader | None) -> Http1:
    """An upstream's Http1ProtocolOptions."""
    if reader is None:
        return Http1()
    reader.only(
        "header_key_format",
        "enable_trailers",
        harmless={"accept_http_10": "it is for clients", "default_host_for_http_10": "it is for clients"},
        at_default={"allow_absolute_url": True},
    )
    return Http1(header_case(reader), reader.message.enable_trailers)


def header_case(reader: Reader) -> bool:
    """`header_key_format`: whether names of headers get proper case; without it, and with a preserve_case formatter, they keep theirs."""
    config = reader.child("header_key_format")
    if config is None:
        return False
    config.only("proper_case_words", "stateful_formatter")
    words = config.child("proper_case_words")
    if words is not None:
        words.only()
    formatter = config.child("stateful_formatter")
    if formatter is not None:
        formatter.only("name", "typed_config")
        formatter.extend({_PRESERVE_CASE: lambda preserved: preserved.only()})
    return config.which("header_format") == "proper_case_words"


def _common(reader: Reader, older_maximum: int = 0) -> UpstreamHttp:
    common = reader.child("common_http_protocol_options")
    if common is None:
        return UpstreamHttp(max_requests_per_connection=older_maximum)
    common.only(
        "idle_timeout",
        "max_connection_duration",
        "max_stream_duration",
        "max_headers_count",
        "max_response_headers_kb",
        "max_requests_per_connection",
        at_default={"headers_with_underscores_action": 0},
    )
    return UpstreamHttp(
        max_requests_per_connection=common.wrapped("max_requests_per_connection", older_maximum),
        idle_timeout=common.seconds("idle_timeout", 3600.0),
        max_connection_duration=common.seconds("max_connection_duration", 0.0),
        max_stream_duration=common.seconds("max_stream_duration", 0.0),
        max_response_headers=common.wrapped("max_response_headers_kb", 80) * 1024,
        max_response_headers_count=common.wrapped("max_headers_count", 100),
    )


def _names(reader: Reader, names: Reader | None, *, older: bool) -> tuple[bool, bool]:
    """`auto_sni` and `auto_san_validation`; where endpoints are not the hosts of requests, they would need connections of their own for
    every host."""
    config = reader.child("upstream_http_protocol_options")
    if names is None:
        if config is not None:
            config.only()
        return False, False
    if config is None and older:
        return True, True  # Envoy's default for such a cluster
    found = False, False
    if config is not None:
        config.only("auto_sni", "auto_san_validation")
        found = config.message.auto_sni, config.message.auto_san_validation
    if not all(found) and not names.message.allow_insecure_cluster_options:
        where = "upstream_http_protocol_options"
        reader.refuse(where, "a dynamic forward proxy needs auto_sni and auto_san_validation, or allow_insecure_cluster_options")
    return found
