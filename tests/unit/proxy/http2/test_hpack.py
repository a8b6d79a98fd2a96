"""Field compression (RFC 7541), against the RFC's own examples and the `hpack` library."""

import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pymesh_proxy.http2 import hpack as hpack_module
from pymesh_proxy.http2.errors import CompressionBroken, FieldsTooLarge
from pymesh_proxy.http2.hpack import Decoder, Encoder
from pymesh_proxy.http2.hpack_table import ENTRY_OVERHEAD
from pymesh_proxy.http2.never_indexed import NeverIndexed

HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)

# RFC 7541 C.3 and C.4: three requests on one connection, plain and Huffman coded; C.5 and C.6: three answers in a table of 256.
REQUESTS = [
    [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com")],
    [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com"), (b"cache-control", b"no-cache")],
    [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":path", b"/index.html"),
        (b":authority", b"www.example.com"),
        (b"custom-key", b"custom-value"),
    ],
]
PLAIN_REQUESTS = [
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
]
HUFFMAN_REQUESTS = [
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
]
DATES = [b"Mon, 21 Oct 2013 20:13:21 GMT", b"Mon, 21 Oct 2013 20:13:22 GMT"]
PLACE = (b"location", b"https://www.example.com")
COOKIE = b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
ANSWERS = [
    [(b":status", b"302"), (b"cache-control", b"private"), (b"date", DATES[0]), PLACE],
    [(b":status", b"307"), (b"cache-control", b"private"), (b"date", DATES[0]), PLACE],
    [
        (b":status", b"200"),
        (b"cache-control", b"private"),
        (b"date", DATES[1]),
        PLACE,
        (b"content-encoding", b"gzip"),
        (b"set-cookie", COOKIE),
    ],
]
HUFFMAN_ANSWERS = [
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f95"
    "87316065c003ed4ee5b1063d5007",
]


def decoder(*, table_size=4096, max_bytes=61440, max_count=100):
    return Decoder(table_size=table_size, max_bytes=max_bytes, max_count=max_count)


@pytest.mark.parametrize(
    ("blocks", "sections"),
    [(PLAIN_REQUESTS, REQUESTS), (HUFFMAN_REQUESTS, REQUESTS), (["3fe101" + HUFFMAN_ANSWERS[0], *HUFFMAN_ANSWERS[1:]], ANSWERS)],
)
def test_the_examples_of_the_rfc_are_decoded(blocks, sections):
    ours = decoder()
    assert [ours.decode(bytes.fromhex(block)) for block in blocks] == sections


# --- what a peer may not send -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "block"),
    [
        ("index 0", "80"),
        ("an index beyond both tables", "be"),
        ("an index far beyond", "ffffffff07"),
        ("an integer that never ends", "ff" + "ff" * 20),
        ("an integer of zeros that never ends", "ff" + "80" * 20 + "00"),
        ("an integer cut short", "ff80"),
        ("a literal without its name", "40"),
        ("a literal whose name is cut", "400a6162"),
        ("a literal without its value", "4001"),
        ("a value that is cut", "4001610561"),
        ("a literal named by an index that is not there", "7f0000"),
        ("a length of gigabytes", "0001617fffffffff07"),
        ("a table larger than allowed", "3fe21f"),
        ("a table size update behind a field", "8220"),
        ("a Huffman string with the EOS symbol", "00016184ffffffff"),
        ("Huffman padding of eight bits", "000161831c7fff"),
        ("Huffman padding that is no prefix of EOS", "0001618118"),
        ("a Huffman name with wrong padding", "00811800"),
    ],
)
def test_a_broken_block_ends_the_compression(what, block):
    with pytest.raises(CompressionBroken):
        decoder().decode(bytes.fromhex(block))


def test_a_table_size_update_within_the_limit_evicts():
    ours = decoder()
    ours.decode(b"\x40\x01a\x01b")
    assert ours.decode(b"\xbe") == [(b"a", b"b")]
    assert ours.decode(b"\x20\x3f\xe1\x1f\x82") == [(b":method", b"GET")]
    with pytest.raises(CompressionBroken):
        ours.decode(b"\xbe")


