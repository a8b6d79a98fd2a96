"""The command: run cases, print their tables, write them down."""

import argparse
import platform
import sys
import tempfile
from pathlib import Path

from tests import peers

from . import configs
from .cases import CASES, Case
from .measure import VARIED, Result, Sample, summarize, wrk
from .processes import Stable, free_ports, wait_for

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "BENCHMARKS.md"


def run(case: Case, rounds: int, seconds: float, connections: int) -> list[Result]:
    """Interleaved rounds of one case; the first warms up and is not counted."""
    with tempfile.TemporaryDirectory(prefix="pymesh-bench-") as folder:
        stable = Stable(Path(folder))
        try:
            (upstream,) = free_ports(1)
            stable.start(str(peers.program("nginx")), "-c", str(configs.nginx(Path(folder) / "nginx.conf", upstream)))
            wait_for(upstream)
            candidates = case.start(stable, upstream)
            script = Path(folder) / "varied.lua"
            script.write_text(VARIED)
            settings = {"connections": connections, "seconds": seconds, "wrk_path": str(peers.program("wrk"))}
            settings["script"] = str(script) if case.varied else None
            counted: list[dict[str, Sample]] = []
            for number in range(rounds + 1):
                load = {each.name: wrk(each, **settings) for each in candidates}
                if number:
                    counted.append(load)
            return summarize(candidates, counted)
        finally:
            stable.stop()


def table(case: Case, results: list[Result]) -> str:
    """A Markdown table of one case."""
    lines = [
        f"### {case.title}",
        "",
        "| candidate | requests/s | p50 ms | p99 ms | CPU us/request | CPU ratio to Envoy | peak RSS MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        median = result.median
        cost = f"{median.cpu_us:.1f} | {result.ratio:.2f} | {result.peak_rss:.0f}" if result.ratio is not None else "- | - | -"
        lines.append(f"| {result.name} | {median.requests_per_second:.0f} | {median.p50:.2f} | {median.p99:.2f} | {cost} |")
    ours = next(result.ratio for result in results if result.name == "pymesh")
    lines += ["", f"First bar {case.bar}: {'reached' if ours is not None and ours <= case.bar else 'missed'}."]
    return "\n".join(lines)


def main() -> int:
    """Run what was asked for; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--write", action="store_true", help=f"replace the tables of {_DOCUMENT.name}")
    options = parser.parse_args()
    missing = [name for name in ("wrk", "nginx") if peers.program(name) is None] + ([] if peers.envoy() else ["envoy"])
    if missing:
        print(f"{' and '.join(missing)} missing: run `make peers`", file=sys.stderr)
        return 2
    tables, missed = [], False
    for case in CASES:
        if options.case and case.name not in options.case:
            continue
        results = run(case, options.rounds, options.seconds, options.connections)
        tables.append(table(case, results))
        print(tables[-1], flush=True)
        missed |= tables[-1].endswith("missed.")
    if options.write:
        _write(tables, f"python -m tests.bench --rounds {options.rounds} --seconds {options.seconds:g} --connections {options.connections}")
    return 1 if missed else 0


def _write(tables: list[str], command: str) -> None:
    marker = "<!-- tables: written by the command -->"
    text = _DOCUMENT.read_text().partition(marker)[0]
    where = f"Command: `{command}`, Python {platform.python_version()}, {platform.machine()}, Envoy 1.40, one worker each.\n\n"
    _DOCUMENT.write_text(text + marker + "\n\n" + where + "\n\n".join(tables) + "\n")


if __name__ == "__main__":
    sys.exit(main())
