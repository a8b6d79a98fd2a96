"""What clients see while upstreams are in trouble, through our proxy and through Envoy, from the same bootstrap.

    python -m tests.bench.trouble [--write]

First one of three endpoints turns bad and good again; then all are overloaded and each request is retried, with a budget and without.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import configs
from .candidates import BOTH, run
from .openloop import percentile
from .processes import Stable, free_ports, wait_for

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "BENCHMARKS.md"
_BEGIN, _END = "<!-- trouble: written by the command -->", "<!-- trouble ends -->"
_RATE = 300.0
_PHASES = {"before": (0.0, 2.0), "during": (2.0, 6.0), "after": (6.0, 9.0)}
"""Seconds from the start; the endpoint is bad in the second."""

_ENDPOINT_MOODS = ("refusing", "resetting", "slow")
_EJECTION = {
    "consecutive_5xx": 5,
    "interval": "0.5s",
    "base_ejection_time": "1s",
    "max_ejection_percent": 50,
    "enforcing_success_rate": 0,
}
_ISTIO = {"retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes", "retriable_status_codes": [503]}
_ALWAYS = {"retry_on": "5xx", "num_retries": 3}
_UNBOUNDED = 1_000_000


@dataclass(frozen=True)
class Scene:
    """Three servers and a proxy before them."""

    port: int
    servers: tuple[int, ...]

    def mood(self, mood: str, servers: Iterable[int]) -> None:
        """Tell some of the servers how to behave."""
        for server in servers:
            _get(server, f"/mood/{mood}")

    def asked(self) -> int:
        """Requests that have come to any of them."""
        return sum(int(_get(server, "/count")) for server in self.servers)


def _get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return bytes(answer.read())


def _scene(stable: Stable, proxy: str, retry: dict[str, Any], **cluster: Any) -> Scene:
    port, admin, *servers = free_ports(5)
    for server in servers:
        stable.start(sys.executable, str(Path(__file__).with_name("moody.py")), str(server))
    terminal = configs.http_filter(stable.folder / f"{proxy}.log", retry={"num_retries": 2, **retry})
    clusters = [configs.cluster("up", *servers, **cluster)]
    listeners = [configs.listener("bench", port, terminal)]
    run(stable, proxy, configs.bootstrap(stable.folder / f"{proxy}.yaml", admin, listeners, clusters))
    for each in (*servers, port):
        wait_for(each)
    return Scene(port, tuple(servers))


Results = list[tuple[float, float, int]]


def _load(port: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).with_name("steady.py")), str(port), str(seconds), str(_RATE)]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert load.stdout is not None
    load.stdout.readline()  # it begins now
    return load


def _results(load: subprocess.Popen[str]) -> Results:
    out, _ = load.communicate()
    if load.returncode:
        raise SystemExit(f"the load ended with {load.returncode}")
    return [(due, took, status) for due, took, status in json.loads(out)]


def _cells(results: Results) -> list[str]:
    """Errors in percent, and the p99 in milliseconds."""
    wrong = sum(status != 200 for _, _, status in results)
    return [f"{100 * wrong / len(results):.1f}", f"{percentile([took for _, took, _ in results], 0.99):.1f}"]


def endpoint(proxy: str, mood: str) -> str:
    """A row: errors and p99 before, while and after one of three endpoints is bad."""
    with tempfile.TemporaryDirectory(prefix="pymesh-trouble-") as folder:
        stable = Stable(Path(folder))
        try:
            scene = _scene(stable, proxy, _ISTIO, outlier_detection=_EJECTION)
            load, start = _load(scene.port, _PHASES["after"][1]), time.monotonic()
            for then, (moment, _) in (mood, _PHASES["during"]), ("good", _PHASES["after"]):
                time.sleep(max(0.0, start + moment - time.monotonic()))
                scene.mood(then, scene.servers[:1])
            results = _results(load)
        finally:
            stable.stop()
    cells = [cell for begin, end in _PHASES.values() for cell in _cells([each for each in results if begin <= each[0] < end])]
    return _row([mood, proxy, *cells])


def storm(proxy: str, budget: bool) -> str:
    """A row: how many requests each of the clients' became, and what the clients saw."""
    limits: dict[str, Any] = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), _UNBOUNDED)
    if budget:
        limits["retry_budget"] = {"budget_percent": {"value": 20.0}, "min_retry_concurrency": 3}
    with tempfile.TemporaryDirectory(prefix="pymesh-trouble-") as folder:
        stable = Stable(Path(folder))
        try:
            scene = _scene(stable, proxy, _ALWAYS, circuit_breakers={"thresholds": [limits]})
            scene.mood("overloaded", scene.servers)
            results = _results(_load(scene.port, 4.0))
            asked = scene.asked()
        finally:
            stable.stop()
    return _row(["20 %" if budget else "none", proxy, f"{asked / len(results):.2f}", *_cells(results)])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def tables() -> str:
    """Both tables, as Markdown."""
    phases = [f"{what} {phase}" for phase in _PHASES for what in ("errors %,", "p99 ms,")]
    head = ["the endpoint is", "proxy", *phases]
    ejected = [_row(head), "|" + "---|" * len(head), *(endpoint(proxy, mood) for mood in _ENDPOINT_MOODS for proxy in BOTH)]
    head = ["retry budget", "proxy", "upstream requests a request", "errors %", "p99 ms"]
    stormy = [_row(head), "|" + "---|" * len(head), *(storm(proxy, budget) for budget in (False, True) for proxy in BOTH)]
    return "\n".join(ejected) + "\n\n" + "\n".join(stormy)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.trouble", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"replace the tables of {_DOCUMENT.name}")
    options = parser.parse_args()
    made = tables()
    print(made)
    if options.write:
        before, _, rest = _DOCUMENT.read_text().partition(_BEGIN)
        _DOCUMENT.write_text(f"{before}{_BEGIN}\n\n{made}\n\n{_END}{rest.partition(_END)[2]}")


if __name__ == "__main__":
    main()
