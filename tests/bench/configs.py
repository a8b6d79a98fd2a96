"""One bootstrap for Envoy and for our proxy (ports differ), and HAProxy's and nginx's files for the same job."""

import subprocess
from pathlib import Path
from typing import Any

import yaml

_TYPE = "type.googleapis.com/envoy.extensions."
BODY = "hello from upstream, a small body of some bytes\\n"


def _any(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": _TYPE + kind, **fields}}


def http_filter(log: Path) -> dict[str, Any]:
    """An HttpConnectionManager with Envoy's default access log and Istio's kind of retry policy."""
    retry = {"retry_on": "connect-failure,refused-stream,unavailable,cancelled", "num_retries": 2}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "15s", "retry_policy": retry}}
    return _any(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="bench",
        access_log=[_any("envoy.access_loggers.file", "access_loggers.file.v3.FileAccessLog", path=str(log))],
        route_config={"name": "bench", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[_any("envoy.filters.http.router", "filters.http.router.v3.Router")],
    )


def tcp_filter() -> dict[str, Any]:
    return _any("envoy.filters.network.tcp_proxy", "filters.network.tcp_proxy.v3.TcpProxy", stat_prefix="bench", cluster="up")


def tls(folder: Path, side: str, name: str) -> dict[str, Any]:
    """A transport socket with the workload certificate `name`; `side` is Upstream or Downstream. TLS 1.3 on both."""
    common = {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [
            {"certificate_chain": {"filename": str(folder / f"{name}.pem")}, "private_key": {"filename": str(folder / f"{name}.key")}}
        ],
        "validation_context": {"trusted_ca": {"filename": str(folder / "ca.pem")}},
    }
    extra = {"require_client_certificate": True} if side == "Downstream" else {}
    return _any("envoy.transport_sockets.tls", f"transport_sockets.tls.v3.{side}TlsContext", common_tls_context=common, **extra)


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def bootstrap(
    path: Path,
    *,
    port: int,
    admin: int,
    upstream: int,
    terminal: dict[str, Any],
    down: dict[str, Any] | None = None,
    up: dict[str, Any] | None = None,
) -> Path:
    """Write a bootstrap with one listener and one cluster."""
    chain: dict[str, Any] = {"filters": [terminal], **({"transport_socket": down} if down else {})}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}]
    cluster: dict[str, Any] = {
        "name": "up",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "up", "endpoints": endpoints},
        **({"transport_socket": up} if up else {}),
    }
    listener = {"name": "bench", "address": _address(port), "filter_chains": [chain]}
    document = {
        "node": {"id": "bench", "cluster": "bench"},
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
        "admin": {"address": _address(admin)},
    }
    path.write_text(yaml.safe_dump(document))
    return path


def nginx(path: Path, port: int) -> Path:
    """An upstream that answers everything with a small body."""
    path.write_text(
        f"worker_processes 1; daemon off; pid {path}.pid; error_log {path}.err;\n"
        "events { worker_connections 8192; }\n"
        "http { access_log off; keepalive_requests 100000000; keepalive_timeout 600s; client_body_temp_path /tmp;\n"
        f"server {{ listen 127.0.0.1:{port} backlog=4096; add_header X-Path $request_uri; location / {{ return 200 '{BODY}'; }} }} }}\n"
    )
    return path


def haproxy(path: Path, mode: str, port: int, upstream: int) -> Path:
    """HAProxy as the limit of what C can do for the same job."""
    reuse = " http-reuse always\n" if mode == "http" else ""
    path.write_text(
        "global\n nbthread 1\n maxconn 4000\n"
        f"defaults\n mode {mode}\n timeout client 30s\n timeout server 30s\n timeout connect 1s\n{reuse}"
        f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\nbackend b\n server s 127.0.0.1:{upstream}\n"
    )
    return path


def certificates(folder: Path) -> None:
    """A root and two workload certificates (`a` client, `b` server), made by openssl."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
    openssl(
        "req",
        "-x509",
        "-new",
        "-key",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "2",
        "-subj",
        "/O=cluster.local",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    for name in "ab":
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        openssl("req", "-new", "-key", f"{name}.key", "-subj", "/", "-out", f"{name}.csr")
        (folder / f"{name}.ext").write_text(
            f"subjectAltName=critical,URI:spiffe://cluster.local/ns/default/sa/{name}\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\nauthorityKeyIdentifier=keyid\n"
        )
        openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-out",
            f"{name}.pem",
            "-extfile",
            f"{name}.ext",
        )
