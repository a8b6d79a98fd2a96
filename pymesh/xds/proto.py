"""Envoy's protobuf messages under one roof, and `Any` packing that knows every type by its URL.

The modules keep Envoy's own names (`proto.listener.Listener`, `proto.hcm.HttpConnectionManager`). xds-protos carries no
type information, so the messages are `Any` to the type checker.
"""

from typing import Any

from . import amended  # noqa: F401  isort: skip  before all that it amends

from envoy.admin.v3 import clusters_pb2 as admin_clusters
from envoy.admin.v3 import config_dump_pb2 as config_dump
from envoy.admin.v3 import config_dump_shared_pb2 as config_dump_shared
from envoy.admin.v3 import listeners_pb2 as admin_listeners
from envoy.admin.v3 import server_info_pb2 as server_info
from envoy.config.accesslog.v3 import accesslog_pb2 as accesslog
from envoy.config.bootstrap.v3 import bootstrap_pb2 as bootstrap
from envoy.config.cluster.v3 import circuit_breaker_pb2 as circuit_breaker
from envoy.config.cluster.v3 import cluster_pb2 as cluster
from envoy.config.cluster.v3 import outlier_detection_pb2 as outlier
from envoy.config.common.matcher.v3 import matcher_pb2 as common_matcher
from envoy.config.core.v3 import address_pb2 as address
from envoy.config.core.v3 import base_pb2 as base
from envoy.config.core.v3 import config_source_pb2 as config_source
from envoy.config.core.v3 import extension_pb2 as extension
from envoy.config.core.v3 import grpc_service_pb2 as grpc_service
from envoy.config.core.v3 import protocol_pb2 as protocol
from envoy.config.core.v3 import proxy_protocol_pb2 as proxy_protocol_config
from envoy.config.core.v3 import substitution_format_string_pb2 as format_string
from envoy.config.endpoint.v3 import endpoint_components_pb2 as endpoint_components
from envoy.config.endpoint.v3 import endpoint_pb2 as endpoint
from envoy.config.listener.v3 import listener_components_pb2 as listener_components
from envoy.config.listener.v3 import listener_pb2 as listener
from envoy.config.rbac.v3 import rbac_pb2 as rbac
from envoy.config.route.v3 import route_components_pb2 as route_components
from envoy.config.route.v3 import route_pb2 as route
from envoy.extensions.access_loggers.file.v3 import file_pb2 as file_log
from envoy.extensions.access_loggers.stream.v3 import stream_pb2 as stream_log
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2 as dns_cluster
from envoy.extensions.clusters.dynamic_forward_proxy.v3 import cluster_pb2 as dynamic_cluster
from envoy.extensions.common.dynamic_forward_proxy.v3 import dns_cache_pb2 as dns_cache
from envoy.extensions.compression.gzip.compressor.v3 import gzip_pb2 as gzip
from envoy.extensions.filters.common.set_filter_state.v3 import value_pb2 as filter_state_value
from envoy.extensions.filters.http.buffer.v3 import buffer_pb2 as http_buffer
from envoy.extensions.filters.http.compressor.v3 import compressor_pb2 as http_compressor
from envoy.extensions.filters.http.cors.v3 import cors_pb2 as cors
from envoy.extensions.filters.http.dynamic_forward_proxy.v3 import dynamic_forward_proxy_pb2 as http_dynamic_forward_proxy
from envoy.extensions.filters.http.fault.v3 import fault_pb2 as http_fault
from envoy.extensions.filters.http.grpc_stats.v3 import config_pb2 as grpc_stats
from envoy.extensions.filters.http.grpc_web.v3 import grpc_web_pb2 as grpc_web
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as http_header_mutation
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2 as local_ratelimit
from envoy.extensions.filters.http.ratelimit.v3 import rate_limit_pb2 as http_ratelimit
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac
from envoy.extensions.filters.http.router.v3 import router_pb2 as router
from envoy.extensions.filters.http.set_filter_state.v3 import set_filter_state_pb2 as set_filter_state
from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2 as stateful_session
from envoy.extensions.filters.listener.http_inspector.v3 import http_inspector_pb2 as http_inspector
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2 as original_dst
from envoy.extensions.filters.listener.original_src.v3 import original_src_pb2 as original_src
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2 as proxy_protocol
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2 as tls_inspector
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3 import sni_dynamic_forward_proxy_pb2 as sni_dynamic_forward_proxy
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2 as tcp_proxy
from envoy.extensions.http.header_formatters.preserve_case.v3 import preserve_case_pb2 as preserve_case
from envoy.extensions.http.stateful_session.cookie.v3 import cookie_pb2 as session_cookie
from envoy.extensions.http.stateful_session.header.v3 import header_pb2 as session_header
from envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3 import (
    client_side_weighted_round_robin_pb2 as lb_client_side_weighted_round_robin,
)
from envoy.extensions.load_balancing_policies.cluster_provided.v3 import cluster_provided_pb2 as lb_cluster_provided
from envoy.extensions.load_balancing_policies.common.v3 import common_pb2 as lb_common
from envoy.extensions.load_balancing_policies.least_request.v3 import least_request_pb2 as lb_least_request
from envoy.extensions.load_balancing_policies.maglev.v3 import maglev_pb2 as lb_maglev
from envoy.extensions.load_balancing_policies.random.v3 import random_pb2 as lb_random
from envoy.extensions.load_balancing_policies.ring_hash.v3 import ring_hash_pb2 as lb_ring_hash
from envoy.extensions.load_balancing_policies.round_robin.v3 import round_robin_pb2 as lb_round_robin
from envoy.extensions.load_balancing_policies.wrr_locality.v3 import wrr_locality_pb2 as lb_wrr_locality
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2 as cares_resolver
from envoy.extensions.network.dns_resolver.getaddrinfo.v3 import getaddrinfo_dns_resolver_pb2 as system_resolver
from envoy.extensions.path.match.uri_template.v3 import uri_template_match_pb2 as uri_template_match
from envoy.extensions.path.rewrite.uri_template.v3 import uri_template_rewrite_pb2 as uri_template_rewrite
from envoy.extensions.retry.host.omit_canary_hosts.v3 import omit_canary_hosts_pb2 as omit_canary_hosts
from envoy.extensions.retry.host.omit_host_metadata.v3 import omit_host_metadata_config_pb2 as omit_host_metadata
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2 as previous_hosts
from envoy.extensions.retry.priority.previous_priorities.v3 import previous_priorities_config_pb2 as previous_priorities
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2 as upstream_proxy_protocol
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2 as raw_buffer
from envoy.extensions.transport_sockets.tls.v3 import cert_pb2 as _cert  # noqa: F401  registers types the next ones refer to
from envoy.extensions.transport_sockets.tls.v3 import common_pb2 as tls_common
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2 as secret
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2 as tls
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as http_options
from envoy.service.discovery.v3 import ads_pb2_grpc as ads_grpc
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from envoy.service.ratelimit.v3 import rls_pb2 as rls
from envoy.service.ratelimit.v3 import rls_pb2_grpc as rls_grpc
from envoy.service.secret.v3 import sds_pb2_grpc as sds_grpc
from envoy.type.matcher.v3 import regex_pb2 as regex
from envoy.type.matcher.v3 import string_pb2 as string_matcher
from envoy.type.v3 import percent_pb2 as percent
from envoy.type.v3 import range_pb2 as range_type
from google.protobuf import any_pb2, duration_pb2, struct_pb2, symbol_database, wrappers_pb2
from google.rpc import status_pb2 as status
from udpa.type.v1 import typed_struct_pb2 as udpa_typed_struct
from validate import validate_pb2 as validate
from xds.type.v3 import typed_struct_pb2 as typed_struct

