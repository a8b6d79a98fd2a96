"""Queries that are not ours to answer, passed on to the machine's own servers as they came.

A query goes to each server at most once, under a random id from a port of its own, so that an answer is hard to forge. An answer that
is cut short over UDP is the client's to ask for again, over TCP, and is then asked for over TCP here: as Istio's agent does.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence

from .counts import DnsCounts
from .query import Code, Query, code_of

TIMEOUT = 5.0
"""Seconds that one server has to answer."""
MAX_IN_FLIGHT = 256
"""Queries that wait for servers; any more are refused at once, and their clients will ask again."""

Server = tuple[str, int]
Exchange = Callable[[Query, int, Server], Awaitable[bytes]]
"""Sends a query under an id and waits for its answer; raises OSError and, for a server that speaks no DNS, EOFError."""

_UNHELPFUL = frozenset({Code.SERVFAIL, Code.NOTIMP, Code.REFUSED})
"""Answers after which resolvers try their next server."""

_log = logging.getLogger("pymesh.proxy.dns_proxy")


class Forwarder:
    """Asks servers in their order, or all at once and takes the first good answer."""

    def __init__(self, servers: Sequence[Server], counts: DnsCounts, *, parallel: bool, exchange: "Exchange | None" = None) -> None:
        self._servers = servers
        self._counts = counts
        self._ask_them = self._at_once if parallel else self._in_order
        self._exchange = exchange or _exchange
        self._in_flight = 0

    def __repr__(self) -> str:
        return f"<Forwarder to {list(self._servers)}, {self._in_flight} in flight>"

    async def ask(self, query: Query) -> bytes:
        """The first good answer of a server; else a bad one; else a failure of ours."""
        self._counts.upstream_requests += 1
        if self._in_flight >= MAX_IN_FLIGHT:
            self._counts.upstream_failures += 1
            return query.failure(Code.SERVFAIL)
        self._in_flight += 1
        try:
            return query.fitted(await self._ask_them(query))
        finally:
            self._in_flight -= 1

    async def _in_order(self, query: Query) -> bytes:
        return await _best(query, (self._try(query, server) for server in self._servers))

    async def _at_once(self, query: Query) -> bytes:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._try(query, server)) for server in self._servers]
        try:
            return await _best(query, asyncio.as_completed(tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _try(self, query: Query, server: Server) -> bytes | None:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._exchange(query, secrets.randbits(16), server)
        except (OSError, EOFError) as error:  # a timeout is an OSError
            self._counts.upstream_failures += 1
            _log.debug("%s:%d: %s", *server, error or "no answer")
            return None
        self._counts.took(clock() - began)
        return query.wire[:2] + answer[2:]


async def _best(query: Query, answers: Iterable[Awaitable[bytes | None]]) -> bytes:
    """The first good one; no more of them are waited for than that takes."""
    best = query.failure(Code.SERVFAIL)
    for coming in answers:
        answer = await coming
        if answer is not None:
            best = answer
            if code_of(answer) not in _UNHELPFUL:
                break
    return best


async def _exchange(query: Query, number: int, server: Server) -> bytes:
    return await (_over_tcp if query.stream else _over_udp)(query, number, server)


async def _over_udp(query: Query, number: int, server: Server) -> bytes:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answer(query, number, answer), remote_addr=server)
    try:
        transport.sendto(query.sent_as(number))
        return await answer
    finally:
        transport.close()


class _Answer(asyncio.DatagramProtocol):
    """Waits for the answer to one query; what is none is not listened to."""

    def __init__(self, query: Query, number: int, answer: asyncio.Future[bytes]) -> None:
        self._query, self._number, self._answer = query, number, answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._answer.done() and self._query.is_answered_by(data, self._number):
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


async def _over_tcp(query: Query, number: int, server: Server) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        wire = query.sent_as(number)
        writer.write(len(wire).to_bytes(2) + wire)
        answer = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
    finally:
        writer.transport.abort()
    if not query.is_answered_by(answer, number):
        raise EOFError("what came is no answer to the query")
    return answer
