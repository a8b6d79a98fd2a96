"""What is answered from a name table, how large an answer may be, and which messages get none."""

import ipaddress

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymesh_proxy.dns_proxy import answer
from pymesh_proxy.dns_proxy.query import Code, Query, is_query, question
from pymesh_proxy.dns_proxy.table import Table

from .packed import packed

MANY = tuple(f"10.0.{n // 256}.{n % 256}" for n in range(400))
HOSTS = {"a.com": packed("10.0.0.1", "10.0.0.2", "fd00::1"), "*.b.com": packed("10.0.0.3"), "many.com": packed(*MANY)}
TABLE = Table(HOSTS, "ns")


def ask(query, *, stream=False):
    """The answer from the table; None when others are to be asked."""
    wire = query if isinstance(query, bytes) else query.to_wire()
    read, message = answer.read(wire, stream=stream)
    found = None if message is None else answer.local(read, message, TABLE)
    return None if found is None else dns.message.from_wire(found)


def records(found):
    return sorted(rrset.to_text() for rrset in found.answer for rrset in one_by_one(rrset))


def one_by_one(rrset):
    for rdata in rrset:
        one = rrset.copy()
        one.clear()
        one.add(rdata, rrset.ttl)
        yield one


def test_both_families():
    query = dns.message.make_query("A.com", "A")
    found = ask(query)
    assert query.is_response(found)
    assert records(found) == ["A.com. 30 IN A 10.0.0.1", "A.com. 30 IN A 10.0.0.2"]
    assert records(ask(dns.message.make_query("a.com", "AAAA"))) == ["a.com. 30 IN AAAA fd00::1"]


def test_it_is_an_answer_with_authority_of_one_who_asks_others_too():
    assert dns.flags.to_text(ask(dns.message.make_query("a.com", "A")).flags) == "QR AA RD RA"
    assert dns.flags.to_text(ask(dns.message.make_query("a.com", "A", flags=0)).flags) == "QR AA RA"


def test_a_known_host_without_addresses_of_the_family_is_there():
    found = ask(dns.message.make_query("x.b.com", "AAAA"))
    assert (found.rcode(), found.answer) == (dns.rcode.NOERROR, [])


def test_a_wildcards_addresses_are_the_askers_names():
    assert records(ask(dns.message.make_query("x.y.b.com", "A"))) == ["x.y.b.com. 30 IN A 10.0.0.3"]


def test_behind_a_search_domain_the_whole_chain_comes_at_once():
    found = ask(dns.message.make_query("x.b.com.ns", "A"))
    assert [rrset.to_text() for rrset in found.answer] == ["x.b.com.ns. 30 IN CNAME x.b.com.", "x.b.com. 30 IN A 10.0.0.3"]


@pytest.mark.parametrize(
    "query",
    [
        dns.message.make_query("other.com", "A"),
        dns.message.make_query("a.com", "MX"),
        dns.message.make_query("a.com", "HTTPS"),
        dns.message.make_query("a.com", "A", rdclass="CH"),
        dns.message.make_query("1.0.0.10.in-addr.arpa", "PTR"),
    ],
)
def test_anything_else_is_for_others_to_answer(query):
    assert ask(query) is None


def test_an_update_of_a_zone_is_for_others():
    update = dns.update.UpdateMessage("a.com")
    update.add("x", 300, "A", "10.0.0.1")
    assert ask(update) is None


@given(
    st.dictionaries(st.sampled_from(["a.com", "*.a.com", "b.a.com"]), st.lists(st.ip_addresses(), max_size=5), max_size=3),
    st.sampled_from(["a.com", "b.a.com", "x.a.com", "A.com.ns", "b.x.a.COM.ns"]),
    st.sampled_from(["A", "AAAA"]),
    st.booleans(),
)
def test_it_is_what_dnspython_would_have_written(hosts, name, kind, edns):
    """The message that dnspython makes of the same records is the model."""
    table = Table({host: packed(*map(str, found)) for host, found in hosts.items()}, "ns")
    query = dns.message.make_query(name, kind, use_edns=edns, want_dnssec=edns)
    read, message = answer.read(query.to_wire(), stream=True)
    wire = answer.local(read, message, table)
    found = table.find(name.lower())
    assert (wire is None) == (found is None)
    if wire is None:
        return
    expected = dns.message.make_response(query, recursion_available=True, our_payload=4096)
    expected.flags |= dns.flags.AA
    expected.ednsflags = query.ednsflags
    owner = query.question[0].name
    if found.alias:
        expected.answer.append(dns.rrset.from_text(owner, 30, "IN", "CNAME", f"{found.alias}."))
        owner = dns.name.from_text(found.alias)
    addresses = [str(ipaddress.ip_address(one)) for one in (found.addresses.v4 if kind == "A" else found.addresses.v6)]
    if addresses:
        expected.answer.append(dns.rrset.from_text_list(owner, 30, "IN", kind, addresses))
    assert told(dns.message.from_wire(wire)) == told(expected)


