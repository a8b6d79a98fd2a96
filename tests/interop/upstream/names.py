"""A DNS server whose records a test changes while it runs."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.message
import dns.rcode
import dns.rrset

BROKEN = "broken"


class Names(asyncio.DatagramProtocol):
    """`records[name]` are its addresses, or BROKEN; a name without records does not exist."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[str, ...] | str] = {}
        self.asked: Counter[tuple[str, int]] = Counter()
        """By name and the asker's port."""
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = str(question.name).rstrip(".")
        self.asked[name, addr[1]] += 1
        reply = dns.message.make_response(query)
        records = self.records.get(name)
        if records == BROKEN:
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif records is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        else:
            for address in records:  # a set each: within one, dnspython shuffles
                kind = "AAAA" if ":" in address else "A"
                if question.rdtype.name == kind:
                    reply.answer.append(dns.rrset.from_text(question.name, 1, "IN", kind, address))
        self._transport.sendto(reply.to_wire(), addr)


@asynccontextmanager
async def names() -> AsyncIterator[Names]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(Names, local_addr=("127.0.0.1", 0))
    yield server
    transport.close()
