"""The command: run cases, print their tables, write them down."""

import argparse
import platform
import sys
import tempfile
from pathlib import Path

from tests import peers

from . import soak
from .cases import CASES, NAMES
from .measure import Case, Result, Sample, summarize, table
from .processes import Stable

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "BENCHMARKS.md"
_PROGRAMS = ("wrk", "h2load", "nghttp", "nginx", "nghttpd", "nghttpx", "haproxy")
_WARM_UP = 1.0
"""Seconds of the round that is not counted."""


def run(case: Case, rounds: int, seconds: float) -> list[Result]:
    """Interleaved rounds of one case; before them a short one that warms up and is not counted."""
    with tempfile.TemporaryDirectory(prefix="pymesh-bench-") as folder:
        stable = Stable(Path(folder))
        try:
            candidates = case.start(stable)
            if not case.fresh:
                for candidate in candidates:
                    case.load(candidate, _WARM_UP)
            counted: list[dict[str, Sample]] = []
            for _ in range(rounds):
                counted.append({candidate.name: case.load(candidate, seconds) for candidate in candidates})
                if case.relate:
                    case.relate(counted[-1])
            return summarize(case, candidates, counted)
        finally:
            stable.stop()


def main() -> int:
    """Run what was asked for; exit 1 when a bar is missed, 2 when a peer is."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--case", action="append", choices=NAMES, help="default: all but soak")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="of one load, default 2; of the whole soak, default 600")
    parser.add_argument("--write", action="store_true", help=f"replace the tables of {_DOCUMENT.name}")
    options = parser.parse_args()
    missing = [name for name in _PROGRAMS if peers.program(name) is None] + ([] if peers.envoy() else ["envoy"])
    if missing:
        print(f"{' and '.join(missing)} missing: run `make peers`", file=sys.stderr)
        return 2
    if options.case == [soak.NAME]:
        return 0 if soak.run(options.seconds or soak.SECONDS) else 1
    seconds = options.seconds or 2.0
    tables, good = [], True
    for case in CASES:
        if not options.case or case.name in options.case:
            text, reached = table(case, run(case, options.rounds, seconds))
            print(text, end="\n\n", flush=True)
            tables.append(text)
            good &= reached
    if options.write:
        _write(tables, f"python -m tests.bench --rounds {options.rounds} --seconds {seconds:g}")
    return 0 if good else 1


def _write(tables: list[str], command: str) -> None:
    marker = "<!-- tables: written by the command -->"
    text = _DOCUMENT.read_text().partition(marker)[0]
    where = f"Command: `{command}`, Python {platform.python_version()}, {platform.machine()}, Envoy 1.40, one worker each.\n\n"
    _DOCUMENT.write_text(text + marker + "\n\n" + where + "\n\n".join(tables) + "\n")


if __name__ == "__main__":
    sys.exit(main())
