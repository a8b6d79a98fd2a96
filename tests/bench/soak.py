"""Ten minutes of load with connections coming and going, on HTTP/1, HTTP/2 and TCP: nothing may grow.

Between two turns of load, when the clients are gone, resident memory, file descriptors and asyncio tasks are read.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import configs
from .processes import Stable, free_ports, open_files, rss_mib, wait_for
from .servers import nghttpd, nginx, program

NAME = "soak"
SECONDS = 600.0

_TURN = 2
"""Seconds of each load of a turn."""

_QUIET = 1.0
"""Seconds after a turn in which the proxy sees that its clients are gone."""

_LEAST_TURNS = 4
_GROWTH_MIB = 8.0
"""Resident memory wanders by a few MiB with the allocator's arenas; a leak of 100 bytes a request is 100 MiB in ten minutes."""


@dataclass(frozen=True)
class Reading:
    """What a proxy holds at rest."""

    rss: float
    files: int
    tasks: int


class Watched:
    """One proxy with a listener each for HTTP/1, HTTP/2 and TCP."""

    def __init__(self, stable: Stable) -> None:
        self._folder = stable.folder
        self.h1, self.h2, self.tcp, admin = free_ports(4)
        watched = str(Path(__file__).with_name("watched.py"))
        self._pid = stable.start(sys.executable, watched, str(self._told), *self._options(stable, admin))
        for port in (self.h1, self.h2, self.tcp):
            wait_for(port)

    @property
    def _told(self) -> Path:
        return self._folder / "tasks"

    def _options(self, stable: Stable, admin: int) -> list[str]:
        log = self._folder / "access.log"
        listeners = [
            configs.listener("h1", self.h1, configs.http_filter(log, "one")),
            configs.listener("h2", self.h2, configs.http_filter(log, "two")),
            configs.listener("tcp", self.tcp, configs.tcp_filter("one")),
        ]
        one, two = nginx(stable), nghttpd(stable)
        clusters = [configs.cluster("one", one), configs.cluster("two", two, **configs.upstream_protocol(h2=True))]
        config = configs.bootstrap(self._folder / "soak.yaml", admin, listeners, clusters)
        return ["-c", str(config), "--concurrency", "1", "-l", "error"]

    def read(self) -> Reading:
        """Look at the process now."""
        self._told.unlink(missing_ok=True)
        os.kill(self._pid, signal.SIGUSR2)
        end = time.monotonic() + 10
        while not self._told.exists():
            if time.monotonic() > end:
                raise SystemExit("the proxy does not tell its tasks")
            time.sleep(0.01)
        return Reading(rss_mib(self._pid), open_files(self._pid), int(self._told.read_text()))

    def forget_log(self) -> None:
        """Ten minutes of access log are some GiB."""
        os.truncate(self._folder / "access.log", 0)


def run(seconds: float) -> bool:
    """Load for that long, but at least four turns; prints every reading. True when nothing grew."""
    with tempfile.TemporaryDirectory(prefix="pymesh-soak-") as folder:
        stable = Stable(Path(folder))
        try:
            readings = _turns(Watched(stable), time.monotonic() + seconds)
        finally:
            stable.stop()
    grown = growth(readings)
    print("\n".join(grown) or "nothing grew")
    return not grown


def _turns(proxy: Watched, end: float) -> list[Reading]:
    readings: list[Reading] = []
    print("| turn | RSS MiB | file descriptors | tasks |\n|---|---|---|---|", flush=True)
    while time.monotonic() < end or len(readings) < _LEAST_TURNS:
        _turn(proxy)
        time.sleep(_QUIET)
        readings.append(proxy.read())
        proxy.forget_log()
        now = readings[-1]
        print(f"| {len(readings)} | {now.rss:.1f} | {now.files} | {now.tasks} |", flush=True)
    return readings


def _turn(proxy: Watched) -> None:
    wrk = (program("wrk"), "-t1", f"-d{_TURN}s")
    h1, h2, tcp = (f"http://127.0.0.1:{port}/" for port in (proxy.h1, proxy.h2, proxy.tcp))
    loads = [
        (*wrk, "-c64", h1),
        (*wrk, "-c64", "-HConnection: close", h1),
        (*wrk, "-c64", "-HConnection: close", tcp),
        (program("h2load"), "-n8000", "-c100", "-m8", f"{h2}index.html"),  # fewer at once than a circuit breaker's 1,024
    ]
    for command in loads:
        out = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
        if "Non-2xx" in out or (command[0] == program("h2load") and " 0 failed" not in out):
            raise SystemExit(f"wrong answers\n{out}")


def growth(readings: list[Reading]) -> list[str]:
    """Sentences about what the last quarter has more of than the second, by the median; the first quarter fills pools and caches."""
    quarter = max(1, len(readings) // 4)
    early, late = readings[quarter : 2 * quarter], readings[-quarter:]
    bounds = {"rss": _GROWTH_MIB, "files": 0, "tasks": 0}
    found = []
    for key, bound in bounds.items():
        before, after = (statistics.median(getattr(reading, key) for reading in part) for part in (early, late))
        if after - before > bound:
            found.append(f"{key} grew from {before:g} to {after:g}")
    return found
