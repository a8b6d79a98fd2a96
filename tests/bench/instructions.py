"""What a request costs our proxy in instructions of its own, which other work on the machine does not change.

    python -m tests.bench.instructions grpc [--symbols 40] [--lines]

The proxy runs under callgrind and serves a case's kind of load twice, a few requests and then more; what the second took beyond
the first, over the requests it had more, is the figure: connections, warming up and idle turns fall out. The kernel's part is not
in it, and a long copy counts an instruction a byte, which it does not cost. With `--symbols`, where they were spent. With `--lines`,
how many lines of memory missed a cache of the size that one core has to itself here, which a count of instructions does not tell.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests import peers

from . import candidates, configs
from .measure import Candidate
from .processes import Stable, free_ports, wait_for
from .servers import GRPC_BODY, GRPC_PATH, POSTED, nghttpd, nginx, program, reader

_FEW, _MANY = 1000, 4000
_TO_EACH = 15
"""Requests to each endpoint before anything is counted, so that there are connections to all."""
_SUMMARY = re.compile(r"^(?:totals|summary): ([\d ]+)", re.MULTILINE)
_EVENTS = re.compile(r"^events: (.+)", re.MULTILINE)
_CACHE = ("--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=1048576,8,64")
"""What a core of an EPYC has to itself; callgrind knows two levels, so the second stands as the last."""
_H1 = ("--h1", "-c32")
_H2 = ("-c4", "-m16")
_GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers")


@dataclass(frozen=True)
class Kind:
    """A kind of load. `options` are h2load's; an empty path is another one for each request."""

    upstream: candidates.Upstream
    options: tuple[str, ...]
    path: str = "/"
    body: bytes = b""
    mode: str = "http"
    h2: bool = False
    fewer: int = 1
    """By what the numbers of requests are divided."""
    endpoints: int = 1
    """Addresses of the upstream; by least request where there are several."""


def _everywhere(stable: Stable) -> int:
    return nginx(stable, "0.0.0.0")


CASES = {
    "h1": Kind(nginx, _H1),
    "h1-varied": Kind(nginx, _H1, ""),
    "h1-post": Kind(reader, (*_H1, "-H", "content-type: application/octet-stream"), body=b"x" * POSTED),
    "bodies": Kind(nginx, ("--h1", "-c2"), "/mib", fewer=20),
    "h2": Kind(nghttpd, _H2, "/index.html", h2=True),
    "grpc": Kind(nghttpd, (*_H2, *_GRPC), GRPC_PATH, GRPC_BODY, h2=True),
    "tcp": Kind(nginx, _H1, mode="tcp"),
    "endpoints": Kind(_everywhere, _H1, endpoints=1000),
    "endpoints-3": Kind(_everywhere, _H1, endpoints=3),
}


class Counted:
    """Our proxy under callgrind."""

    def __init__(self, stable: Stable, kind: Kind, *tool_options: str) -> None:
        self._folder = stable.folder
        self._dumps = 0
        port, admin = free_ports(2)
        extra = configs.upstream_protocol(h2=True) if kind.h2 else {}
        if kind.endpoints > 1:
            extra["lb_policy"] = "LEAST_REQUEST"
        clusters = [configs.cluster("up", kind.upstream(stable), endpoints=kind.endpoints, **extra)]
        listeners = [configs.listener("bench", port, candidates.terminal(stable, "pymesh", kind.mode))]
        config = configs.bootstrap(stable.folder / "pymesh.yaml", admin, listeners, clusters)
        out = f"--callgrind-out-file={stable.folder}/callgrind"
        tool = [program("valgrind"), "--tool=callgrind", "--instr-atstart=no", out, *tool_options]
        seeded = {"PYTHONHASHSEED": "0"}
        pid = stable.start(*tool, sys.executable, candidates.PROXY, "-c", str(config), "-l", "error", environment=seeded)
        wait_for(port, 120)
        self.candidate = Candidate("pymesh", port, (pid,))

    def control(self, *options: str) -> None:
        pid = str(self.candidate.pids[0])
        subprocess.run([program("callgrind_control"), *options, pid], check=True, capture_output=True, cwd=self._folder)

    def dump(self) -> Path:
        """A profile of what ran since the last."""
        self.control("-d")
        self._dumps += 1
        return self._folder / f"callgrind.{self._dumps}"