def test_a_smaller_table_of_ours_binds_the_peer_when_it_has_heard_of_it():
    ours = decoder(table_size=64)
    ours.decode(b"\x40\x01a\x30" + b"x" * 48)
    assert ours.decode(b"\xbe") == [(b"a", b"x" * 48)]
    ours.settle()
    with pytest.raises(CompressionBroken):
        ours.decode(b"\xbe")
    for size_update, good in ((b"\x3f\x21", True), (b"\x3f\x22", False)):
        ours = decoder(table_size=64)
        ours.settle()
        try:
            assert ours.decode(size_update + b"\x82") == [(b":method", b"GET")]
        except CompressionBroken:
            assert not good
        else:
            assert good


def test_a_larger_table_of_ours_is_used_when_the_peer_says_so():
    ours = decoder(table_size=8192)
    big = b"\x40\x01a\x7f\xf1\x26" + b"x" * 5104
    ours.decode(big)
    with pytest.raises(CompressionBroken):
        ours.decode(b"\xbe")
    ours = decoder(table_size=8192)
    ours.decode(b"\x3f\xe1\x3f" + big)
    assert len(ours.decode(b"\xbe")[0][1]) == 5104


def test_an_entry_larger_than_the_table_empties_it():
    ours = decoder()
    ours.decode(b"\x3f\x21\x40\x01a\x01b")
    big = b"x" * 40
    assert ours.decode(b"\x40\x01a\x28" + big) == [(b"a", big)]
    with pytest.raises(CompressionBroken):
        ours.decode(b"\xbe")


def test_too_many_fields_are_refused_and_the_table_stays_in_step():
    ours = decoder(max_count=3)
    with pytest.raises(FieldsTooLarge):
        ours.decode(b"\x82" * 3 + b"\x40\x01a\x01b")
    assert ours.decode(b"\xbe") == [(b"a", b"b")]


def test_a_bomb_of_references_to_a_large_entry_is_refused():
    ours = decoder(max_count=10**6)
    entry = b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000
    assert len(ours.decode(entry)[0][1]) == 4000
    assert len(ours.decode(b"\xbe" * 15)) == 15
    with pytest.raises(FieldsTooLarge):
        ours.decode(b"\xbe" * 16)


def test_the_size_of_a_section_counts_32_for_each_field():
    size = 2 * (1 + 1 + ENTRY_OVERHEAD)
    block = b"\x00\x01a\x01b" * 2
    assert decoder(max_bytes=size).decode(block) == [(b"a", b"b")] * 2
    with pytest.raises(FieldsTooLarge):
        decoder(max_bytes=size - 1).decode(block)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_a_field_that_is_never_indexed_stays_so_on_the_next_hop():
    (field,) = decoder().decode(b"\x10\x07x-token\x06secret")
    assert field == (b"x-token", b"secret")
    ours, theirs = Encoder(), decoder()
    for _ in range(3):
        assert ours.encode([field])[0] == 0x10
    open_field = (b"x-token", b"secret")
    for _ in range(3):
        theirs.decode(ours.encode([open_field]))
    assert len(ours.encode([open_field])) == 1
    assert ours.encode([field])[0] == 0x10, "an index would tell that the secret was guessed"
    assert type(decoder().decode(ours.encode([field]))[0][1]) is NeverIndexed
    assert ours.encode([(b":method", NeverIndexed(b"GET"))]) == b"\x12\x03GET"
    assert {b"secret"} == {field[1]}, "policies find it like any other value"


