"""Downloads without pause on two connections, a thread each, and tells MiB/s as JSON.

    bulk.py PORT SECONDS PATH

Nothing is parsed but the first head's length: every answer is equally long, so only bytes are counted.
"""

import json
import socket
import sys
import threading
import time

CONNECTIONS = 2
_BUFFER = 1 << 20


def download(port: int, path: str, end: float, received: list[int]) -> None:
    """Ask again and again on one connection until `end`; adds bytes of bodies to `received`."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    buffer = memoryview(bytearray(_BUFFER))
    total = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(20)
        while time.monotonic() < end:
            connection.sendall(request)
            left = _body_left(connection)
            while left and (count := connection.recv_into(buffer, min(left, _BUFFER))):
                left -= count
                total += count
                if time.monotonic() >= end:
                    break
    received.append(total)


def _body_left(connection: socket.socket) -> int:
    """Read a head byte by byte, which leaves the body in the socket; returns the body's length. ConnectionError unless 200."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            raise ConnectionError("closed in a head")
        head += piece
    lines = head.lower().split(b"\r\n")
    if b" 200" not in lines[0]:
        raise ConnectionError(f"answer {lines[0].decode()}")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


def main() -> None:
    port, seconds, path = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    received: list[int] = []
    started = time.monotonic()
    arguments = (port, path, started + seconds, received)
    threads = [threading.Thread(target=download, args=arguments) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(received) < CONNECTIONS:
        sys.exit("a connection failed")
    took = time.monotonic() - started
    print(json.dumps({"mib": sum(received) / took / (1 << 20), "seconds": took}))


if __name__ == "__main__":
    main()
