"""What a request costs our proxy in instructions of its own, which other work on the machine does not change.

    python -m tests.bench.instructions grpc [--symbols 40]

The proxy runs under callgrind and serves a case's kind of load twice, a few requests and then more; what the second took beyond
the first, over the requests it had more, is the figure: connections, warming up and idle turns fall out. The kernel's part is not
in it, and a long copy counts an instruction a byte, which it does not cost. With `--symbols`, where they were spent.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests import peers

from . import candidates, configs
from .measure import Candidate
from .processes import Stable, free_ports, wait_for
from .servers import GRPC_BODY, GRPC_PATH, POSTED, nghttpd, nginx, program, reader

_FEW, _MANY = 1000, 4000
_SUMMARY = re.compile(r"^(?:totals|summary): (\d+)", re.MULTILINE)
_H1 = ("--h1", "-c32")
_H2 = ("-c4", "-m16")
_GRPC = ("-H", "content-type: application/grpc", "-H", "te: trailers")

CASES: dict[str, tuple[candidates.Upstream, str, bool, tuple[str, ...], str, bytes, int]] = {
    "h1": (nginx, "http", False, _H1, "/", b"", 1),
    "h1-varied": (nginx, "http", False, _H1, "", b"", 1),
    "h1-post": (reader, "http", False, (*_H1, "-H", "content-type: application/octet-stream"), "/", b"x" * POSTED, 1),
    "bodies": (nginx, "http", False, ("--h1", "-c2"), "/mib", b"", 20),
    "h2": (nghttpd, "http", True, _H2, "/index.html", b"", 1),
    "grpc": (nghttpd, "http", True, (*_H2, *_GRPC), GRPC_PATH, GRPC_BODY, 1),
    "tcp": (nginx, "tcp", False, _H1, "/", b"", 1),
}
"""Upstream, mode, HTTP/2, h2load's options, path (empty: each its own), body, and by what the numbers of requests are divided."""


class Counted:
    """Our proxy under callgrind."""

    def __init__(self, stable: Stable, upstream: int, mode: str, h2: bool) -> None:
        self._folder = stable.folder
        self._dumps = 0
        port, admin = free_ports(2)
        clusters = [configs.cluster("up", upstream, **(configs.upstream_protocol(h2=True) if h2 else {}))]
        listeners = [configs.listener("bench", port, candidates.terminal(stable, "pymesh", mode))]
        config = configs.bootstrap(stable.folder / "pymesh.yaml", admin, listeners, clusters)
        tool = [program("valgrind"), "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={stable.folder}/callgrind"]
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


def _load(port: int, options: tuple[str, ...], path: str, body: Path | None, count: int, folder: Path) -> None:
    url = f"http://127.0.0.1:{port}"
    command = [program("h2load"), "-n", str(count), *options, *(["-d", str(body)] if body else [])]
    if path:
        command.append(url + path)
    else:
        uris = folder / "uris"
        uris.write_text("".join(f"{url}/{number}\n" for number in range(count)))
        command += ["-i", str(uris)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if f"{count} succeeded, 0 failed" not in done.stdout:
        raise SystemExit(f"wrong answers\n{done.stdout}{done.stderr}")


def measure(name: str, symbols: int) -> str:
    """The figure, and as many symbols as asked for."""
    upstream, mode, h2, options, path, body, fewer = CASES[name]
    with tempfile.TemporaryDirectory(prefix="pymesh-instructions-") as folder:
        stable = Stable(Path(folder))
        try:
            posted = Path(folder) / "body" if body else None
            if posted is not None:
                posted.write_bytes(body)
            proxy = Counted(stable, upstream(stable), mode, h2)
            few, many = _FEW // fewer, _MANY // fewer

            def load(count: int) -> None:
                _load(proxy.candidate.port, options, path, posted, count, stable.folder)

            load(few)
            proxy.control("-i", "on")
            load(few)
            first = proxy.dump()
            load(many)
            second = proxy.dump()
            total = (_total(second) - _total(first)) / (many - few)
            lines = [f"{name}: {total:,.0f} instructions a request"]
            if symbols:
                lines += _symbols(first, second, many - few, symbols)
            return "\n".join(lines)
        finally:
            stable.stop()


def _total(dump: Path) -> int:
    return int(_SUMMARY.findall(dump.read_text())[-1])


def _symbols(first: Path, second: Path, requests: int, count: int) -> list[str]:
    spent = _self_cost(second)
    spent.subtract(_self_cost(first))
    return [f"{cost / requests:9,.0f}  {symbol}" for symbol, cost in spent.most_common(count)]


def _self_cost(dump: Path) -> Counter[str]:
    annotate = [program("callgrind_annotate"), "--threshold=100", "--inclusive=no", str(dump)]
    out = subprocess.run(annotate, capture_output=True, text=True, check=True).stdout
    cost: Counter[str] = Counter()
    for amount, symbol in re.findall(r"^\s*([\d,]+) \([^)]*\)\s+(.+)$", out, re.MULTILINE):
        cost[symbol.partition(" [")[0].rpartition("/")[2]] += int(amount.replace(",", ""))
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instructions", description=__doc__)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--symbols", type=int, default=0)
    options = parser.parse_args()
    if peers.program("valgrind") is None:
        parser.error("valgrind is missing: install the package valgrind")
    print(measure(options.case, options.symbols))


if __name__ == "__main__":
    main()
