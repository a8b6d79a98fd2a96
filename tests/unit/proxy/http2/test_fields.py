"""Which field sections are messages (RFC 9113 8.2, 8.3), by tables and against a slow, obvious model."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymesh_proxy.http2 import fields as rules
from pymesh_proxy.http2.errors import CompressionBroken, FieldsTooLarge, Malformed
from pymesh_proxy.http2.fields import NO_LENGTH, check_request, check_response, check_trailers
from pymesh_proxy.http2.hpack import Decoder, Encoder
from pymesh_proxy.http2.sections import SectionReader

from .ends import GET, OK, block

CONNECT = [(b":method", b"CONNECT"), (b":authority", b"a.test:443")]
EXTENDED = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"), (b":path", b"/chat"), (b":authority", b"a")]


def changed(**pseudo):
    """GET with pseudo-headers replaced, or left out (None)."""
    kept = []
    for name, value in GET:
        new = pseudo.get(name.decode().lstrip(":"), value) if name.startswith(b":") else value
        if new is not None:
            kept.append((name, new))
    return kept


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        (GET, NO_LENGTH),
        ([*GET, (b"content-length", b"0")], 0),
        ([*GET, (b"content-length", b"123456789012345678")], 123456789012345678),
        ([*GET, (b"te", b"trailers")], NO_LENGTH),
        ([*GET, (b"te", b"Trailers")], NO_LENGTH),
        ([*GET, (b"x", b"")], NO_LENGTH),
        ([*GET, (b"x", b"a b\tc")], NO_LENGTH),
        ([*GET, (b"x", b"\x80\xff")], NO_LENGTH),
        ([*GET, (b"!#$%&'*+-.^_`|~09az", b"1")], NO_LENGTH),
        ([*GET, (b"host", b"b.test")], NO_LENGTH),
        ([*changed(authority=None), (b"host", b"b.test")], NO_LENGTH),
        (changed(method=b"QUERY"), NO_LENGTH),
        (changed(method=b"OPTIONS", path=b"*"), NO_LENGTH),
        (changed(scheme=b"ftp"), NO_LENGTH),
        (changed(authority=b"[::1]:80"), NO_LENGTH),
        (changed(path=b"/%20?a=b&c=;"), NO_LENGTH),
        (sorted(GET, reverse=True, key=lambda field: field[0][:1] == b":"), NO_LENGTH),
        (CONNECT, NO_LENGTH),
    ],
)
def test_requests_that_are_sound(fields, length):
    assert check_request(fields) == length


@pytest.mark.parametrize(
    "fields",
    [
        [],
        changed(method=None),
        changed(method=b""),
        changed(method=b"GE T"),
        changed(path=None),
        changed(path=b""),
        changed(path=b"x"),
        changed(path=b"*"),
        changed(path=b"/a b"),
        changed(path=b"/ HTTP/1.1\r\nx: y"),
        changed(path=b"/\x7f"),
        changed(path=b"/\xc3\xa4"),
        changed(path=b"http://a.test/"),
        changed(scheme=None),
        changed(scheme=b""),
        changed(scheme=b"ht tp"),
        changed(scheme=b"1http"),
        changed(authority=None),
        changed(authority=b""),
        changed(authority=b"a b"),
        changed(authority=b"a/b"),
        changed(authority=b"user@a"),
        changed(authority=b"a\r\nx: y"),
        [*changed(authority=None), (b"host", b"")],
        [*changed(authority=None), (b"host", b"a b")],
        [*changed(authority=None), (b"host", b"a"), (b"host", b"b")],
        [*GET, (b"host", b"a"), (b"host", b"a")],
        [*GET[:2], GET[1], *GET[2:]],
        [GET[0], *GET],
        [GET[4], *GET[:4]],
        [*GET, (b":path", b"/y")],
        [(b":status", b"200"), *GET],
        [(b":unknown", b"x"), *GET],
        [*GET, (b"", b"x")],
        [*GET, (b"X-Upper", b"x")],
        [*GET, (b"a b", b"x")],
        [*GET, (b"a:", b"x")],
        [*GET, (b"a\n", b"x")],
        [*GET, (b"\xc3\xa4", b"x")],
        [*GET, (b"connection", b"keep-alive")],
        [*GET, (b"keep-alive", b"1")],
        [*GET, (b"proxy-connection", b"close")],
        [*GET, (b"transfer-encoding", b"chunked")],
        [*GET, (b"upgrade", b"h2c")],
        [*GET, (b"te", b"gzip")],
        [*GET, (b"te", b"trailers, gzip")],
        [*GET, (b"x", b"a\0b")],
        [*GET, (b"x", b"a\rb")],
        [*GET, (b"x", b"a\nb")],
        [*GET, (b"x", b"\x0b")],
        [*GET, (b"x", b"\x7f")],
        [*GET, (b"x", b" a")],
        [*GET, (b"x", b"a ")],
        [*GET, (b"x", b"\ta")],
        [*GET, (b"x", b"a\t")],
        [*GET, (b"x", b" ")],
        [*GET, (b"content-length", b"")],
        [*GET, (b"content-length", b"+1")],
        [*GET, (b"content-length", b"-1")],
        [*GET, (b"content-length", b"1_0")],
        [*GET, (b"content-length", b"0x1")],
        [*GET, (b"content-length", b"1, 1")],
        [*GET, (b"content-length", b"1" * 19)],
        [*GET, (b"content-length", b"1"), (b"content-length", b"1")],
        [*CONNECT, (b":path", b"/")],
        [*CONNECT, (b":scheme", b"http")],
        [CONNECT[0], (b"host", b"a")],
        EXTENDED,
        [(b":protocol", b"websocket"), *GET],
    ],
)
def test_requests_that_are_malformed(fields):
    with pytest.raises(Malformed):
        check_request(fields)


def test_extended_connect_where_it_was_offered():
    assert check_request(EXTENDED, allow_connect=True) == NO_LENGTH
    assert check_request(CONNECT, allow_connect=True) == NO_LENGTH
    for broken in (EXTENDED[:3] + EXTENDED[4:], EXTENDED[:4], [(b":method", b"GET"), *EXTENDED[1:]]):
        with pytest.raises(Malformed):
            check_request(broken, allow_connect=True)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"server", b"s")],
        [(b"server", b"s"), (b":status", b"200")],
        [*OK, (b":status", b"200")],
        [(b":status", b"099")],
        [(b":status", b"1000")],
        [(b":status", b"20")],
        [(b":status", b"2 0")],
        [(b":status", b"+20")],
        [(b":status", b"101")],
        [*OK, (b":path", b"/")],
        [*OK, (b"connection", b"close")],
        [*OK, (b"x", b"a\r\nb")],
        [*OK, (b"content-length", b"1"), (b"content-length", b"2")],
    ],
)
def test_answers_that_are_malformed(fields):
    with pytest.raises(Malformed):
        check_response(fields)


def test_answers_that_are_sound():
    assert check_response(OK) == (200, NO_LENGTH)
    assert check_response([(b":status", b"103")]) == (103, NO_LENGTH)
    assert check_response([(b":status", b"999"), (b"content-length", b"7")]) == (999, 7)


def test_trailers_have_no_pseudo_headers_and_lose_what_would_frame_a_message():
    grpc = [(b"grpc-status", b"0"), (b"grpc-message", b"")]
    assert check_trailers(grpc) == grpc
    assert check_trailers([*grpc, (b"content-length", b"5"), (b"host", b"evil")]) == grpc
    for broken in ((b":status", b"200"), (b":path", b"/"), (b"transfer-encoding", b"chunked"), (b"X", b"y")):
        with pytest.raises(Malformed):
            check_trailers([*grpc, broken])


def test_the_names_remembered_are_bounded():
    before = dict(rules._KINDS)
    try:
        for number in range(10_000):
            check_trailers([(b"bounded-%d" % number, b"x")])
        assert len(rules._KINDS) <= 4096
        check_trailers([(b"n" * 65, b"x")])
        assert b"n" * 65 not in rules._KINDS
    finally:
        rules._KINDS.clear()
        rules._KINDS.update(before)


def test_the_authorities_remembered_are_bounded():
    for number in range(3000):
        check_request(changed(authority=b"host-%d" % number))
    check_request(changed(authority=b"a" * 65))
    assert len(rules._authorities) <= 1024
    assert max(map(len, rules._authorities)) <= 64


# --- the model --------------------------------------------------------------------------------------------------------

FORBIDDEN = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}


def is_sound(fields):
    """RFC 9113 8.2 and 8.3.1, one sentence a line, for requests other than CONNECT."""
    names = [name for name, _ in fields]
    pseudo = [name for name in names if name.startswith(b":")]
    values = dict(reversed(fields))
    return bool(
        names[: len(pseudo)] == pseudo
        and len(set(pseudo)) == len(pseudo)
        and set(pseudo) <= {b":method", b":scheme", b":path", b":authority"}
        and {b":method", b":scheme", b":path"} <= set(pseudo)
        and all(re.fullmatch(rb"[a-z0-9!#$%&'*+.^_`|~-]+", name) for name in names[len(pseudo) :])
        and all(not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value) and value == value.strip(b" \t") for _, value in fields)
        and not FORBIDDEN & set(names)
        and all(value.lower() == b"trailers" for name, value in fields if name == b"te")
        and names.count(b"content-length") <= 1
        and names.count(b"host") <= 1
        and re.fullmatch(rb"\d{1,18}", values.get(b"content-length", b"0"))
        and re.fullmatch(rb"[A-Z]+", values[b":method"])
        and re.fullmatch(rb"[a-z]+", values[b":scheme"])
        and re.fullmatch(rb"/[!-~]*", values[b":path"])
        and re.fullmatch(rb"[a-z.:0-9]+", values.get(b":authority", values.get(b"host", b"")))
    )


PIECES = st.sampled_from(
    [
        *GET,
        (b":path", b""),
        (b":path", b"/ "),
        (b":authority", b""),
        (b":status", b"200"),
        (b"host", b"b"),
        (b"te", b"trailers"),
        (b"te", b"x"),
        (b"connection", b"x"),
        (b"content-length", b"5"),
        (b"content-length", b"x"),
        (b"A", b""),
        (b"x", b"\n"),
        (b"x", b"y\ty"),
        (b"y", b" z"),
        (b"z", b"z\t"),
        (b"cookie", b"a=b"),
    ]
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=4), st.lists(PIECES, max_size=4), st.integers(0, 5), st.randoms())
def test_the_verdict_is_that_of_a_slow_model(before, after, cut, random):
    base = GET[:4]
    random.shuffle(base)
    fields = before[:1] * (cut == 5) + base[:cut] + base[cut:] * (cut != 1) + after
    try:
        check_request(fields)
        sound = True
    except Malformed:
        sound = False
    assert sound == is_sound(fields)


# --- remembered sections ----------------------------------------------------------------------------------------------


def reader(**limits):
    return SectionReader(Decoder(max_bytes=61440, max_count=limits.get("max_count", 100)), max_block=61440, allow_connect=False)


def test_a_section_that_repeats_is_read_once():
    sections = reader()
    fields = block(GET)
    assert sections.request(fields)[0] is sections.request(fields)[0]
    assert sections.response(block(OK))[0] is sections.response(block(OK))[0]


def test_a_section_that_refers_to_the_table_is_read_again_when_the_table_has_changed():
    sections = reader()
    sections.trailers(b"\x40\x01a\x01b")
    assert sections.trailers(b"\xbe") == [(b"a", b"b")]
    assert sections.trailers(b"\xbe") == [(b"a", b"b")]
    sections.trailers(b"\x40\x01c\x01d")
    assert sections.trailers(b"\xbe") == [(b"c", b"d")]
    assert sections.trailers(b"\x40\x01e\x01f") == [(b"e", b"f")]
    assert sections.trailers(b"\x40\x01e\x01f\xbf") == [(b"e", b"f"), (b"e", b"f")]
    assert sections.trailers(b"\xbe") == [(b"e", b"f")]


def test_what_was_refused_has_changed_the_table_all_the_same():
    sections = reader(max_count=2)
    sections.trailers(b"\x40\x01a\x01b")
    assert sections.trailers(b"\xbe") == [(b"a", b"b")]
    with pytest.raises(FieldsTooLarge):
        sections.trailers(b"\x40\x01c\x01d\xbe\xbe")
    assert sections.trailers(b"\xbe") == [(b"c", b"d")]
    with pytest.raises(Malformed):
        sections.trailers(b"\x40\x01X\x01d")
    with pytest.raises(Malformed):
        sections.trailers(b"\xbe")
    with pytest.raises(CompressionBroken):
        sections.trailers(b"\xff\xff\x03")


def test_the_sections_remembered_are_bounded():
    sections = reader()
    for number in range(1000):
        sections.trailers(b"\x00\x01a\x04%04d" % number)
    assert len(sections._trailers) <= 64
    sections.trailers(b"\x00\x01a\x7f\x81\x0f" + b"x" * 2048)
    assert max(map(len, sections._trailers)) <= 1024


SMALL = st.tuples(st.sampled_from([b"a", b"b", b"cookie"]), st.sampled_from([b"1", b"2", b"3" * 90]))


@settings(deadline=None)
@given(st.lists(SMALL, max_size=4), st.data())
def test_a_reader_with_a_memory_reads_like_one_without(first, data):
    encoder = Encoder()
    sections, plain = reader(), Decoder(max_bytes=61440, max_count=100)
    menu = [first, [(b"a", b"1")], [(b"b", b"x" * 900)]]
    for _ in range(12):
        chosen = data.draw(st.sampled_from(menu))
        encoded = encoder.encode(chosen)
        assert sections.trailers(encoded) == plain.decode(encoded) == chosen
