"""Resident memory: idle, with 1,000 connections that have had an answer, with 1,000 clusters configured."""

import socket
import tempfile
import time
from pathlib import Path

from . import configs
from .candidates import BOTH, run
from .measure import Candidate, Sample
from .processes import Stable, free_ports, rss_mib, wait_for
from .servers import nginx

MANY = 1000
_SETTLE = 0.5
"""Seconds after which a proxy that listens has done what it does at its start."""


def start(stable: Stable) -> list[Candidate]:
    """One upstream for all; the proxies are started anew for every figure."""
    upstream = nginx(stable)
    return [Candidate(name, upstream) for name in BOTH]


def load(candidate: Candidate, seconds: float) -> Sample:
    """Start, look, connect, look; start with many clusters, look. `seconds` does not matter."""
    with tempfile.TemporaryDirectory(prefix="pymesh-bench-") as folder:
        stable = Stable(Path(folder))
        try:
            pid, port = _proxy(stable, candidate.name, candidate.port, 1)
            sample = {"idle": rss_mib(pid), "connected": _connected(pid, port)}
            stable.stop()
            pid, _ = _proxy(stable, candidate.name, candidate.port, MANY)
            return {**sample, "configured": rss_mib(pid)}
        finally:
            stable.stop()


def _proxy(stable: Stable, name: str, upstream: int, clusters: int) -> tuple[int, int]:
    port, admin = free_ports(2)
    named = [configs.cluster("up" if not number else f"cluster-{number}", upstream) for number in range(clusters)]
    listener = configs.listener("bench", port, configs.http_filter(stable.folder / "access.log"))
    pid = run(stable, name, configs.bootstrap(stable.folder / f"{clusters}.yaml", admin, [listener], named))
    wait_for(port)
    time.sleep(_SETTLE)
    return pid, port


def _connected(pid: int, port: int) -> float:
    connections = []
    try:
        for _ in range(MANY):
            connections.append(socket.create_connection(("127.0.0.1", port), 5))
            connections[-1].sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
            if b" 200 " not in connections[-1].recv(65536)[:16]:
                raise SystemExit("a connection had no answer")
        return rss_mib(pid)
    finally:
        for connection in connections:
            connection.close()
