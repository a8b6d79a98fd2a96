"""Answers from the name table, written by dnspython, which is loaded with the first sidecar that wants them."""

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from .query import LARGEST, PLAIN, STREAM, Query
from .table import Table

TTL = 30
"""Seconds; Istio's."""

_IN = dns.rdataclass.IN
_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)


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
    if asked.rdclass != _IN or asked.rdtype not in _ADDRESSES:
        return None
    found = table.find(asked.name.to_text(omit_final_dot=True).lower())
    if found is None:
        return None
    answer = dns.message.make_response(message, recursion_available=True, our_payload=LARGEST)
    answer.flags |= dns.flags.AA
    owner = asked.name
    if found.alias:
        # In one answer with the addresses: not every client asks again for the name that a CNAME gives.
        owner = dns.name.from_text(found.alias)
        answer.answer.append(dns.rrset.from_text(asked.name, TTL, _IN, dns.rdatatype.CNAME, owner.to_text()))
    addresses = found.addresses.v4 if asked.rdtype == dns.rdatatype.A else found.addresses.v6
    if addresses:  # their order on the wire is another every time, so that clients spread over them
        answer.answer.append(dns.rrset.from_text_list(owner, TTL, _IN, asked.rdtype, addresses))
    return answer.to_wire(max_size=query.limit, prefer_truncation=True)
