"""Requests at a fixed rate whatever the answers do, and the percentiles of their times as JSON.

    openloop.py PORT SECONDS RATE

A request's time counts from the moment at which the rate says it is to be sent, also when it could not be sent then because
every connection was waiting for an answer: a proxy that stops for a while is charged for all requests that fell into the pause.
`late` is how much later than meant requests left here: with no proxy in between it is this generator's own share of the times.
"""

import gc
import json
import select
import socket
import sys
import time
from collections import deque

CONNECTIONS = 32
_REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
_END = b"a small body of some bytes\n"
_PATIENCE = 5.0
"""Seconds after the last request in which answers are waited for."""


class Generator:
    """One loop: send what is due, read what has come, sleep until the next is due."""

    def __init__(self, port: int, rate: float, count: int) -> None:
        self._idle = deque(socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS))
        self._meant: dict[socket.socket, float] = {}
        self._interval, self._left, self._due = 1 / rate, count, time.perf_counter() + 0.01
        self.times: list[float] = []
        self.late: list[float] = []
        for connection in self._idle:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> None:
        end = self._due + self._left * self._interval + _PATIENCE
        while self._left or self._meant:
            now = time.perf_counter()
            if now > end:
                sys.exit(f"{len(self._meant)} requests are not answered")
            self._send_due(now)
            pause = max(0.0, self._due - time.perf_counter()) if self._left and self._idle else 1.0
            for connection in select.select(list(self._meant), [], [], pause)[0]:
                self._read(connection)

    def _send_due(self, now: float) -> None:
        while self._left and self._idle and self._due <= now:
            connection = self._idle.popleft()
            connection.sendall(_REQUEST)
            self._meant[connection] = self._due
            self.late.append(time.perf_counter() - self._due)
            self._due += self._interval
            self._left -= 1

    def _read(self, connection: socket.socket) -> None:
        data = connection.recv(65536)
        if not data or (data.startswith(b"HTTP/") and b" 200 " not in data[:16]):
            sys.exit(f"answer {data[:40]!r}")
        if data.endswith(_END):
            self.times.append(time.perf_counter() - self._meant.pop(connection))
            self._idle.append(connection)


def percentile(values: list[float], share: float) -> float:
    """In milliseconds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000


def main() -> None:
    port, seconds, rate = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    gc.disable()
    generator = Generator(port, rate, int(seconds * rate))
    generator.run()
    figures = {"p50": percentile(generator.times, 0.5), "p99": percentile(generator.times, 0.99)}
    print(json.dumps({**figures, "late": percentile(generator.late, 0.99), "requests": len(generator.times)}))


if __name__ == "__main__":
    main()
