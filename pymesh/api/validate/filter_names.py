"""Names that filters had in old versions of Envoy. Nothing that is generated has them, so a match by one finds nothing."""

_HTTP = "envoy.filters.http."
_NETWORK = "envoy.filters.network."
_LISTENER = "envoy.filters.listener."

_KEPT = {
    "envoy.": {
        _HTTP: "buffer cors csrf fault grpc_http1_bridge grpc_json_transcoder grpc_web gzip health_check ip_tagging lua router squash",
        _NETWORK: "client_ssl_auth ext_authz http_connection_manager mongo_proxy ratelimit redis_proxy tcp_proxy",
    },
    "envoy.listener.": {_LISTENER: "http_inspector original_dst original_src proxy_protocol tls_inspector"},
}
"""By old and present beginning, what has stayed of the names."""

PRESENT = {
    "envoy.http_dynamo_filter": _HTTP + "dynamo",
    "envoy.rate_limit": _HTTP + "ratelimit",
    **{old + name: new + name for old, found in _KEPT.items() for new, names in found.items() for name in names.split()},
}
"""The present name by the old one."""
