"""Starts Envoy and our proxy with the same bootstrap: one in front of an upstream, a pair of sidecars, one and two workers."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from . import configs
from .measure import Candidate
from .processes import Stable, free_ports, wait_for
from .servers import Limit, nginx, program

ROOT = Path(__file__).resolve().parents[2]
PROXY = str(ROOT / ".venv" / "bin" / "pymesh-proxy")
BOTH = ("pymesh", "envoy")

Start = Callable[[Stable], list[Candidate]]
Upstream = Callable[[Stable], int]


def run(stable: Stable, proxy: str, config: Path, workers: int = 1) -> int:
    """Start `pymesh`, `envoy`, or `sources`, which is ours without its compiled rooms; returns the process id."""
    common = ["-c", str(config), "--concurrency", str(workers), "-l", "error"]
    if proxy == "envoy":
        return stable.start(program("envoy"), *common, "--disable-hot-restart")
    if proxy == "sources":
        return _run_sources(stable, common)
    return stable.start(PROXY, *common)


def _run_sources(stable: Stable, options: list[str]) -> int:
    """Python prefers a compiled room wherever one lies beside its source, so this runs a copy in which none does."""
    copy = stable.folder / "sources"
    shutil.copytree(ROOT / "proxy" / "pymesh_proxy", copy / "pymesh_proxy", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    call = "import sys; from pymesh_proxy.main import main; sys.exit(main())"
    return stable.start(sys.executable, "-c", call, *options, environment={"PYTHONPATH": str(copy)})


def terminal(stable: Stable, name: str, mode: str) -> dict[str, object]:
    """The filter at the end of the chain, with an access log of its own."""
    return configs.http_filter(stable.folder / f"{name}-access.log") if mode == "http" else configs.tcp_filter()


def one_proxy(
    upstream: Upstream, *, mode: str = "http", h2: bool = False, limit: Limit | None = None, direct: bool = True, sources: bool = False
) -> Start:
    """Our proxy, Envoy, and as asked the limit, ours from its sources and no proxy at all, each in front of the same upstream."""

    def start(stable: Stable) -> list[Candidate]:
        port = upstream(stable)
        found = [Candidate("direct", port)] if direct else []
        found += [_before(stable, name, port, mode, h2) for name in (*BOTH, *(["sources"] if sources else []))]
        return found + ([limit(stable, port)] if limit else [])

    return start


def _before(stable: Stable, name: str, upstream: int, mode: str, h2: bool, workers: int = 1) -> Candidate:
    port, admin = free_ports(2)
    proxy = name.partition(" ")[0]
    clusters = [configs.cluster("up", upstream, **(configs.upstream_protocol(h2=True) if h2 else {}))]
    listeners = [configs.listener("bench", port, terminal(stable, name, mode))]
    config = configs.bootstrap(stable.folder / f"{name}.yaml", admin, listeners, clusters)
    pid = run(stable, proxy, config, workers)
    wait_for(port)
    return Candidate(name, port, (pid,))


def workers(upstream: Upstream) -> Start:
    """Each proxy with one worker and with two."""

    def start(stable: Stable) -> list[Candidate]:
        port = upstream(stable)
        return [_before(stable, name, port, "http", False, count) for proxy in BOTH for name, count in ((proxy, 1), (f"{proxy} x2", 2))]

    return start


def endpoints(counts: tuple[int, int]) -> Start:
    """Each proxy with least-request balancing over so many endpoints, which are one server; the names without a number have the first."""

    def start(stable: Stable) -> list[Candidate]:
        port = nginx(stable, "0.0.0.0")
        many, few = counts
        named = [(proxy, name, count) for proxy in BOTH for name, count in ((proxy, many), (f"{proxy} of {few}", few))]
        return [_balanced(stable, proxy, name, port, count) for proxy, name, count in named]

    return start


def _balanced(stable: Stable, proxy: str, name: str, upstream: int, count: int) -> Candidate:
    port, admin = free_ports(2)
    cluster = configs.cluster("up", upstream, endpoints=count, lb_policy="LEAST_REQUEST")
    listeners = [configs.listener("bench", port, terminal(stable, name, "http"))]
    pid = run(stable, proxy, configs.bootstrap(stable.folder / f"{name}.yaml", admin, listeners, [cluster]))
    wait_for(port)
    return Candidate(name, port, (pid,))


def sidecar_pair(upstream: Upstream, *, h2: bool = False, requests: int | None = None) -> Start:
    """Client sidecar, mutual TLS, server sidecar; figures of CPU and memory are the mean of the two.

    `requests` is how many requests a connection between the sidecars may carry.
    """

    def start(stable: Stable) -> list[Candidate]:
        configs.write_certificates(stable.folder)
        port = upstream(stable)
        return [_pair(stable, name, port, h2, requests) for name in BOTH]

    return start


def _pair(stable: Stable, name: str, upstream: int, h2: bool, requests: int | None) -> Candidate:
    folder = stable.folder
    port, between, admin_a, admin_b = free_ports(4)
    ends = terminal(stable, f"{name}-mtls", "http")
    local = configs.cluster("up", upstream, **(configs.upstream_protocol(h2=True) if h2 else {}))
    remote = configs.cluster("up", between, transport_socket=configs.tls(folder, "Upstream", "a", h2=h2))
    if h2 or requests:
        remote |= configs.upstream_protocol(h2=h2, requests=requests)
    inbound = configs.listener("in", between, ends, configs.tls(folder, "Downstream", "b", h2=h2))
    outbound = configs.listener("out", port, ends)
    server = configs.bootstrap(folder / f"{name}-b.yaml", admin_b, [inbound], [local])
    client = configs.bootstrap(folder / f"{name}-a.yaml", admin_a, [outbound], [remote])
    pids = (run(stable, name, server), run(stable, name, client))
    wait_for(between)
    wait_for(port)
    return Candidate(name, port, pids)
