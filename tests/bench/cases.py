"""What is measured: each case starts its candidates in front of one nginx and names the bar that DESIGN sets."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import peers

from . import configs
from .measure import Candidate
from .processes import Stable, free_ports, wait_for

PROXY = str(Path(__file__).resolve().parents[2] / ".venv" / "bin" / "pymesh-proxy")


@dataclass(frozen=True)
class Case:
    """A name, what it shows, the first bar for the CPU ratio to Envoy, and how its candidates are started."""

    name: str
    title: str
    bar: float
    start: "Callable[[Stable, int], list[Candidate]]"
    varied: bool = False
    """Whether every request and every answer has a head of its own: ours remembers heads that repeat, and this is without."""


def _run(stable: Stable, proxy: str, config: Path) -> int:
    common = ["-c", str(config), "--concurrency", "1", "-l", "error"]
    if proxy == "envoy":
        return stable.start(str(peers.envoy()), *common, "--disable-hot-restart")
    return stable.start(PROXY, *common)


def _one_proxy(mode: str) -> "Callable[[Stable, int], list[Candidate]]":
    def start(stable: Stable, upstream: int) -> list[Candidate]:
        candidates = [Candidate("direct", upstream)]
        for name in ("pymesh", "envoy"):
            port, admin = free_ports(2)
            terminal = configs.http_filter(stable.folder / f"{name}-access.log") if mode == "http" else configs.tcp_filter()
            config = configs.bootstrap(stable.folder / f"{name}-{mode}.yaml", port=port, admin=admin, upstream=upstream, terminal=terminal)
            candidates.append(Candidate(name, port, (_run(stable, name, config),)))
            wait_for(port)
        if haproxy := peers.program("haproxy"):
            (port,) = free_ports(1)
            config = configs.haproxy(stable.folder / f"haproxy-{mode}.cfg", mode, port, upstream)
            candidates.append(Candidate("haproxy", port, (stable.start(str(haproxy), "-f", str(config)),)))
            wait_for(port)
        return candidates

    return start


def _sidecar_pair(stable: Stable, upstream: int) -> list[Candidate]:
    """Client sidecar, mutual TLS, server sidecar; CPU is the mean of the two."""
    folder = stable.folder
    configs.certificates(folder)
    candidates = [Candidate("direct", upstream)]
    for name in ("pymesh", "envoy"):
        port, between, admin_a, admin_b = free_ports(4)
        log = folder / f"{name}-mtls.log"
        terminal = configs.http_filter(log)
        server = configs.bootstrap(
            folder / f"{name}-b.yaml",
            port=between,
            admin=admin_b,
            upstream=upstream,
            terminal=terminal,
            down=configs.tls(folder, "Downstream", "b"),
        )
        client = configs.bootstrap(
            folder / f"{name}-a.yaml",
            port=port,
            admin=admin_a,
            upstream=between,
            terminal=terminal,
            up=configs.tls(folder, "Upstream", "a"),
        )
        pids = (_run(stable, name, server), _run(stable, name, client))
        wait_for(between)
        wait_for(port)
        candidates.append(Candidate(name, port, pids))
    return candidates


CASES = (
    Case("h1", "HTTP/1.1 plaintext, small GET, keep-alive, access log on", 0.65, _one_proxy("http")),
    Case("h1-varied", "The same, no two heads alike", 0.65, _one_proxy("http"), varied=True),
    Case("tcp", "TCP, small messages", 1.0, _one_proxy("tcp")),
    Case("mtls", "HTTP/1.1 through two sidecars with mutual TLS, each", 0.8, _sidecar_pair),
)
