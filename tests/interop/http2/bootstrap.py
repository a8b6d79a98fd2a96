"""One bootstrap for both proxies: a listener for each set of options."""

from pathlib import Path
from typing import Any

from tests.certificates import Authority

from .cases import OPTIONS, TLS, TO_2

_EXTENSIONS = "type.googleapis.com/envoy.extensions"
_ROUTER = {"name": "router", "typed_config": {"@type": f"{_EXTENSIONS}.filters.http.router.v3.Router"}}
_PAIR = Authority().pair("any.org")


_PORTS = "%DOWNSTREAM_LOCAL_PORT%:%DOWNSTREAM_REMOTE_PORT%"
_LINE = _PORTS + " %REQ(:METHOD)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n"


def bootstrap(ports: dict[str, int], admin: int, upstreams: dict[str, int], log: Path) -> dict[str, Any]:
    """`upstreams`: ports by cluster, of `one` (HTTP/1), `two` (HTTP/2) and `dead`. Lines of the access log begin with both ports."""
    return {
        "node": {"id": "http2", "cluster": "http2"},
        "admin": {"address": _address(admin)},
        "static_resources": {
            "listeners": [_listener(name, port, log) for name, port in ports.items()],
            "clusters": [_cluster(name, port) for name, port in upstreams.items()],
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    version = {"http2_protocol_options": {"allow_connect": True}} if name == "two" else {"http_protocol_options": {"enable_trailers": True}}
    protocols = {
        "@type": f"{_EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": version,
    }
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocols},
    }


def _routes(name: str) -> list[dict[str, Any]]:
    cluster = "two" if name in TO_2 else "one"
    connect = [{"match": {"connect_matcher": {}}, "route": {"cluster": cluster, "timeout": "0s"}}] if name.startswith("tunnel") else []
    return [
        *connect,
        {"match": {"path": "/direct"}, "direct_response": {"status": 200, "body": {"inline_string": "made here"}}},
        {"match": {"path": "/moved"}, "redirect": {"path_redirect": "/there"}},
        {"match": {"prefix": "/dead"}, "route": {"cluster": "dead"}},
        {"match": {"prefix": "/nowhere"}, "direct_response": {"status": 404}},
        {"match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "1s"}},
    ]


def _listener(name: str, port: int, log: Path) -> dict[str, Any]:
    manager = {
        "@type": f"{_EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "codec_type": "AUTO" if name.startswith("auto") or name in TLS else "HTTP2",
        "http_protocol_options": {"enable_trailers": True},
        "http_filters": [_ROUTER],
        "route_config": {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": _routes(name)}]},
        **OPTIONS[name],
    }
    kind = f"{_EXTENSIONS}.access_loggers.file.v3.FileAccessLog"
    line = {"text_format_source": {"inline_string": _LINE}}
    manager["access_log"] = [{"name": "file", "typed_config": {"@type": kind, "path": str(log), "log_format": line}}]
    chain: dict[str, Any] = {"filters": [{"name": "http", "typed_config": manager}]}
    if name in TLS:
        chain["transport_socket"] = _tls()
    return {"name": name, "address": _address(port), "filter_chains": [chain]}


def _tls() -> dict[str, Any]:
    pair = {"certificate_chain": {"inline_string": _PAIR.chain.decode()}, "private_key": {"inline_string": _PAIR.key.decode()}}
    context = {"alpn_protocols": ["h2", "http/1.1"], "tls_certificates": [pair]}
    kind = f"{_EXTENSIONS}.transport_sockets.tls.v3.DownstreamTlsContext"
    return {"name": "tls", "typed_config": {"@type": kind, "common_tls_context": context}}
