"""One bootstrap for Envoy and for our proxy; only ports and paths differ."""

from pathlib import Path
from typing import Any

import yaml

from tests.certificates import Authority

_TYPE = "type.googleapis.com/envoy.extensions."


def _any(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": _TYPE + kind, **fields}}


_RETRY = {"retry_on": "connect-failure,refused-stream,unavailable,cancelled", "num_retries": 2}
"""Istio's kind of retry policy."""


def http_filter(log: Path, to: str = "up", retry: dict[str, Any] | None = None) -> dict[str, Any]:
    """An HttpConnectionManager with Envoy's default access log."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": to, "timeout": "15s", "retry_policy": retry or _RETRY}}
    return _any(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="bench",
        access_log=[_any("envoy.access_loggers.file", "access_loggers.file.v3.FileAccessLog", path=str(log))],
        route_config={"name": "bench", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[_any("envoy.filters.http.router", "filters.http.router.v3.Router")],
    )


def tcp_filter(to: str = "up") -> dict[str, Any]:
    return _any("envoy.filters.network.tcp_proxy", "filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="bench", cluster=to)


def write_certificates(folder: Path) -> None:
    """A root and two workload certificates (`a` client, `b` server)."""
    authority = Authority("cluster.local")
    (folder / "ca.pem").write_bytes(authority.pem)
    for name in "ab":
        pair = authority.pair(f"spiffe://cluster.local/ns/default/sa/{name}")
        (folder / f"{name}.pem").write_bytes(pair.chain)
        (folder / f"{name}.key").write_bytes(pair.key)


def tls(folder: Path, side: str, name: str, *, h2: bool = False) -> dict[str, Any]:
    """A transport socket with the workload certificate `name`; `side` is Upstream or Downstream. TLS 1.3 on both."""
    common = {
        **({"alpn_protocols": ["h2"]} if h2 else {}),
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [
            {"certificate_chain": {"filename": str(folder / f"{name}.pem")}, "private_key": {"filename": str(folder / f"{name}.key")}}
        ],
        "validation_context": {"trusted_ca": {"filename": str(folder / "ca.pem")}},
    }
    extra = {"require_client_certificate": True} if side == "Downstream" else {}
    return _any("envoy.transport_sockets.tls", f"transport_sockets.tls.v3.{side}TlsContext", common_tls_context=common, **extra)


def _address(port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def upstream_protocol(*, h2: bool = False, requests: int | None = None) -> dict[str, Any]:
    """A cluster's protocol options: HTTP/2 with prior knowledge or ALPN, and how many requests a connection may carry."""
    protocol = "http2_protocol_options" if h2 else "http_protocol_options"
    options: dict[str, Any] = {"@type": _TYPE + "upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": {protocol: {}}}
    if requests is not None:
        options["common_http_protocol_options"] = {"max_requests_per_connection": requests}
    return {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}}


def cluster(name: str, *upstreams: int, endpoints: int = 1, **extra: Any) -> dict[str, Any]:
    """A cluster of endpoints on loopback: one for each port, or so many, which have addresses of their own and the same port."""
    hosts = [f"127.{number >> 8}.{number & 255}.1" for number in range(endpoints)]
    members = [{"endpoint": {"address": _address(upstream, host)}} for upstream in upstreams for host in hosts]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": members}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment, **extra}


def listener(name: str, port: int, terminal: dict[str, Any], down: dict[str, Any] | None = None) -> dict[str, Any]:
    """A listener with one filter chain."""
    chain = {"filters": [terminal], **({"transport_socket": down} if down else {})}
    return {"name": name, "address": _address(port), "filter_chains": [chain]}


def bootstrap(path: Path, admin: int, listeners: list[dict[str, Any]], clusters: list[dict[str, Any]]) -> Path:
    """Write a bootstrap of static resources."""
    document = {
        "node": {"id": "bench", "cluster": "bench"},
        "static_resources": {"listeners": listeners, "clusters": clusters},
        "admin": {"address": _address(admin)},
    }
    path.write_text(yaml.safe_dump(document))
    return path
