"""What loads a candidate: wrk, h2load, and two generators of our own in processes of their own."""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .measure import Candidate, Load, Sample
from .processes import cpu_seconds
from .servers import GRPC_BODY, GRPC_PATH, POSTED, program

CONNECTIONS = 32
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

VARIED = """
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/" .. count)
end
"""
"""wrk's script for requests of which no two are alike; the upstream echoes the path in a header."""

POST = f"""
wrk.method = "POST"
wrk.body = string.rep("x", {POSTED})
wrk.headers["Content-Type"] = "application/octet-stream"
"""


class Meter:
    """CPU of a candidate's processes and time on the clock, from its making on."""

    def __init__(self, candidate: Candidate) -> None:
        self._pids = candidate.pids
        self._cpu = sum(map(cpu_seconds, candidate.pids))
        self._started = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._started

    def microseconds_per(self, amount: float) -> float:
        """CPU of the mean process over an amount of work."""
        used = sum(map(cpu_seconds, self._pids)) - self._cpu
        return used / max(1, len(self._pids)) / amount * 1e6

    def of(self, requests: int, **figures: float) -> Sample:
        """A round's figures; CPU only where there are processes."""
        cost = {"cpu": self.microseconds_per(requests)} if self._pids else {}
        return {"rate": requests / self.seconds(), **cost, **figures}


def wrk(*, script: str | None = None, headers: tuple[str, ...] = ()) -> Load:
    """HTTP/1.1, a closed loop of 32 connections."""

    def load(candidate: Candidate, seconds: float) -> Sample:
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
            file.write(script or "")
            file.flush()
            command = [program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency"]
            command += [*(["-s", file.name] if script else []), *(f"-H{header}" for header in headers)]
            meter = Meter(candidate)
            out = _run(*command, f"http://127.0.0.1:{candidate.port}/")
            done = _wrk_requests(candidate, out)
            return meter.of(done, p50=_percentile(out, "50%"), p99=_percentile(out, "99%"))

    return load


def _wrk_requests(candidate: Candidate, out: str) -> int:
    done = re.search(r"(\d+) requests in", out)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    bad = sum(map(int, errors.groups())) if errors else 0
    if done is None or int(done[1]) < 100 or "Non-2xx" in out or bad > int(done[1]) / 1000:
        raise SystemExit(f"{candidate.name}: wrk had wrong answers\n{out}")
    return int(done[1])


def _percentile(out: str, which: str) -> float:
    found = re.search(rf"{which}\s+([\d.]+)(us|ms|s)", out)
    return float(found[1]) * _MILLISECONDS[found[2]] if found else float("nan")


def h2load(candidate: Candidate, seconds: float) -> Sample:
    """HTTP/2, a closed loop of 4 connections with 16 streams each."""
    return _h2load(candidate, seconds, "/index.html")


def grpc(candidate: Candidate, seconds: float) -> Sample:
    """The same with a gRPC call on each stream; one call looks first whether the status arrives in trailers."""
    with tempfile.NamedTemporaryFile() as body:
        body.write(GRPC_BODY)
        body.flush()
        headers = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", body.name]
        out = _run(program("nghttp"), "-nv", *headers, f"http://127.0.0.1:{candidate.port}{GRPC_PATH}")
        frames = re.sub(r"\x1b\[[\d;]*m", "", out)
        if not re.search(r"recv DATA frame.*recv \(stream_id=\d+\) grpc-status: 0\b", frames, re.DOTALL):
            raise SystemExit(f"{candidate.name}: no grpc-status in trailers\n{out}")
        return _h2load(candidate, seconds, GRPC_PATH, *headers)


def _h2load(candidate: Candidate, seconds: float, path: str, *options: str) -> Sample:
    command = [program("h2load"), "-D", str(max(1, round(seconds))), "-c4", "-m16", *options]
    meter = Meter(candidate)
    out = _run(*command, f"http://127.0.0.1:{candidate.port}{path}")
    done = re.search(r"(\d+) succeeded, (\d+) failed", out)
    if done is None or int(done[1]) < 100 or int(done[2]):
        raise SystemExit(f"{candidate.name}: h2load had wrong answers\n{out}")
    return meter.of(int(done[1]))


def bulk(path: str) -> Load:
    """Downloads one after the other on two connections; CPU a MiB received."""

    def load(candidate: Candidate, seconds: float) -> Sample:
        meter = Meter(candidate)
        found = _generator("bulk", candidate, seconds, path)
        cost = {"cpu_mib": meter.microseconds_per(found["mib"] * found["seconds"])} if candidate.pids else {}
        return {"mib": found["mib"], **cost}

    return load


def fixed_rate(candidate: Candidate, seconds: float) -> Sample:
    """1,000 requests/s whatever the answers do; times count from when a request was meant to be sent."""
    meter = Meter(candidate)
    found = _generator("openloop", candidate, seconds, "1000")
    cost = {"cpu": meter.microseconds_per(found["requests"])} if candidate.pids else {}
    return {key: found[key] for key in ("p50", "p99", "late")} | cost


def _generator(name: str, candidate: Candidate, seconds: float, argument: str) -> Sample:
    out = _run(sys.executable, str(Path(__file__).with_name(f"{name}.py")), str(candidate.port), str(seconds), argument)
    found: Sample = json.loads(out)
    return found


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout
