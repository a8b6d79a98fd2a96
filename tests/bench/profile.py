"""Where our proxy's time goes under a case: shares by library and by symbol.

    python -m tests.bench.profile h1 [--seconds 5]

perf samples the process on the clock while the case's load runs. What the compiled rooms do has symbols of its own (`CPyDef_`);
what runs in the interpreter shows as the interpreter's.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

from tests import peers

from .cases import CASES
from .measure import Case
from .processes import Stable

_SYMBOLS = 40


def profile(case: Case, seconds: float, perf: str) -> str:
    """Load our proxy and report; the processes of a pair are taken together."""
    with tempfile.TemporaryDirectory(prefix="pymesh-profile-") as folder:
        stable = Stable(Path(folder))
        try:
            ours = next(each for each in case.start(stable) if each.name == "pymesh")
            case.load(ours, 1.0)
            data = str(Path(folder) / "perf.data")
            pids = ",".join(map(str, ours.pids))
            record = [perf, "record", "-q", "-e", "cpu-clock", "-F", "999", "-p", pids, "-o", data]
            with subprocess.Popen(record, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as recorder:
                case.load(ours, seconds)
                recorder.terminate()
            return _report(perf, data, "dso") + "\n" + _report(perf, data, "dso,symbol")
        finally:
            stable.stop()


def _report(perf: str, data: str, keys: str) -> str:
    command = [perf, "report", "-i", data, "--stdio", "--sort", keys, "--percent-limit", "0.5", "-q"]
    out = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    lines = [line.rstrip(" -") for line in out.splitlines()]  # behind a symbol come columns that only call graphs fill
    return "\n".join([line for line in lines if line][:_SYMBOLS]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument("case", choices=[case.name for case in CASES if not case.fresh])
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    perf = peers.program("perf")
    if perf is None:
        parser.error("perf is missing: install the package linux-perf")
    print(profile(next(case for case in CASES if case.name == options.case), options.seconds, str(perf)))


if __name__ == "__main__":
    main()
