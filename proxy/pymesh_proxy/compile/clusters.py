"""Clusters: discovery, balancing, limits, protocol and transport."""

from typing import Any

from google.protobuf import json_format

from pymesh.address import is_ip

from ..upstream.config import Assignment, ClusterConfig, Discovery, ProxyHeader, TransportMatch
from ..upstream.dns_cache import DnsCaches
from . import connecting, dns, policy_list, tls, upstream_http
from .balancing import balancing
from .breakers import limits
from .common_lb import common_lb
from .dynamic_forward_proxy import cluster_cache
from .endpoints import assignment
from .fields import Reader, compiled
from .health_checks import health_check
from .outlier import outlier_detection
from .sources import check_delivery

_HARMLESS = {
    "cleanup_interval": "an original destination is forgotten with its last connection",
    "track_cluster_stats": "it only adds statistics",
    "track_timeout_budgets": "it only adds statistics",
}

_HONOURED = (
    "name",
    "alt_stat_name",
    "type",
    "cluster_type",
    "eds_cluster_config",
    "load_assignment",
    "lb_policy",
    "load_balancing_policy",
    "least_request_lb_config",
    "round_robin_lb_config",
    "ring_hash_lb_config",
    "maglev_lb_config",
    "original_dst_lb_config",
    "common_lb_config",
    "connect_timeout",
    "per_connection_buffer_limit_bytes",
    "max_requests_per_connection",
    "circuit_breakers",
    "typed_extension_protocol_options",
    "common_http_protocol_options",
    "http_protocol_options",
    "http2_protocol_options",
    "upstream_http_protocol_options",
    "upstream_bind_config",
    "upstream_connection_options",
    "transport_socket",
    "transport_socket_matches",
    "metadata",
    "outlier_detection",
    "health_checks",
    "ignore_health_on_host_removal",
)


def compile_cluster(message: Any, caches: DnsCaches | None = None) -> ClusterConfig:
    """A Cluster resource; raises ConfigError with every problem. `caches` are the process's, where it has some."""
    return compiled(message, lambda reader: _cluster(reader, DnsCaches() if caches is None else caches))


def _cluster(reader: Reader, caches: DnsCaches) -> ClusterConfig:
    reader.only(*_HONOURED, *dns.CLUSTER_FIELDS, harmless=_HARMLESS)
    message = reader.message
    discovery, own = _discovery(reader)
    dynamic = own if discovery is Discovery.DYNAMIC else None
    http = upstream_http.options(reader, names=dynamic)
    policy = policy_list.chosen(reader)
    options = connecting.options(reader)
    default_limits, high_limits = limits(reader.child("circuit_breakers"))
    return ClusterConfig(
        name=message.name,
        discovery=discovery,
        assignment=_assignment(reader, discovery),
        eds_name=_eds_name(reader, discovery),
        balancing=balancing(reader, discovery, policy),
        connect_timeout=reader.seconds("connect_timeout", 5.0),
        limits=default_limits,
        high_limits=high_limits,
        protocol=http.protocol,
        http2=http.http2,
        max_requests_per_connection=http.max_requests_per_connection,
        idle_timeout=http.idle_timeout,
        max_connection_duration=http.max_connection_duration,
        max_stream_duration=http.max_stream_duration,
        max_response_headers=http.max_response_headers,
        max_response_headers_count=http.max_response_headers_count,
        proper_case=http.http1.proper_case,
        enable_trailers=http.http1.enable_trailers,
        buffer_limit=reader.wrapped("per_connection_buffer_limit_bytes", 1024 * 1024),
        tls=upstream_http.named(reader, http, tls.upstream_tls(reader.child("transport_socket"))),
        transport_matches=tuple(_transport_match(item, http) for item in reader.items("transport_socket_matches")),
        proxy_header=_proxy_header(reader),
        common_lb=common_lb(reader, policy),
        health_check=health_check(reader, discovery),
        outlier=outlier_detection(reader, discovery, http.error),
        dns=dns.dns(reader, discovery, None if dynamic else own),
        dns_cache=None if dynamic is None else cluster_cache(dynamic, caches),
        bind_addresses=connecting.bind_addresses(reader.child("upstream_bind_config")),
        keepalive=connecting.keepalive(options),
        eyeballs=connecting.eyeballs(options),
        original_dst=connecting.original_dst(reader.child("original_dst_lb_config")),
        alt_stat_name=message.alt_stat_name,
        metadata={key: json_format.MessageToDict(value) for key, value in message.metadata.filter_metadata.items()},
        source=message,
    )