def told(message):
    """All that a message says, whatever the order of its records."""
    return (message.id, message.flags, message.question, records(message), message.edns, message.ednsflags, message.payload)


def test_the_order_of_addresses_changes():
    first = {ask(dns.message.make_query("many.com", "A"), stream=True).answer[0][0].address for _ in range(20)}
    assert len(first) > 1


@pytest.mark.parametrize(("payload", "limit"), [(None, 512), (300, 512), (1232, 1232), (65535, 4096)])
def test_over_udp_an_answer_is_as_large_as_the_client_says(payload, limit):
    query = dns.message.make_query("many.com", "A", use_edns=payload is not None, payload=payload or 0)
    read, message = answer.read(query.to_wire(), stream=False)
    wire = answer.local(read, message, TABLE)
    found = dns.message.from_wire(wire)
    assert (read.limit, len(wire) <= limit, bool(found.flags & dns.flags.TC)) == (limit, True, True)
    assert (found.edns >= 0) is (payload is not None)


def test_over_tcp_it_is_whole():
    found = ask(dns.message.make_query("many.com", "A"), stream=True)
    assert not found.flags & dns.flags.TC
    assert len(found.answer[0]) == len(MANY)


def test_what_does_not_parse_is_for_others_who_may_understand_it():
    wire = dns.message.make_query("a.com", "A", use_edns=0).to_wire()
    assert ask(wire[:-3]) is None
    assert ask(wire + b"and more") is not None


@given(st.binary(max_size=64))
def test_no_bytes_are_too_strange(wire):
    if is_query(wire):
        read, message = answer.read(wire, stream=False)
        if message is not None:
            answer.local(read, message, TABLE)
        assert len(read.failure(Code.SERVFAIL)) == 12 + len(question(wire))


def test_a_failure_repeats_id_question_and_the_wish_for_recursion():
    query = dns.message.make_query("a.com", "A")
    failed = dns.message.from_wire(Query(query.to_wire(), False, 512).failure(Code.SERVFAIL))
    assert query.is_response(failed)
    assert (failed.rcode(), dns.flags.to_text(failed.flags)) == (dns.rcode.SERVFAIL, "QR RD RA")


def test_answers_and_fragments_are_no_queries():
    query = dns.message.make_query("a.com", "A")
    assert is_query(query.to_wire())
    assert not is_query(dns.message.make_response(query).to_wire())
    assert not is_query(query.to_wire()[:11])


@pytest.mark.parametrize(
    ("count", "rest"), [(0, b""), (1, b""), (1, b"\3com"), (1, b"\3com\0\0\1\0"), (1, b"\xc0\x0c\0\1\0\1"), (2, b"\0\0\1\0\1" * 2)]
)
def test_there_is_no_question_where_there_is_not_one(count, rest):
    assert question(bytes(5) + bytes([count]) + bytes(6) + rest) == b""
    assert question(b"") == b""


def test_an_answer_of_others_is_cut_to_what_the_client_takes():
    query = dns.message.make_query("many.com", "A")
    full = dns.message.make_response(query)
    full.answer.append(dns.rrset.from_text_list("many.com.", 7, "IN", "A", MANY))
    wire = full.to_wire()
    assert Query(query.to_wire(), True, 65535).fitted(wire) is wire
    cut = dns.message.from_wire(Query(query.to_wire(), False, 512).fitted(wire))
    assert query.is_response(cut)
    assert (bool(cut.flags & dns.flags.TC), cut.answer) == (True, [])


def respond(query, **changes):
    made = dns.message.make_response(query)
    made.id = changes.get("id", 77)
    made.set_rcode(changes.get("rcode", 0))
    made.question = [] if changes.get("bare") else changes.get("question", made.question)
    return made.to_wire()


def test_only_an_answer_to_the_very_question_under_the_very_id_is_one():
    message = dns.message.make_query("a.com", "A")
    query = Query(message.to_wire(), False, 512)
    other = dns.message.make_query("b.com", "A").question
    assert query.is_answered_by(respond(message), 77)
    assert query.is_answered_by(respond(message).replace(b"\1a\3com", b"\1A\3COM"), 77)
    assert query.is_answered_by(respond(message, bare=True, rcode=dns.rcode.FORMERR), 77)
    for wire in (respond(message, id=78), respond(message, question=other), respond(message, bare=True), message.to_wire(), b""):
        assert not query.is_answered_by(wire, 77)
