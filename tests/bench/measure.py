"""One round of load against one candidate, and the medians over rounds."""

import re
import statistics
import subprocess
import time
from dataclasses import dataclass

from .processes import cpu_seconds, peak_rss_mib

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Candidate:
    """Something under load: a port, and the processes whose cost is counted (none for a direct connection)."""

    name: str
    port: int
    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One round. CPU is microseconds per request and process; times are milliseconds."""

    requests_per_second: float
    p50: float
    p99: float
    cpu_us: float


VARIED = """
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/" .. count)
end
"""
"""wrk's script for requests of which no two are alike; the upstream echoes the path in a header."""


def wrk(candidate: Candidate, *, connections: int, seconds: float, wrk_path: str, script: str | None = None) -> Sample:
    """Load with wrk for some seconds; SystemExit when answers were wrong."""
    before = sum(map(cpu_seconds, candidate.pids))
    started = time.monotonic()
    command = [wrk_path, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
    command += [*(["-s", script] if script else []), f"http://127.0.0.1:{candidate.port}/"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    took = time.monotonic() - started
    done = re.search(r"(\d+) requests in", out)
    if done is None or int(done[1]) < 100 or "Non-2xx" in out:
        raise SystemExit(f"{candidate.name}: wrk had no useful answers\n{out}")
    used = (sum(map(cpu_seconds, candidate.pids)) - before) / max(1, len(candidate.pids))
    requests = int(done[1])
    return Sample(requests / took, _percentile(out, "50%"), _percentile(out, "99%"), used / requests * 1e6)


def _percentile(out: str, which: str) -> float:
    found = re.search(rf"{which}\s+([\d.]+)(us|ms|s)", out)
    return float(found[1]) * _MILLISECONDS[found[2]] if found else float("nan")


@dataclass(frozen=True)
class Result:
    """A candidate's medians, and the ratio of its CPU to Envoy's, taken round by round."""

    name: str
    median: Sample
    ratio: float | None
    peak_rss: float


def summarize(candidates: list[Candidate], rounds: list[dict[str, Sample]]) -> list[Result]:
    """Medians over the rounds."""
    results = []
    for candidate in candidates:
        mine = [each[candidate.name] for each in rounds]
        ratio = statistics.median(each[candidate.name].cpu_us / each["envoy"].cpu_us for each in rounds) if candidate.pids else None
        rss = sum(map(peak_rss_mib, candidate.pids)) / max(1, len(candidate.pids))
        results.append(Result(candidate.name, _median(mine), ratio, rss))
    return results


def _median(samples: list[Sample]) -> Sample:
    def middle(field: str) -> float:
        return statistics.median(getattr(sample, field) for sample in samples)

    return Sample(middle("requests_per_second"), middle("p50"), middle("p99"), middle("cpu_us"))
