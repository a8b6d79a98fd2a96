"""The control plane under many proxies: how long a change takes to the last ACK, and what it costs.

    python -m tests.bench.scale [--proxies N --services N ...] [--real N] [--rounds N] [--write]

One process is the control plane, on one core; the proxies are gRPC streams of other processes, on the other cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .fleet import Fleet
from .processes import Stable, cpu_seconds, free_ports, peak_rss_mib, wait_for

_ENDPOINTS = 10
_NAMESPACES = 10
_SWARMS = 2
_REST = 2.5
"""Seconds between two changes, in which the control plane's collector does what it puts off while clients are served."""

_RULED = 10
"""The service whose rule changes."""
_TYPES = ("cds", "eds", "lds", "rds")
_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "BENCHMARKS.md"
_BEGIN, _END = "<!-- scale: written by the command -->", "<!-- scale ends -->"


@dataclass(frozen=True)
class Mesh:
    """A folder of configuration: a file for each service, a rule for each tenth."""

    folder: Path
    services: int

    def write(self) -> None:
        for number in range(self.services):
            self.service(number)
            if number % 10 == 0:
                self.subsets(number)
                self.rule(number)

    def service(self, number: int, moved: int = 0) -> None:
        """A service whose first endpoint is the proxy of that number; the last moves away by `moved`."""
        addresses = [f"10.{number // 250 + 1}.{number % 250}.{each}" for each in range(_ENDPOINTS - 1)]
        addresses.append(f"10.200.{number % 250}.{moved}")
        endpoints = [
            {"address": address, "serviceAccount": f"app-{number}", "labels": {"app": f"app-{number}", "version": f"v{1 + place % 2}"}}
            for place, address in enumerate(addresses)
        ]
        ports = [{"number": 8080, "name": "http", "protocol": "HTTP"}]
        if number % 10 == 1:
            ports.append({"number": 9000, "name": "tcp", "protocol": "TCP"})
        spec = {"hosts": [self.host(number)], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": ports}
        self._file("ServiceEntry", number, {**spec, "addresses": [f"10.100.{number // 250}.{number % 250}"], "endpoints": endpoints})

    def rule(self, number: int, weight: int = 10) -> None:
        """Two versions share a service's requests, the second with that weight."""
        host, shares = self.host(number), [("v1", 100 - weight), ("v2", weight)]
        route = [{"destination": {"host": host, "subset": subset}, "weight": share} for subset, share in shares]
        self._file("VirtualService", number, {"hosts": [host], "http": [{"route": route}]})

    def subsets(self, number: int) -> None:
        """The two versions."""
        subsets = [{"name": subset, "labels": {"version": subset}} for subset in ("v1", "v2")]
        self._file("DestinationRule", number, {"host": self.host(number), "subsets": subsets})

    def plaintext(self) -> None:
        """Calls within the mesh without TLS."""
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}}
        (self.folder / "mesh.yaml").write_text(yaml.safe_dump({**config, "data": {"mesh": "enableAutoMtls: false"}}))

    @staticmethod
    def host(number: int) -> str:
        return f"app-{number}.ns-{number % _NAMESPACES}.svc.cluster.local"

    def _file(self, kind: str, number: int, spec: dict[str, Any]) -> None:
        meta = {"name": f"app-{number}", "namespace": f"ns-{number % _NAMESPACES}"}
        text = yaml.safe_dump({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": meta, "spec": spec})
        fresh = self.folder / f".{kind}-{number}.new"
        fresh.write_text(text)
        fresh.rename(self.folder / f"{kind.lower()}-{number}.yaml")


class Swarms:
    """The processes that hold the streams."""

    def __init__(self, target: str, proxies: int) -> None:
        share = proxies // _SWARMS
        self._processes = [
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("swarm.py")), target, str(number * share), str(share), str(_NAMESPACES)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for number in range(_SWARMS)
        ]  # fmt: skip

    def tell(self, command: str, *types: str) -> None:
        """Send a command, and return when all know it."""
        for process in self._processes:
            assert process.stdin is not None
            print(command, *types, file=process.stdin, flush=True)
        for process in self._processes:
            self._line(process)

    def over(self) -> tuple[float, int]:
        """The moment of the last ACK, and the bytes of all."""
        answers = [json.loads(self._line(process)) for process in self._processes]
        return max(answer["at"] for answer in answers), sum(answer["bytes"] for answer in answers)

    @staticmethod
    def _line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"a swarm ended with {process.wait()}")
        return line

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@dataclass
class Figures:
    """What one event took: seconds to the last ACK, CPU seconds of the control plane, MiB that went out."""

    seconds: float
    cpu: float
    mib: float


