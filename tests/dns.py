"""A DNS server that tests play, over UDP and TCP on one port: it answers from a table, and remembers what it was asked."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

HOST = "127.0.0.1"
Handle = Callable[[dns.message.Message], list[bytes]]
"""What to send for a query: nothing, one message or several."""


class Upstream:
    """`records` maps names to their IPv4 addresses; `odd` has names for which something else happens."""

    def __init__(self, records: dict[str, list[str]], odd: dict[str, Handle] | None = None) -> None:
        self.records = records
        self.odd = odd or {}
        self.asked: Counter[tuple[str, str]] = Counter()
        """(`udp` or `tcp`, name)."""
        self.port = 0

    def replies(self, wire: bytes, over: str) -> list[bytes]:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text(omit_final_dot=True)
        self.asked[over, name] += 1
        if name in self.odd:
            return self.odd[name](query)
        answer = answered(query, self.records.get(name))
        limit = 65535 if over == "tcp" else max(512, query.payload)
        return [answer.to_wire(max_size=limit, prefer_truncation=True)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Upstream"]:
        """Listening on a free port of both."""
        streams = await asyncio.start_server(self._serve, HOST, 0)
        self.port = streams.sockets[0].getsockname()[1]
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind((HOST, self.port))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
        try:
            yield self
        finally:
            transport.close()
            streams.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            wire = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            for reply in self.replies(wire, "tcp"):
                writer.write(len(reply).to_bytes(2) + reply)
            await reader.read()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for reply in self._upstream.replies(data, "udp"):
            self._transport.sendto(reply, addr)


def answered(query: dns.message.Message, addresses: list[str] | None) -> dns.message.Message:
    """An answer with these addresses; NXDOMAIN for None."""
    answer = dns.message.make_response(query, recursion_available=True)
    if addresses is None:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    elif addresses:
        answer.answer.append(dns.rrset.from_text_list(query.question[0].name, 7, "IN", "A", addresses))
    return answer


def failed(code: str) -> Handle:
    """Answer with a response code."""

    def handle(query: dns.message.Message) -> list[bytes]:
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.from_text(code))
        return [answer.to_wire()]

    return handle


def silent(_query: dns.message.Message) -> list[bytes]:
    """No answer."""
    return []
