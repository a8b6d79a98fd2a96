"""Requests at a fixed rate, and what became of each one: for upstreams that misbehave.

    steady.py PORT SECONDS RATE

Prints a line when it begins, and in the end one JSON list with `[seconds since the start at which it was to be sent, seconds until it
was answered, status]` of each request; status 0 stands for a connection that was closed without an answer.
"""

import json
import select
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass

CONNECTIONS = 512
_REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
_PATIENCE = 20.0
"""Seconds after the last request in which answers are waited for."""


@dataclass
class Waiting:
    """One request under way."""

    due: float
    received: bytes = b""

    @property
    def complete(self) -> bool:
        head, found, body = self.received.partition(b"\r\n\r\n")
        length = next((int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        return bool(found) and len(body) >= length


class Steady:
    """One loop, as in `openloop`: send what is due, read what has come, sleep until the next is due."""

    def __init__(self, port: int, seconds: float, rate: float) -> None:
        self._port = port
        self._idle: deque[socket.socket] = deque()
        self._waiting: dict[socket.socket, Waiting] = {}
        self._poll = select.epoll()
        self._by_file: dict[int, socket.socket] = {}
        self._start = time.perf_counter()
        self._due = [index / rate for index in range(int(seconds * rate))][::-1]
        self.results: list[tuple[float, float, int]] = []

    def run(self) -> None:
        end = self._due[0] + _PATIENCE
        while self._due or self._waiting:
            now = time.perf_counter() - self._start
            if now > end:
                sys.exit(f"{len(self._waiting)} requests are not answered")
            while self._due and self._due[-1] <= now and len(self._waiting) < CONNECTIONS:
                self._send(self._due.pop())
            pause = max(0.0, self._due[-1] - now) if self._due else 1.0
            for file, _ in self._poll.poll(pause):
                self._read(self._by_file[file])

    def _send(self, due: float) -> None:
        connection = self._idle.popleft() if self._idle else self._connect()
        self._waiting[connection] = Waiting(due)
        connection.sendall(_REQUEST)

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._by_file[connection.fileno()] = connection
        self._poll.register(connection, select.EPOLLIN)
        return connection

    def _read(self, connection: socket.socket) -> None:
        data = connection.recv(65536)
        waiting = self._waiting.get(connection)
        if not data:
            self._poll.unregister(connection)
            connection.close()
            if waiting is None:
                self._idle.remove(connection)
            else:
                self._done(connection, waiting, 0)
            return
        assert waiting is not None, f"unasked: {data!r}"
        waiting.received += data
        if waiting.complete:
            self._done(connection, waiting, int(waiting.received[9:12]))
            self._idle.append(connection)

    def _done(self, connection: socket.socket, waiting: Waiting, status: int) -> None:
        del self._waiting[connection]
        self.results.append((waiting.due, time.perf_counter() - self._start - waiting.due, status))


def main() -> None:
    steady = Steady(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
    print("begun", flush=True)
    steady.run()
    print(json.dumps(steady.results))


if __name__ == "__main__":
    main()
