"""An upstream server that does as it is told: answers well, slowly, with 503, or resets the connection.

    moody.py PORT

`GET /mood/NAME` changes its mood and `GET /count` tells how many other requests have come, both always answered well.
"""

import asyncio
import sys
from typing import cast

import uvloop

_BODY = b"a small body of some bytes\n"
_SLOW = 0.5
"""Seconds that a slow answer takes."""

_FAILING = 0.05
"""Seconds that a server with too much to do takes to say so."""

MOODS = {"good": (200, 0.0), "slow": (200, _SLOW), "refusing": (503, 0.0), "overloaded": (503, _FAILING), "resetting": (0, 0.0)}
"""Status (0: no answer, a reset) and seconds before it."""


class Moody(asyncio.Protocol):
    """One connection; all share the mood and the count."""

    mood = MOODS["good"]
    count = 0

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._asked(head.split(b" ")[1].decode())

    def _asked(self, path: str) -> None:
        if path.startswith("/mood/"):
            Moody.mood = MOODS[path.removeprefix("/mood/")]
            self._answer(200, b"")
        elif path == "/count":
            self._answer(200, b"%d" % Moody.count)
        else:
            Moody.count += 1
            status, pause = Moody.mood
            if not status:
                self._transport.abort()
            elif pause:
                asyncio.get_running_loop().call_later(pause, self._answer, status, _BODY)
            else:
                self._answer(status, _BODY)

    def _answer(self, status: int, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 %d Moody\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Moody, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