__all__ = [
    "accesslog",
    "address",
    "admin_clusters",
    "admin_listeners",
    "ads_grpc",
    "base",
    "bootstrap",
    "cares_resolver",
    "circuit_breaker",
    "cluster",
    "common_matcher",
    "config_dump",
    "config_dump_shared",
    "config_source",
    "cors",
    "discovery",
    "dns_cache",
    "dns_cluster",
    "duration",
    "dynamic_cluster",
    "endpoint",
    "endpoint_components",
    "extension",
    "file_log",
    "filter_state_value",
    "format_string",
    "grpc_service",
    "grpc_stats",
    "grpc_web",
    "gzip",
    "hcm",
    "http_buffer",
    "http_compressor",
    "http_dynamic_forward_proxy",
    "http_fault",
    "http_header_mutation",
    "http_inspector",
    "http_options",
    "http_ratelimit",
    "http_rbac",
    "lb_client_side_weighted_round_robin",
    "lb_cluster_provided",
    "lb_common",
    "lb_least_request",
    "lb_maglev",
    "lb_random",
    "lb_ring_hash",
    "lb_round_robin",
    "lb_wrr_locality",
    "listener",
    "listener_components",
    "local_ratelimit",
    "network_rbac",
    "omit_canary_hosts",
    "omit_host_metadata",
    "original_dst",
    "original_src",
    "outlier",
    "pack",
    "percent",
    "preserve_case",
    "previous_hosts",
    "previous_priorities",
    "protocol",
    "proxy_protocol",
    "proxy_protocol_config",
    "range_type",
    "raw_buffer",
    "rbac",
    "regex",
    "rls",
    "rls_grpc",
    "route",
    "route_components",
    "router",
    "sds_grpc",
    "secret",
    "server_info",
    "session_cookie",
    "session_header",
    "set_filter_state",
    "sni_dynamic_forward_proxy",
    "stateful_session",
    "status",
    "stream_log",
    "string_matcher",
    "struct_pb2",
    "system_resolver",
    "tcp_proxy",
    "tls",
    "tls_common",
    "tls_inspector",
    "typed_struct",
    "udpa_typed_struct",
    "unpack",
    "upstream_proxy_protocol",
    "uri_template_match",
    "uri_template_rewrite",
    "validate",
    "wrappers_pb2",
]  # fmt: skip


class UnknownType(LookupError):
    """An `Any` carries a type URL that this build has no message for."""


def pack(message: Any) -> Any:
    """Wrap a message in `Any`, serialized deterministically so that equal content is equal bytes."""
    packed = any_pb2.Any()
    packed.Pack(message, deterministic=True)
    return packed


def unpack(packed: Any) -> Any:
    """The message inside an `Any`; raises UnknownType for an unregistered URL, DecodeError for bytes that do not parse."""
    name = packed.type_url.rpartition("/")[2]
    try:
        message = symbol_database.Default().GetSymbol(name)()
    except KeyError:
        raise UnknownType(packed.type_url) from None
    message.MergeFromString(packed.value)
    return message


def duration(seconds: float) -> Any:
    """A protobuf Duration from seconds."""
    whole = int(seconds)
    return duration_pb2.Duration(seconds=whole, nanos=round((seconds - whole) * 1e9))
