"""What stands behind the proxies, and the fastest proxies in C that do the same job, which are the limit."""

import os
from collections.abc import Callable
from pathlib import Path

from tests import peers

from .measure import Candidate
from .processes import Stable, free_ports, wait_for

BODY = "hello from upstream, a small body of some bytes\\n"
POSTED = 16 * 1024
BULK = 64 << 20
"""Bytes of `/bulk`; `/mib` has one MiB."""

GRPC_PATH = "/bench.Echo/Say.grpc"
GRPC_BODY = b"\0\0\0\0\x0d\x0a\x0bhello there"
"""A message with its five bytes of prefix."""


def program(name: str) -> str:
    """A peer's path; SystemExit when it is not there."""
    found = peers.envoy() if name == "envoy" else peers.program(name)
    if found is None:
        raise SystemExit(f"{name} is missing: run `make peers`")
    return str(found)


_AS_ROOT = "user root;" if os.geteuid() == 0 else ""
"""Else root's workers become somebody who may not read a temporary folder; for others the directive is not allowed."""


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def nginx(stable: Stable, host: str = "127.0.0.1") -> int:
    """Answers everything with a small body that repeats the path in a header, and large bodies where asked. Returns the port."""
    (port,), folder = free_ports(1), stable.folder
    _sparse(folder / "bulk", BULK)
    _sparse(folder / "mib", 1 << 20)
    files = f"location = /bulk {{ root {folder}; }} location = /mib {{ root {folder}; }}"
    (folder / "nginx.conf").write_text(
        f"{_AS_ROOT} worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;\n"
        "events { worker_connections 8192; }\n"
        "http { access_log off; sendfile on; keepalive_requests 100000000; keepalive_timeout 600s; client_body_temp_path /tmp;\n"
        f"server {{ listen {host}:{port} backlog=4096; add_header X-Path $request_uri; {files}\n"
        f"location / {{ return 200 '{BODY}'; }} }} }}\n"
    )
    stable.start(program("nginx"), "-c", str(folder / "nginx.conf"))
    wait_for(port)
    return port


def reader(stable: Stable) -> int:
    """Reads a posted body whole before it answers, which nginx's `return` does not. Returns the port."""
    (port,) = free_ports(1)
    path = stable.folder / "reader.cfg"
    path.write_text(
        f"{_HAPROXY} tune.bufsize {4 * POSTED}\n{_defaults('http')}frontend f\n bind 127.0.0.1:{port}\n"
        f" http-request wait-for-body time 2s at-least {POSTED}\n"
        f' http-request return status 200 content-type text/plain string "{BODY}"\n'
    )
    stable.start(program("haproxy"), "-f", str(path))
    wait_for(port)
    return port


def nghttpd(stable: Stable) -> int:
    """Speaks HTTP/2 alone: a small page, and a gRPC message with its status in trailers. Returns the port."""
    (port,), www = free_ports(1), stable.folder / "www"
    grpc = www / GRPC_PATH[1:]
    grpc.parent.mkdir(parents=True)
    grpc.write_bytes(GRPC_BODY)
    (www / "index.html").write_text(BODY)
    (stable.folder / "types").write_text("text/html html\napplication/grpc grpc\n")
    options = ["--no-tls", "-a", "127.0.0.1", "-d", str(www), "--mime-types-file", str(stable.folder / "types")]
    stable.start(program("nghttpd"), *options, "--trailer", "grpc-status: 0", str(port))
    wait_for(port)
    return port


_HAPROXY = "global\n nbthread 1\n maxconn 4000\n"


def _defaults(mode: str) -> str:
    return f"defaults\n mode {mode}\n timeout client 30s\n timeout server 30s\n timeout connect 1s\n"


Limit = Callable[[Stable, int], Candidate]


def haproxy(mode: str) -> Limit:
    """HAProxy as the limit for HTTP/1 or TCP."""

    def start(stable: Stable, upstream: int) -> Candidate:
        (port,) = free_ports(1)
        path, reuse = stable.folder / "haproxy.cfg", " http-reuse always\n" if mode == "http" else ""
        routes = f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\nbackend b\n server s 127.0.0.1:{upstream}\n"
        path.write_text(_HAPROXY + _defaults(mode) + reuse + routes)
        pid = stable.start(program("haproxy"), "-f", str(path))
        wait_for(port)
        return Candidate("haproxy", port, (pid,))

    return start


def nghttpx(stable: Stable, upstream: int) -> Candidate:
    """nghttpx as the limit for HTTP/2."""
    (port,) = free_ports(1)
    ends = [f"-f127.0.0.1,{port};no-tls", f"-b127.0.0.1,{upstream};;proto=h2"]
    pid = stable.start(program("nghttpx"), "--conf=/dev/null", *ends, "--workers=1", "-L", "ERROR")
    wait_for(port)
    return Candidate("nghttpx", port, (pid,))