def _load(port: int, kind: Kind, body: Path | None, count: int, folder: Path) -> None:
    url = f"http://127.0.0.1:{port}"
    command = [program("h2load"), "-n", str(count), *kind.options, *(["-d", str(body)] if body else [])]
    if kind.path:
        command.append(url + kind.path)
    else:
        uris = folder / "uris"
        uris.write_text("".join(f"{url}/{number}\n" for number in range(count)))
        command += ["-i", str(uris)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if f"{count} succeeded, 0 failed" not in done.stdout:
        raise SystemExit(f"wrong answers\n{done.stdout}{done.stderr}")


def measure(name: str, symbols: int, *, lines: bool = False) -> str:
    """The figure, and as many symbols as asked for."""
    kind = CASES[name]
    with tempfile.TemporaryDirectory(prefix="pymesh-instructions-") as folder:
        stable = Stable(Path(folder))
        try:
            first, second = _profiles(stable, kind, _CACHE if lines else ())
            more = (_MANY - _FEW) // kind.fewer
            spent = {event: (count - _totals(first)[event]) / more for event, count in _totals(second).items()}
            told = [f"{name}: {spent['Ir']:,.0f} instructions a request"]
            if lines:
                told.append(f"{spent['DLmr'] + spent['DLmw']:.1f} lines of data miss 1 MiB")
            return "\n".join(told + (_symbols(first, second, more, symbols) if symbols else []))
        finally:
            stable.stop()


def _profiles(stable: Stable, kind: Kind, tool_options: tuple[str, ...]) -> tuple[Path, Path]:
    """Of a few requests, and of more."""
    posted = stable.folder / "body" if kind.body else None
    if posted is not None:
        posted.write_bytes(kind.body)
    proxy = Counted(stable, kind, *tool_options)

    def load(count: int) -> None:
        _load(proxy.candidate.port, kind, posted, count // kind.fewer, stable.folder)

    load(max(_FEW, _TO_EACH * kind.endpoints))
    proxy.control("-i", "on")
    load(_FEW)
    first = proxy.dump()
    load(_MANY)
    return first, proxy.dump()


def _totals(dump: Path) -> dict[str, int]:
    """By callgrind's names of events."""
    text = dump.read_text()
    return dict(zip(_EVENTS.findall(text)[-1].split(), map(int, _SUMMARY.findall(text)[-1].split()), strict=False))


def _symbols(first: Path, second: Path, requests: int, count: int) -> list[str]:
    spent = _self_cost(second)
    spent.subtract(_self_cost(first))
    return [f"{cost / requests:9,.0f}  {symbol}" for symbol, cost in spent.most_common(count)]


def _self_cost(dump: Path) -> Counter[str]:
    annotate = [program("callgrind_annotate"), "--threshold=100", "--inclusive=no", "--show=Ir", str(dump)]
    out = subprocess.run(annotate, capture_output=True, text=True, check=True).stdout
    cost: Counter[str] = Counter()
    for amount, symbol in re.findall(r"^\s*([\d,]+) \([^)]*\)\s+(.+)$", out, re.MULTILINE):
        cost[symbol.partition(" [")[0].rpartition("/")[2]] += int(amount.replace(",", ""))
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instructions", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--symbols", type=int, default=0)
    parser.add_argument("--lines", action="store_true")
    options = parser.parse_args()
    if peers.program("valgrind") is None:
        parser.error("valgrind is missing: install the package valgrind")
    print(measure(options.case, options.symbols, lines=options.lines))


if __name__ == "__main__":
    main()