_TYPES = {
    "envoy.cluster.static": Discovery.STATIC,
    "envoy.cluster.strict_dns": Discovery.STRICT_DNS,
    "envoy.cluster.logical_dns": Discovery.LOGICAL_DNS,
    "envoy.cluster.eds": Discovery.EDS,
    "envoy.cluster.original_dst": Discovery.ORIGINAL_DST,
}
"""Names by which `cluster_type` says what `type` can say, too."""

_DNS_CLUSTER = "envoy.extensions.clusters.dns.v3.DnsCluster"
_DYNAMIC_CLUSTER = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"


def _discovery(reader: Reader) -> tuple[Discovery, Reader | None]:
    """The kind of a cluster; and its own message, where it is given as a DnsCluster or as a dynamic forward proxy."""
    custom = reader.child("cluster_type")
    if custom is None:
        return Discovery.__members__.get(reader.choice("type"), Discovery.STATIC), None
    custom.only("name", "typed_config")
    if custom.message.typed_config.type_url.endswith(f"/{_DNS_CLUSTER}"):
        own = custom.extension()
        logical = own is not None and own.message.all_addresses_in_single_endpoint
        return (Discovery.LOGICAL_DNS if logical else Discovery.STRICT_DNS), own
    if custom.message.typed_config.type_url.endswith(f"/{_DYNAMIC_CLUSTER}"):
        return Discovery.DYNAMIC, custom.extension()
    if custom.message.name not in _TYPES or custom.has("typed_config"):
        custom.no_implementation("name", custom.message.typed_config.type_url)
    return _TYPES.get(custom.message.name, Discovery.STATIC), None


def _assignment(reader: Reader, discovery: Discovery) -> Assignment | None:
    inline = reader.child("load_assignment")
    if discovery in (Discovery.EDS, Discovery.ORIGINAL_DST, Discovery.DYNAMIC):
        if inline is not None:
            reader.refuse("load_assignment", f"a cluster of type {discovery.name} gets its endpoints elsewhere")
        return None
    made = assignment(inline) if inline is not None else Assignment(cluster=reader.message.name, endpoints=())
    if discovery is Discovery.STATIC:
        _require_ips(reader, made)
    if discovery is Discovery.LOGICAL_DNS and len(made.endpoints) != 1:
        reader.refuse("load_assignment", f"a LOGICAL_DNS cluster has exactly one endpoint, not {len(made.endpoints)}")
    return made


def _require_ips(reader: Reader, made: Assignment) -> None:
    for endpoint in made.endpoints:
        if not (endpoint.host.startswith("/") or is_ip(endpoint.host)):
            reader.refuse("load_assignment", f"{endpoint.host!r} is no IP address; use type STRICT_DNS or LOGICAL_DNS for names")


def _eds_name(reader: Reader, discovery: Discovery) -> str:
    config = reader.child("eds_cluster_config")
    if discovery is not Discovery.EDS:
        if config is not None:
            reader.refuse("eds_cluster_config", f"a cluster of type {discovery.name} has no EDS")
        return ""
    if config is None:
        reader.refuse("eds_cluster_config", "a cluster of type EDS needs it")
        return ""
    config.only("eds_config", "service_name")
    if not config.has("eds_config"):
        config.refuse("eds_config", "this field is required")
    check_delivery(config.child("eds_config"))
    return str(config.message.service_name or reader.message.name)


def _proxy_header(reader: Reader) -> ProxyHeader | None:
    """One for the whole cluster: every transport socket that it has asks for the same."""
    header = tls.proxy_header(reader.child("transport_socket"))
    matches = reader.items("transport_socket_matches")
    wanted = [tls.proxy_header(item.child("transport_socket")) for item in matches]
    if reader.has("transport_socket") or not matches:
        wanted.append(header)
    if len(set(wanted)) > 1:
        reader.refuse("transport_socket_matches", "either all transport sockets of a cluster write the same PROXY header, or none does")
    return wanted[0]


def _transport_match(item: Reader, http: upstream_http.UpstreamHttp) -> TransportMatch:
    item.only("name", "match", "transport_socket")
    labels = json_format.MessageToDict(item.message.match)
    return TransportMatch(
        name=item.message.name,
        labels=tuple(sorted((key, str(value)) for key, value in labels.items())),
        tls=upstream_http.named(item, http, tls.upstream_tls(item.child("transport_socket"))),
    )
