"""Answers from the name table. dnspython, which is loaded with the first sidecar that wants it, reads the queries.

The records are written here: each is a constant and an address. dnspython makes objects of every one, and while it does so for a
service of many pods, the sidecar would serve no requests.
"""

import random
from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype

from .query import LARGEST, PLAIN, STREAM, Query, question
from .table import Table

TTL = 30
"""Seconds; Istio's."""

_IN = dns.rdataclass.IN
_A, _AAAA, _CNAME, _OPT = dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.CNAME, dns.rdatatype.OPT
_HEADER = 12
_POINTER = 0xC000


def read(wire: bytes, *, stream: bool) -> tuple[Query, dns.message.Message | None]:
    """A query, and the message that it is; None for one whose records do not parse, of which others may understand more."""
    try:
        message = dns.message.from_wire(wire, continue_on_error=True, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return Query(wire, stream, STREAM if stream else PLAIN), None
    limit = STREAM if stream else min(max(message.payload if message.edns >= 0 else 0, PLAIN), LARGEST)
    return Query(wire, stream, limit), None if message.errors else message


def local(query: Query, message: dns.message.Message, table: Table) -> bytes | None:
    """The answer to a question for the addresses of a host of ours; None for any other, which is not ours to answer.

    A host without addresses of the wanted family has an answer without records: it is there, so NXDOMAIN would be wrong.
    """
    if message.opcode() != dns.opcode.QUERY or len(message.question) != 1:
        return None
    (asked,) = message.question
    if asked.rdclass != _IN or asked.rdtype not in (_A, _AAAA):
        return None
    found = table.find(asked.name.to_text(omit_final_dot=True).lower())
    if found is None:
        return None
    addresses = found.addresses.v4 if asked.rdtype == _A else found.addresses.v6
    owner, records = _HEADER, []
    if found.alias:
        # In one answer with the addresses: not every client asks again for the name that a CNAME gives.
        target = dns.name.from_text(found.alias).to_digestable()
        records.append(_head(owner, _CNAME, len(target)) + target)
        owner += len(question(query.wire)) + len(records[0]) - len(target)
    head = _head(owner, asked.rdtype, len(addresses[0])) if addresses else b""
    return _written(query, message, [*records, *(head + address for address in _turned(addresses))])


def _turned(addresses: Sequence[bytes]) -> Sequence[bytes]:
    """The addresses, another one first every time, so that clients spread over them."""
    first = random.randrange(len(addresses)) if addresses else 0
    return (*addresses[first:], *addresses[:first])


def _head(owner: int, kind: int, length: int) -> bytes:
    """A record without its data; the owner's name stands at that place of the message (RFC 1035 4.1.3, 4.1.4)."""
    return b"".join((n.to_bytes(size) for n, size in ((_POINTER | owner, 2), (kind, 2), (_IN, 2), (TTL, 4), (length, 2))))


def _written(query: Query, message: dns.message.Message, records: Sequence[bytes]) -> bytes:
    """The message; without records, and marked as cut, when it would be too large."""
    asked, options = question(query.wire), _options(message) if message.edns >= 0 else b""
    flags = dns.flags.QR | dns.flags.AA | dns.flags.RA | message.flags & (dns.flags.RD | dns.flags.CD)
    size = _HEADER + len(asked) + sum(map(len, records)) + len(options)
    if size > query.limit:
        flags, records = flags | dns.flags.TC, ()
    counts = (flags, 1, len(records), 0, len(options[:1]))
    return b"".join((query.wire[:2], *(n.to_bytes(2) for n in counts), asked, *records, options))


def _options(message: dns.message.Message) -> bytes:
    """What we say of ourselves to a client that does so (RFC 6891 6.1)."""
    return b"\0" + _OPT.to_bytes(2) + LARGEST.to_bytes(2) + (message.ednsflags & dns.flags.DO).to_bytes(4) + bytes(2)