@pytest.mark.parametrize("name", [b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"])
def test_credentials_enter_no_table(name):
    ours = Encoder()
    blocks = {ours.encode([(name, b"secret")]) for _ in range(4)}
    (block,) = blocks
    assert block[0] & 0xF0 == 0x10
    assert hpack.Decoder().decode(block, raw=True) == [(name, b"secret")]


# --- what we send -----------------------------------------------------------------------------------------------------


def test_what_repeats_becomes_one_octet_and_what_does_not_enters_no_table():
    ours, theirs = Encoder(), hpack.Decoder()
    for number in range(200):
        fields = [(b":method", b"GET"), (b"x-app", b"shop"), (b"x-request-id", b"%032d" % number)]
        block = ours.encode(fields)
        assert theirs.decode(block, raw=True) == fields
    assert block.startswith(b"\x82\xbe")
    assert len(theirs.header_table.dynamic_entries) == 1


def test_a_smaller_table_of_the_peer_is_honoured_and_told():
    ours, theirs = Encoder(), hpack.Decoder()
    fields = [(b"a%d" % number, b"v" * 20) for number in range(60)]
    for _ in range(3):
        assert theirs.decode(ours.encode(fields), raw=True) == fields
    theirs.max_allowed_table_size = 100
    ours.resize(100)
    for _ in range(3):
        assert theirs.decode(ours.encode(fields), raw=True) == fields
    assert theirs.header_table.maxsize == 100
    ours.resize(0)
    ours.resize(2000)
    theirs.max_allowed_table_size = 2000
    block = ours.encode(fields)
    assert block.startswith(b"\x20\x3f\xb1\x0f"), "the smallest size in between, then the last (RFC 7541 4.2)"
    assert theirs.decode(block, raw=True) == fields


def test_the_encoder_remembers_a_bounded_number_of_names():
    ours = Encoder()
    for number in range(10000):
        ours.encode([(b"n%d" % number, b"v")])
    assert len(ours._seen) <= 128
    assert ours.encode([(b"n" * 65, b"v")]) == b"\x00\x41" + b"n" * 65 + b"\x01v"
    assert len(hpack_module._plain_prefixes) <= 1024
    assert b"n" * 65 not in hpack_module._plain_prefixes


NAMES = st.sampled_from([b":path", b"x-a", b"x-b", b"content-type", b"server", b"n" * 130, b"cookie"])
VALUES = st.one_of(st.sampled_from([b"", b"1", b"/x", b"a" * 126, b"b" * 127, b"c" * 300, b"d" * 5000]), st.binary(max_size=20))
SECTIONS = st.lists(st.lists(st.tuples(NAMES, VALUES), max_size=8), max_size=12)


@settings(deadline=None)
@given(SECTIONS, st.lists(st.integers(0, 8192), max_size=4))
def test_another_implementation_reads_what_we_write(sections, sizes):
    ours, theirs = Encoder(), hpack.Decoder(max_header_list_size=2**20)
    for number, fields in enumerate(sections * 3):
        if number % 3 == 2 and sizes:
            size = sizes[number % len(sizes)]
            theirs.max_allowed_table_size = size
            ours.resize(size)
        assert theirs.decode(ours.encode(fields), raw=True) == fields


@settings(deadline=None)
@given(SECTIONS, st.lists(st.integers(0, 4096), max_size=4), st.booleans())
def test_we_read_what_another_implementation_writes(sections, sizes, huffman):
    ours, theirs = decoder(max_bytes=10**6), hpack.Encoder()
    for number, fields in enumerate(sections * 3):
        if number % 3 == 2 and sizes:
            theirs.header_table_size = sizes[number % len(sizes)]
        fields = [hpack.NeverIndexedHeaderTuple(*field) if number % 5 == 0 else field for field in fields]
        assert ours.decode(theirs.encode(fields, huffman=huffman)) == fields
        assert len(ours._table) - 62 == len(theirs.header_table.dynamic_entries)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=3))
@example([b"\x82\x84\x86\x41\x8a\x08\x9d\x5c\x0b\x81\x70\xdc\x78\x0f\x03"])
def test_any_bytes_are_read_as_another_implementation_reads_them_or_refused(blocks):
    ours, theirs = decoder(), hpack.Decoder()
    for block in blocks:
        try:
            fields = ours.decode(block)
        except CompressionBroken:
            return
        assert theirs.decode(block, raw=True) == fields


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=30), st.binary(max_size=20).map(HUFFMAN.encode)), st.integers(0, 7))
def test_huffman_strings_are_judged_as_another_implementation_judges_them(coded, bit):
    for text in (coded, coded[:-1] + bytes((coded[-1] ^ 1 << bit,)) if coded else b""):
        try:
            expected = bytes(decode_huffman(text))
        except hpack.HPACKDecodingError:
            expected = None
        try:
            ours = decoder()._unpack(text)
        except CompressionBroken:
            ours = None
        assert ours == expected
