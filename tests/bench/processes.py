"""Processes under measurement: started in groups of their own, and what they have used."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from pymesh.local.ports import FreePorts

_TICKS = os.sysconf("SC_CLK_TCK")


class Stable:
    """Starts processes into one folder and ends them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, environment: dict[str, str] | None = None) -> int:
        """Start a program; its output goes to a file. Returns the process id."""
        log = (self.folder / f"{len(self._running)}-{Path(command[0]).name}.log").open("wb")
        surroundings = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, env=surroundings)
        self._running.append(process)
        return process.pid

    def stop(self) -> None:
        """End everything, at once."""
        for process in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.clear()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += _tree(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children so far."""
    total = 0
    for each in _tree(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def peak_rss_mib(pid: int) -> float:
    """High-water mark of resident memory of a process and its children."""
    return _status_mib(pid, "VmHWM:")


def rss_mib(pid: int) -> float:
    """Resident memory of a process and its children now."""
    return _status_mib(pid, "VmRSS:")


def _status_mib(pid: int, key: str) -> float:
    total = 0
    for each in _tree(pid):
        for line in Path(f"/proc/{each}/status").read_text().splitlines():
            if line.startswith(key):
                total += int(line.split()[1])
    return total / 1024


def open_files(pid: int) -> int:
    """File descriptors of a process and its children now."""
    return sum(len(os.listdir(f"/proc/{each}/fd")) for each in _tree(pid))


def wait_for(port: int, seconds: float = 20.0) -> None:
    """Return when something listens on a loopback port; SystemExit with a sentence when nothing ever does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens on port {port} after {seconds:.0f} s")


_ports = FreePorts()


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on, and that are lost to no outgoing connection before they are used."""
    return [_ports.take() for _ in range(count)]