class Scene:
    """A control plane and its proxies, which are streams alone or (`real`) whole ones of ours."""

    def __init__(self, folder: Path, proxies: int, services: int, *, real: bool = False) -> None:
        self.mesh = Mesh(folder / "config", services)
        self.mesh.folder.mkdir()
        self.mesh.write()
        if real:
            self.mesh.plaintext()  # these have no agent to certify them
        self._stable = Stable(folder)
        xds, secure, monitoring = free_ports(3)
        self.control = self._stable.start(
            sys.executable, "-m", "pymesh_control.main",
            "--config", str(self.mesh.folder), "--ca-dir", str(folder / "ca"), "--state-dir", str(folder / "state"),
            "--xds", f"127.0.0.1:{xds}", "--secure-xds", f"127.0.0.1:{secure}", "--monitoring", f"127.0.0.1:{monitoring}",
        )  # fmt: skip
        os.sched_setaffinity(self.control, {0})
        wait_for(xds, 120)
        called = [Mesh.host(_RULED)] * proxies
        self._proxies = Fleet(self._stable, xds, monitoring, called) if real else Swarms(f"127.0.0.1:{xds}", proxies)

    def stop(self) -> None:
        self._proxies.stop()
        self._stable.stop()

    def cold_start(self) -> Figures:
        return self._measured("connect", _TYPES, lambda: None)

    def change(self, types: tuple[str, ...], change: Any) -> Figures:
        return self._measured("expect", types, change)

    def _measured(self, command: str, types: tuple[str, ...], change: Any) -> Figures:
        time.sleep(_REST)
        used, begun = cpu_seconds(self.control), time.monotonic()
        self._proxies.tell(command, *types)
        if command == "expect":
            begun = time.monotonic()
        change()
        last, size = self._proxies.over()
        time.sleep(0.3)  # ACKs that are on their way still cost
        return Figures(last - begun, cpu_seconds(self.control) - used, size / (1 << 20))


def _changes(mesh: Mesh, *, real: bool) -> list[tuple[str, tuple[str, ...], Callable[[int], None]]]:
    """What happens, which types every proxy is told of then, and how to make it happen for another time."""
    return [
        ("a VirtualService's weights", ("rds",), lambda turn: mesh.rule(_RULED, 20 + turn)),
        ("an endpoint", ("eds",), lambda turn: mesh.service(20, 1 + turn)),
        ("a new service", ("cds", "eds") if real else ("cds", "eds", "rds"), lambda turn: mesh.service(mesh.services + 3 + 10 * turn)),
    ]


def run(proxies: int, services: int, rounds: int, *, real: bool = False) -> list[list[str]]:
    """The rows of one size."""
    with tempfile.TemporaryDirectory(prefix="pymesh-scale-") as folder:
        scene = Scene(Path(folder), proxies, services, real=real)
        try:
            rows = [_row("cold start of all", proxies, services, [scene.cold_start()], peak_rss_mib(scene.control))]
            for event, types, change in _changes(scene.mesh, real=real):
                figures = [scene.change(types, lambda turn=turn, change=change: change(turn)) for turn in range(rounds)]
                rows.append(_row(event, proxies, services, figures, peak_rss_mib(scene.control)))
        finally:
            scene.stop()
    return rows


def _row(event: str, proxies: int, services: int, figures: list[Figures], peak: float) -> list[str]:
    seconds, cpu, mib = (statistics.median(getattr(one, name) for one in figures) for name in ("seconds", "cpu", "mib"))
    return [event, str(proxies), str(services), f"{seconds:.2f}", f"{cpu:.2f}", f"{mib:.1f}" if mib else "-", f"{peak:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--proxies", type=int, action="append", help="how many; may be given again (100 and 1000)")
    parser.add_argument("--services", type=int, action="append", help="how many, for each number of proxies (100 and 1000)")
    parser.add_argument("--real", type=int, default=50, help="proxies of the last rows, which are whole processes; 0: none")
    parser.add_argument("--rounds", type=int, default=5, help="how often each change is made; medians count")
    parser.add_argument("--write", action="store_true", help=f"replace the table of {_DOCUMENT.name}")
    options = parser.parse_args()
    head = ["change", "proxies", "services", "seconds to the last ACK", "CPU s", "MiB sent", "peak RSS, MiB"]
    rows = [head, ["---"] * len(head)]
    for proxies, services in zip(options.proxies or (100, 1000), options.services or (100, 1000), strict=True):
        rows += run(proxies, services, options.rounds)
    if options.real:
        rows += [[f"{row[0]}, real proxies", *row[1:]] for row in run(options.real, 100, options.rounds, real=True)]
    made = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    print(made)
    if options.write:
        before, _, rest = _DOCUMENT.read_text().partition(_BEGIN)
        _DOCUMENT.write_text(f"{before}{_BEGIN}\n\n{made}\n\n{_END}{rest.partition(_END)[2]}")


if __name__ == "__main__":
    main()
